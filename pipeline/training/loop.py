"""Training of one fold: a straight-line loop that can be killed at any moment and goes on from its last
epoch."""

import itertools
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pipeline.base.device import keep_freed_memory, make_deterministic
from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path
from pipeline.base.progress import progress, say
from pipeline.competition.contract import Competition
from pipeline.config.config import Config
from pipeline.inputs.batches import Images, TrainingBatches
from pipeline.inputs.transforms import Preprocess
from pipeline.networks.freeze import set_trainable
from pipeline.networks.groups import describe_groups, group_rows
from pipeline.prediction.predict import Request, predict
from pipeline.tasks.task import Mixer, Objective
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.session import Epoch, FoldLog, Session


@dataclass(frozen=True)
class FoldJob:
    """Everything one fold's training depends on.

    Attributes
    ----------
    images : the whole training split.
    train_rows, valid_rows : row numbers of `images` to learn from and to measure on; no overlap.
    folder : where last.pt, best.pt and history.csv go.
    """

    competition: Competition
    config: Config
    images: Images
    classes: list[str]
    train_rows: np.ndarray
    valid_rows: np.ndarray
    fold: int
    folder: Path
    device: torch.device

    def seed(self, epoch: int) -> int:
        """Seed of one epoch (0: of the initial weights), a function of the config's seed, the fold and the
        epoch."""
        return int(np.random.SeedSequence([self.config.train.seed, self.fold, epoch]).generate_state(1)[0])

    def batches(self, preprocess: Preprocess) -> TrainingBatches:
        """The fold's augmented training batches."""
        task = self.competition.task
        targets = task.targets(self.images.frame.iloc[self.train_rows], self.classes, self.config)
        transform = task.train_transform(self.config.augment, preprocess)
        return TrainingBatches(
            self.images, self.train_rows, targets, transform, self.config, preprocess, self.device
        )


def start(job: FoldJob) -> tuple[Session, TrainingBatches, Preprocess]:
    """A fold before its first step: the initial weights are a function of the config and the fold."""
    make_deterministic(job.device)
    if job.device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(job.seed(0))
    model = job.competition.task.build_model(job.config.model, job.classes).to(
        job.device, memory_format=torch.channels_last
    )
    preprocess = Preprocess.of_model(model, job.config.model.image_size)
    batches = job.batches(preprocess)
    if hasattr(model, "init_from_images"):
        model.init_from_images(batches.plain(count=5000))
    return Session.start(model, job.config.resolved().train, job.device), batches, preprocess


def train_fold(job: FoldJob, log: FoldLog | None = None) -> Checkpoint:
    """Train one fold, resuming from ``last.pt`` where there is one, and return what to predict with.

    Raises
    ------
    UserError : the loss is no longer finite; names the epoch and what to lower.
    """
    config, metric = job.config.train, job.competition.metric
    session, batches, preprocess = start(job)
    last, best = job.folder / "last.pt", job.folder / "best.pt"
    session.resume(last)
    _announce(job, session)
    log = log or FoldLog()
    log.begun(group_rows(session.groups, config))
    mixer = job.competition.task.mixer(job.config.augment, job.classes)
    objective = job.competition.task.objective(config, batches.targets)

    for epoch in range(len(session.history), config.epochs):
        if _is_over(session, config.patience, config.max_minutes, metric):
            say(f"fold {job.fold}: stopped after epoch {epoch} of {config.epochs}")
            break
        started = time.monotonic()
        loss, lr = _train_epoch(job, session, batches, objective, mixer, epoch)
        trained = time.monotonic()
        score = validate(job, session, preprocess)
        seconds = time.monotonic() - started
        rate = len(batches) * batches.batch_size / (trained - started)
        session.history.append(Epoch(epoch + 1, loss, lr, score, rate, seconds))
        left = round((config.epochs - epoch - 1) * seconds)
        say(
            f"fold {job.fold}  epoch {epoch + 1}/{config.epochs}  loss {loss:.4f}  lr {lr:.2g}  "
            f"{metric} {score:.4f}  {rate:,.0f} images/s  ETA {left // 60}:{left % 60:02}"
        )
        if session.best_epoch(metric) == epoch + 1:
            Checkpoint(session.weights(), job.config, job.classes, preprocess, {}).save(best)
        # History first, last.pt after: whoever finds last.pt of an epoch finds its history too.
        with atomic_path(job.folder / "history.csv") as temporary:
            pd.DataFrame([vars(row) for row in session.history]).to_csv(temporary, index=False)
        session.save(last, job.config, job.classes, preprocess)
        log.epoch(session.history[-1])
    return Checkpoint.load(best if config.keep == "best" else last)


def _train_epoch(
    job: FoldJob,
    session: Session,
    batches: TrainingBatches,
    objective: Objective,
    mixer: Mixer,
    epoch: int,
) -> tuple[float, float]:
    """One pass over the training rows; returns the mean loss and the last learning rate."""
    config, count = job.config.train, len(batches)
    steps = math.ceil(count / config.accumulate)
    set_trainable(session.model, config, epoch)
    losses = []
    with progress(f"fold {job.fold} epoch {epoch + 1}", count * batches.batch_size, "images") as advance:
        for number, (images, targets) in enumerate(batches.epoch(job.seed(epoch + 1))):
            step = epoch * steps + number // config.accumulate
            lr = session.set_lr(step, config.epochs * steps, config)
            images, targets = mixer(images, targets)
            with torch.autocast(job.device.type, session.dtype, enabled=session.dtype is not None):
                loss = objective(session.model, images, targets)
            # The last group of an epoch may hold fewer batches than the others.
            group = min(config.accumulate, count - number // config.accumulate * config.accumulate)
            session.scaler.scale(loss / group).backward()
            if (number + 1) % config.accumulate == 0 or number + 1 == count:
                session.step(config, step + 1)
            losses.append(loss.detach())
            # Reading a loss waits for the GPU, so only now and then.
            advance(len(images), f"loss {losses[-1].item():.3f}  lr {lr:.2g}" if number % 20 == 0 else "")
    mean = torch.stack(losses).mean().item()
    if not math.isfinite(mean):
        raise UserError(
            f"fold {job.fold}: the loss is {mean} in epoch {epoch + 1}: lower --train.lr "
            "or set --train.clip-norm"
        )
    return mean, lr


def training_step(job: FoldJob, session: Session, batches: TrainingBatches) -> Callable[[float], float]:
    """Function that takes one optimiser step at a given learning rate and returns the loss before it."""
    task, config = job.competition.task, job.config.train
    objective = task.objective(config, batches.targets)
    mixer = task.mixer(job.config.augment, job.classes)
    set_trainable(session.model, replace(config, unfreeze_every=0), 0)
    endless = (batch for epoch in itertools.count() for batch in batches.epoch(job.seed(epoch + 1)))
    numbers = itertools.count(1)

    def step(lr: float) -> float:
        for group, described in zip(session.optimizer.param_groups, session.groups, strict=True):
            group["lr"] = lr * described.scale
        images, targets = mixer(*next(endless))
        with torch.autocast(job.device.type, session.dtype, enabled=session.dtype is not None):
            loss = objective(session.model, images, targets)
        session.scaler.scale(loss).backward()
        session.step(config, next(numbers))
        return loss.item()

    return step


def validate(job: FoldJob, session: Session, preprocess: Preprocess) -> float:
    """The competition's metric on the fold's validation rows, without test-time augmentation."""
    config = replace(job.config.predict, flip=False, shift=0, crops=1, scales=(1.0,))
    with tempfile.TemporaryDirectory() as folder:
        request = Request(
            job.images,
            job.valid_rows,
            job.classes,
            preprocess,
            config,
            job.config.train.workers,
            job.device,
            Path(folder),
        )
        predictions = predict(session.predictor, job.competition.task, request)
        truth = job.images.frame.iloc[job.valid_rows]
        return float(job.competition.score(truth, predictions, job.classes))


def _is_over(session: Session, patience: int | None, max_minutes: float | None, metric: str) -> bool:
    """Whether to stop early: no better score for `patience` epochs, or no time for another epoch."""
    if not session.history:
        return False
    if patience is not None and len(session.history) - session.best_epoch(metric) >= patience:
        return True
    seconds = [row.seconds for row in session.history]
    return max_minutes is not None and sum(seconds) + max(seconds) > 60 * max_minutes


def _announce(job: FoldJob, session: Session) -> None:
    precision = str(session.dtype or torch.float32).removeprefix("torch.")
    say(
        f"fold {job.fold}: {job.config.model.name} on {job.device}, {precision}, "
        f"{len(job.train_rows):,} images to learn from, {len(job.valid_rows):,} to measure on"
    )
    for line in describe_groups(session.groups, job.config.train, session.model):
        say(f"  {line}")
    if session.history:
        say(f"  resumed after epoch {len(session.history)}")
