"""Training of one fold: a straight-line loop that can be killed at any moment and goes on from its last
epoch."""

import contextlib
import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from pipeline.base.device import channels_last, keep_freed_memory, make_deterministic
from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import banner, progress, say
from pipeline.competition.evaluate import evaluation_of
from pipeline.inputs.batches import HeldOutBatches, TrainingBatches, evaluation_batches
from pipeline.inputs.loading import Loaders
from pipeline.inputs.preprocess import Preprocess
from pipeline.inputs.table import width_of
from pipeline.networks.compiled import compile_network
from pipeline.networks.freeze import backbone_of, checkpoint_gradients, set_trainable
from pipeline.networks.groups import describe_groups, group_rows
from pipeline.networks.joint import Given
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request, images_at_once
from pipeline.tasks.task import Mixer, Objective, measuring
from pipeline.training.averaging import Snapshots, average, choose
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.history import Epoch, best_epoch, has_no_patience, save_history
from pipeline.training.job import FoldJob, FoldLog, OpenJob
from pipeline.training.ranks import ALONE, Ranks
from pipeline.training.session import Session

LOSS_IMAGES = 1000
"""Validation images whose loss is measured after each epoch, evenly chosen: enough for a curve."""
NOTHING_TO_LEARN = (
    "there was nothing to learn, because every target is ignored (a mask value that means a class and is "
    "ignored?) or all are the same: look at them with make preview"
)


@dataclass(frozen=True, kw_only=True)
class Started:
    """A fold before its next step, with all that its steps need."""

    job: FoldJob
    open: OpenJob
    session: Session
    batches: TrainingBatches
    preprocess: Preprocess
    held_out: HeldOutBatches
    loaders: Loaders
    mixer: Mixer
    objective: Objective
    ranks: Ranks


def start(job: FoldJob, ranks: Ranks = ALONE) -> Started:
    """A fold before its first step: the initial weights are a function of the config and the fold."""
    opened, task = job.open(), job.competition.task
    device, decoding = opened.device, opened.images.decoding
    make_deterministic(device, job.config.train.deterministic)
    if device.type == "cpu":
        keep_freed_memory()
    torch.manual_seed(job.seed(0))
    table = opened.table
    given = Given(decoding.channels, decoding.reader.images, width_of(table))
    model = ranks.joined(channels_last(task.build_network(job.config, opened.classes, given), device))
    if job.config.model.grad_checkpointing:
        checkpoint_gradients(model)
    about = job.config.model
    preprocess = Preprocess.of_model(model, about.image_size, decoding, about.fit, table)
    batches = opened.batches(preprocess, ranks)
    init_from_images: Callable[[torch.Tensor], None] | None = getattr(
        backbone_of(model), "init_from_images", None
    )
    if init_from_images is not None:
        init_from_images(batches.plain(count=5000))
    return Started(
        job=job,
        open=opened,
        session=Session.start(model, job.config.resolved().train, device),
        batches=batches,
        preprocess=preprocess,
        held_out=opened.held_out(preprocess, LOSS_IMAGES, ranks),
        loaders=Loaders(job.config.train.workers, device),
        mixer=task.mixer(job.config, opened.classes),
        objective=job.competition.objective(job.config, batches.targets)
        or task.objective(job.config, batches.targets),
        ranks=ranks,
    )


def train_fold(job: FoldJob, log: FoldLog | None = None, ranks: Ranks = ALONE) -> Checkpoint:
    """Train one fold, resuming from ``last.pt`` where there is one, and return what to predict with.

    Parameters
    ----------
    ranks : which of the processes that train it together this is; only the first one writes.

    Raises
    ------
    UserError : the loss, the weights or the predictions are no longer finite; names the fold, the epoch and
        what to lower. The epoch is not saved.
    """
    config, metric = job.config.train, job.competition.metric
    fold = start(job, ranks)
    session, last = fold.session, job.folder / "last.pt"
    if config.compile:
        compile_network(session.model, fold.open.device)
    snapshots = Snapshots(job.folder, config.average_epochs) if config.averages else None
    if ranks.first:
        _forget_useless(job, last, snapshots)
    ranks.same(None)
    session.resume(last, type(job.config))
    if session.history and ranks.first:
        save_history(session.history, job.folder)  # whatever became of the file
    _announce(fold)
    log = log or FoldLog()
    log.begun(group_rows(session.groups, config))
    # How many there is time for is the first process's to say: its clock is not the others'.
    while (epoch := len(session.history)) < (epochs := ranks.same(job.epochs(session.history))):
        if has_no_patience(session.history, config, metric):
            say(f"fold {job.fold}: stopped after epoch {epoch} of {epochs}")
            break
        session.history.append(ranks.same(_epoch(fold, epoch, epochs)))
        if ranks.first:
            _save_epoch(fold, last, snapshots)
        log.epoch(session.history[-1])
    ranks.same(None)
    if snapshots:
        _average(fold, snapshots)
    if ranks.first:
        return _with_memory(fold, job.folder / f"{config.keep}.pt")
    return _checkpoint(fold, session.weights())


def _forget_useless(job: FoldJob, last: Path, snapshots: Snapshots | None) -> None:
    """Remove ``last.pt`` where what belongs to it is lost: all is trained again."""
    if job.config.train.keep == "best" and not (job.folder / "best.pt").exists():
        last.unlink(missing_ok=True)  # it does not hold the best epoch's weights
    if snapshots and last.exists():
        done = len(Checkpoint.load(last, type(job.config)).training["history"])
        if not snapshots.are_there(done):
            last.unlink()  # it holds one of the epochs alone


def _save_epoch(fold: Started, last: Path, snapshots: Snapshots | None) -> None:
    """Write what the epoch that has ended leaves."""
    job, session = fold.job, fold.session
    epoch = len(session.history)
    if best_epoch(session.history, job.competition.metric) == epoch:
        _checkpoint(fold, session.weights()).save(job.folder / "best.pt")
    if snapshots:
        _checkpoint(fold, session.weights()).save(snapshots.path(epoch))
    # History first, last.pt after: whoever finds last.pt of an epoch finds its history too.
    save_history(session.history, job.folder)
    session.save(last, job.config, fold.open.classes, fold.preprocess)
    if snapshots:
        snapshots.forget(epoch)


@torch.inference_mode()
def _with_memory(fold: Started, path: Path) -> Checkpoint:
    """The checkpoint to predict with, and in its file what the task keeps of the images learned from."""
    job, device = fold.job, fold.open.device
    checkpoint = Checkpoint.load(path, type(job.config))
    if not job.competition.task.remembers(job.config):
        return checkpoint
    batches = evaluation_batches(
        fold.open.images,
        fold.open.train_rows,
        fold.preprocess,
        images_at_once(job.config.predict, fold.preprocess.size),
        fold.loaders,
    )
    model = checkpoint.build(job.competition.task, device)
    kept = job.competition.task.remembered(model, batches, fold.batches.targets)
    checkpoint = replace(checkpoint, state=checkpoint.state | kept)
    checkpoint.save(path)
    return checkpoint


def _checkpoint(fold: Started, state: dict[str, torch.Tensor]) -> Checkpoint:
    """A checkpoint to predict with."""
    return Checkpoint(
        state=state,
        config=fold.job.config,
        classes=fold.open.classes,
        preprocess=fold.preprocess,
        training={},
    )


def _average(fold: Started, snapshots: Snapshots) -> None:
    """Write the mean of the last epochs as ``swa.pt`` or ``soup.pt``, and say what it scores."""
    job, session, config, metric = fold.job, fold.session, fold.job.config.train, fold.job.competition.metric
    session.ema = None  # its weights are in the snapshots: what is averaged now predicts itself
    epochs = snapshots.last(len(session.history))
    states = {epoch: Checkpoint.load(snapshots.path(epoch), type(job.config)).state for epoch in epochs}

    def score(chosen: Sequence[int]) -> float:
        average(
            [states[epoch] for epoch in chosen],
            session.model,
            lambda: set_trainable(session.model, config, len(session.history) - 1),
            lambda: _one_pass(fold),
        )
        fold.ranks.level(session.model)
        return validate(fold)

    chosen = choose(config, session.history, epochs, metric, score)
    found = score(chosen)
    say(f"fold {job.fold}: the mean of the epochs {name_some(chosen)}: {metric.name} {found:.4f}")
    if fold.ranks.first:
        _checkpoint(fold, session.weights()).save(job.folder / f"{config.keep}.pt")
        snapshots.remove()


def _one_pass(fold: Started) -> None:
    """The network's outputs for the training rows once, augmented but not mixed, and thrown away."""
    job, session, batches = fold.job, fold.session, fold.batches
    device, count = fold.open.device.type, max(1, len(batches) // job.config.train.passes)
    for images, targets in itertools.islice(batches.epoch(job.seed(job.config.train.epochs + 1)), count):
        with torch.autocast(device, session.dtype, enabled=session.dtype is not None):
            fold.objective(session.model, images, targets)


def _epoch(fold: Started, epoch: int, epochs: int) -> Epoch:
    """Train and validate once, of so many times, and say how it went."""
    job, config, metric = fold.job, fold.job.config.train, fold.job.competition.metric
    started = time.monotonic()
    loss, lr = _train_epoch(fold, epoch, epochs)
    trained = time.monotonic()
    fold.ranks.level(fold.session.predictor)
    score, valid_loss = validate(fold), held_out_loss(fold)
    seconds = time.monotonic() - started
    rate = len(fold.batches) * fold.batches.batch_size / (trained - started)
    left = round((epochs - epoch - 1) * seconds)
    say(
        f"fold {job.fold}  epoch {epoch + 1}/{epochs}  loss {loss:.4f}  valid {valid_loss:.4f}  "
        f"lr {lr:.2g}  {metric.name} {score:.4f}  {rate:,.0f} images/s  ETA {left // 60}:{left % 60:02}"
    )
    if math.isnan(score) and config.keep == "best":
        say(f"warning: {metric.name} is not defined on these images, so this epoch is never the best")
    return Epoch(
        epoch=epoch + 1,
        loss=loss,
        lr=lr,
        score=score,
        images_per_second=rate,
        seconds=seconds,
        valid_loss=valid_loss,
    )


def _train_epoch(fold: Started, epoch: int, epochs: int) -> tuple[float, float]:
    """One pass over the training rows, of so many; returns the mean loss and the last learning rate."""
    job, session, batches, config = fold.job, fold.session, fold.batches, fold.job.config.train
    count, device, ranks = len(batches), fold.open.device.type, fold.ranks
    steps = math.ceil(count / config.accumulate)
    set_trainable(session.model, config, epoch)
    losses, lr = [], 0.0
    learner, share = ranks.learner(session.model, fold.objective), ranks.share(batches.batch_size)
    with progress(f"fold {job.fold} epoch {epoch + 1}", count * batches.batch_size, "images") as advance:
        following = job.seed(epoch + 2) if epoch + 1 < epochs else None
        for number, (images, targets) in enumerate(batches.epoch(job.seed(epoch + 1), following)):
            step = epoch * steps + number // config.accumulate
            lr = session.set_lr(step, epochs * steps, config)
            images, targets = fold.mixer(images, targets)
            steps_now = (number + 1) % config.accumulate == 0 or number + 1 == count
            # The last group of an epoch may hold fewer batches than the others.
            group = min(config.accumulate, count - number // config.accumulate * config.accumulate)
            with nullcontext() if steps_now else ranks.alone(learner):
                with torch.autocast(device, session.dtype, enabled=session.dtype is not None):
                    loss = share * learner(images, targets)
                session.scaler.scale(loss / group).backward()
            if steps_now:
                session.step(config, step + 1)
            losses.append(loss.detach())
            # Reading a loss waits for the GPU, so only now and then.
            told = f"loss {losses[-1].item():.3f}  lr {lr:.2g}" if number % 20 == 0 else ""
            advance(batches.batch_size, told)
    mean = statistics.fmean(ranks.all(torch.stack(losses).mean().item()))
    if not math.isfinite(mean):
        raise UserError(
            f"fold {job.fold}: the loss is {mean} in epoch {epoch + 1}: lower --train.lr "
            "or set --train.clip-norm"
        )
    _require_finite(fold, session.model.state_dict() | session.weights(), epoch)
    if mean == 0 and not any(row.loss == 0 for row in session.history):
        banner(f"warning: fold {job.fold}: the loss is exactly 0 in epoch {epoch + 1}: {NOTHING_TO_LEARN}")
    return mean, lr


def _require_finite(fold: Started, weights: dict[str, torch.Tensor], epoch: int) -> None:
    """Raise UserError where the last step, which no loss has seen, broke the weights."""
    broken = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
    if broken:
        raise UserError(
            f"fold {fold.job.fold}: the weights are no longer finite after epoch {epoch + 1} "
            f"({name_some(broken)}): lower --train.lr or set --train.clip-norm"
        )


def training_step(fold: Started) -> Callable[[float], float]:
    """Function that takes one optimiser step at a given learning rate and returns the loss before it."""
    session, config, job = fold.session, fold.job.config.train, fold.job
    set_trainable(session.model, replace(config, unfreeze_every=0), 0)
    endless = (batch for epoch in itertools.count() for batch in fold.batches.epoch(job.seed(epoch + 1)))
    numbers = itertools.count(1)

    def step(lr: float) -> float:
        for group, described in zip(session.optimizer.param_groups, session.groups, strict=True):
            group["lr"] = lr * described.scale
        images, targets = fold.mixer(*next(endless))
        with torch.autocast(fold.open.device.type, session.dtype, enabled=session.dtype is not None):
            loss = fold.objective(session.model, images, targets)
        session.scaler.scale(loss).backward()
        session.step(config, next(numbers))
        return loss.item()

    return step


def validate(fold: Started) -> float:
    """The competition's metric on the fold's validation rows, without test-time augmentation."""
    job, opened, ranks = fold.job, fold.open, fold.ranks
    part = ranks.part(len(opened.valid_rows))
    with contextlib.ExitStack() as stack:
        own = stack.enter_context(tempfile.TemporaryDirectory()) if ranks.first else ""
        request = Request(
            images=opened.images,
            rows=opened.valid_rows[part],
            classes=opened.classes,
            preprocess=fold.preprocess,
            config=job.config.predict.plain(),
            loaders=fold.loaders,
            folder=Path(ranks.same(own)),
        )
        found = predict(fold.session.predictor, job.competition.task, request) if len(request.rows) else None
        frames = [frame for frame in ranks.all(found) if frame is not None]
        if not ranks.first:
            return ranks.same(math.nan)
        predictions = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
        wrong = predictions["image_id"].to_numpy()[~job.competition.task.finite(predictions)]
        if len(wrong):
            raise UserError(
                f"fold {job.fold}: after epoch {len(fold.session.history) + 1} the predictions of "
                f"{len(wrong):,} row(s) are not finite ({name_some(wrong)}): lower --train.lr "
                "or set --train.clip-norm"
            )
        return ranks.same(evaluation_of(job.competition, opened.truth, predictions, opened.classes).score)


@torch.no_grad()
def held_out_loss(fold: Started) -> float:
    """The mean loss of the fold's validation images, or of `LOSS_IMAGES` of them, none of them augmented or
    mixed, by the network that predicts; in float32, as prediction is."""
    model, total, count = fold.session.predictor, 0.0, 0
    with measuring(model):
        for images, targets, number in fold.held_out:
            total += fold.objective(model, images, targets).item() * number
            count += number
    parts = fold.ranks.all((total, count))
    return sum(total for total, _ in parts) / max(1, sum(count for _, count in parts))


def _announce(fold: Started) -> None:
    job, session = fold.job, fold.session
    precision = str(session.dtype or torch.float32).removeprefix("torch.")
    say(
        f"fold {job.fold}: {job.config.model.name} on {job.device}, {precision}, "
        f"{len(fold.open.lessons.rows):,} images to learn from, {len(fold.open.valid_rows):,} to measure on"
    )
    for line in fold.open.lessons.notes:
        say(f"  {line}")
    for line in describe_groups(session.groups, job.config.train, session.model):
        say(f"  {line}")
    if session.history:
        say(f"  resumed after epoch {len(session.history)}")
