"""Which precision is faster, for training and for prediction: measured once, and kept with the run.

What a fold gives depends on the precision by rounding, so the choice is part of its identity, and a run
that goes on or is repeated keeps to it. Runs of the same network and sizes on one machine share it too.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from pipeline.base.device import amp_dtype
from pipeline.base.files import digest, write_json
from pipeline.base.progress import say
from pipeline.config.config import Config
from pipeline.inputs.batches import Images
from pipeline.inputs.loading import Loaders
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request, images_at_once
from pipeline.runs.run import read_json
from pipeline.training.job import FoldJob
from pipeline.training.loop import Started, start

FILE = "precision.json"
ROUNDS = 3
"""Times that each is timed, in turns, after once that is not."""
GAIN = 1.05
"""How many times as fast mixed precision must be to be chosen; timings that lie closer are noise."""
SECONDS = 0.3
"""Of prediction in each round, or one image where that takes longer."""

ConfigT = TypeVar("ConfigT", bound=Config)


def with_precision(
    config: ConfigT, device: str, run: Path, shared: Path, job: Callable[[Config], FoldJob]
) -> ConfigT:
    """`config` with on or off where it says auto: as the run has it, as this machine has it, or as measured.

    Parameters
    ----------
    run : the run's folder.
    shared : a folder for what was measured on this machine.
    job : makes a fold's job with another config, to be measured with.
    """
    typed = {"train": config.train.amp, "predict": config.predict.amp}
    wanted = [name for name, value in typed.items() if value == "auto"]
    if not wanted:
        return config
    remembered = shared / f"{digest(_depends_on(config, device))}.json"
    known = _speeds(remembered)
    speed = known | _speeds(run / FILE)
    missing = [name for name in wanted if name not in speed]
    if missing:
        dtype = amp_dtype(torch.device(device))
        if dtype is None:
            measured = dict.fromkeys(missing, 0.0)
        else:
            measured = measure(job(_set(config, {"train": "on", "predict": "on"})), missing)
            _tell(measured, str(dtype).removeprefix("torch."))
        write_json(remembered, known | measured)
        speed |= measured
    speed = {name: speed[name] for name in wanted}
    if _speeds(run / FILE) != speed:
        write_json(run / FILE, speed)
    return _set(config, typed | {name: "on" if value > GAIN else "off" for name, value in speed.items()})


def _depends_on(config: Config, device: str) -> list[Any]:
    """What the speeds depend on, and nothing else: runs that differ otherwise shall choose alike, so that
    they can share their folds."""
    model = {**vars(config.model), "weights": None, "pretrained": False}
    train = (config.train.batch_size, config.train.frozen_stages, config.train.unfreeze_every)
    return [model, train, device, _hardware(device), torch.__version__]


def _set(config: ConfigT, amp: dict[str, Any]) -> ConfigT:
    train, predict = replace(config.train, amp=amp["train"]), replace(config.predict, amp=amp["predict"])
    return replace(config, train=train, predict=predict)


def _hardware(device: str) -> str:
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.backends.cpu.get_cpu_capability()} {torch.get_num_threads()}"


def _speeds(path: Path) -> dict[str, float]:
    """What a file says; nothing where there is none or it cannot be read: it is measured again then."""
    value = read_json(path)
    try:
        return {name: float(value[name]) for name in ("train", "predict") if name in value}  # pyright: ignore[reportOptionalSubscript, reportOperatorIssue]  # then a TypeError
    except (KeyError, TypeError, ValueError):
        return {}


def _tell(speed: dict[str, float], name: str) -> None:
    called = {"train": "training", "predict": "prediction"}
    parts = [
        f"{called[part]} in {name if value > GAIN else 'float32'} ({name} is {value:.2f} times as fast)"
        for part, value in speed.items()
    ]
    say(f"precision: {', '.join(parts)}")


def measure(job: FoldJob, parts: Sequence[str]) -> dict[str, float]:
    """How many times as fast as in float32 a fold trains and predicts in mixed precision, on random weights.

    Parameters
    ----------
    job : with mixed precision on. Nothing of it is kept.
    parts : train, predict, or both.
    """
    fold = start(job)
    found = {}
    if "train" in parts:
        found["train"] = _ratio(_training(fold), fold.open.device)
    if "predict" in parts:
        with tempfile.TemporaryDirectory() as folder:
            found["predict"] = _ratio(_prediction(fold, Path(folder)), fold.open.device)
    return found


def _training(fold: Started) -> Callable[[bool], None]:
    """Function that computes the gradients of one batch in one precision."""
    images, targets = fold.mixer(*next(iter(fold.batches.epoch(fold.job.seed(1)))))

    def work(amp: bool) -> None:
        with torch.autocast(images.device.type, fold.session.dtype, enabled=amp):
            loss = fold.objective(fold.session.model, images, targets)
        loss.backward()
        fold.session.optimizer.zero_grad(set_to_none=True)

    return work


@dataclass(frozen=True, eq=False)
class _ReadOnce(Images):
    """Some images that stay in memory, for what is timed is not their reading."""

    kept: tuple[np.ndarray, ...] = ()

    def read(self, row: int) -> np.ndarray:
        """See Images."""
        return self.kept[row]


def _prediction(fold: Started, folder: Path) -> Callable[[bool], None]:
    """Function that predicts a few validation images in one precision, without views."""
    job, opened = fold.job, fold.open
    config = job.config.predict.plain()
    most = min(images_at_once(config, fold.preprocess.size), len(opened.valid_rows))

    def some(count: int) -> Callable[[bool], None]:
        rows = opened.valid_rows[:count]
        images = _ReadOnce(
            opened.images.frame.iloc[rows],
            None if opened.images.packed is None else opened.images.packed[rows],
            opened.images.decoding,
            kept=tuple(opened.images.read(int(row)) for row in rows),
        )

        def work(amp: bool) -> None:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                request = Request(
                    images=images,
                    rows=np.arange(count),
                    classes=opened.classes,
                    preprocess=fold.preprocess,
                    config=replace(config, amp="on" if amp else "off"),
                    loaders=Loaders(0, opened.device),
                    folder=Path(own),
                )
                predict(fold.session.predictor, job.competition.task, request)

        return work

    one = some(1)
    one(False)
    return some(int(np.clip(SECONDS / _seconds(one, False, opened.device), 1, most)))


def _ratio(work: Callable[[bool], None], device: torch.device) -> float:
    for amp in (False, True):
        work(amp)
    times = [(_seconds(work, False, device), _seconds(work, True, device)) for _ in range(ROUNDS)]
    plain, mixed = (statistics.median(column) for column in zip(*times, strict=True))
    return plain / mixed


def _seconds(work: Callable[[bool], None], amp: bool, device: torch.device) -> float:
    started = time.perf_counter()
    work(amp)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started
