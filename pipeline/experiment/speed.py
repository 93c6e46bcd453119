"""How long a fold takes on this machine: measured on a few batches before the first one begins."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.config.groups import PredictConfig
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request, images_at_once
from pipeline.training.job import FoldJob
from pipeline.training.loop import LOSS_IMAGES, Started, start, training_step
from pipeline.training.plan import Seconds

ENOUGH_S = 1.0
"""Of each measurement, but for the first batch, which warms up."""


def measure_fold(job: FoldJob, tests: int) -> Seconds:
    """What the parts of a fold take, on its initial weights; nothing is kept of it.

    Parameters
    ----------
    tests : how many test images there are.
    """
    fold = start(job)
    step, valid = training_step(fold), len(fold.open.valid_rows)
    training = _each(lambda: step(0.0), len(fold.batches)) * len(fold.batches)
    with tempfile.TemporaryDirectory() as folder:
        views, without = job.config.predicting(), job.config.without_views()
        plain = _an_image(fold, without, Path(folder))
        many = plain if views == without else _an_image(fold, views, Path(folder))
    return Seconds(
        epoch=max(1e-6, training + plain * (valid + min(valid, LOSS_IMAGES))),
        views=many * (valid + tests),
        plain=plain * (valid + tests),
    )


def _each(work: Callable[[], object], most: int) -> float:
    """Seconds of one call, after one that is not measured where there are several."""
    first = _timed(work)
    if most == 1:
        return first
    began, count = time.perf_counter(), 0
    while count < most - 1 and time.perf_counter() - began < ENOUGH_S:
        work()
        count += 1
    return (time.perf_counter() - began) / count


def _an_image(fold: Started, config: PredictConfig, folder: Path) -> float:
    """Seconds for the prediction of one validation image, among as many as there is time for."""
    opened, most = fold.open, images_at_once(config, fold.preprocess.size)

    def some(count: int) -> Callable[[], object]:
        rows = opened.valid_rows[:count]
        request = Request(
            images=opened.images,
            rows=np.asarray(rows),
            classes=opened.classes,
            preprocess=fold.preprocess,
            config=config,
            workers=0,
            device=opened.device,
            folder=Path(tempfile.mkdtemp(dir=folder)),
        )
        return lambda: predict(fold.session.predictor, fold.job.competition.task, request)

    _timed(some(1))
    count, seconds = 0, 0.0
    for size in (min(4, most), min(32, most), most):
        if size > count and seconds * size / max(1, count) < ENOUGH_S:
            count, seconds = size, _timed(some(size))
    return seconds / min(count, len(opened.valid_rows))


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
