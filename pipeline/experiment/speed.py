"""How long a fold takes on this machine: measured on a few batches before the first one begins."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.config.groups import PredictConfig
from pipeline.inputs.loading import Loaders
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request, images_at_once
from pipeline.training.job import FoldJob
from pipeline.training.loop import LOSS_IMAGES, Started, start, training_step
from pipeline.training.plan import Seconds

ENOUGH_S = 1.0
"""Of training steps; no fewer than `STEPS` of them, whose median counts: what else the machine does for a
moment shall not cost epochs."""
STEPS = 3
PREDICTION_S = 0.3
"""Of prediction, which is measured on more images where that was shorter: the first few cost most."""


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
    times = [_timed(work)]
    began = time.perf_counter()
    while len(times) <= min(STEPS, most - 1) or (
        len(times) < most and time.perf_counter() - began < ENOUGH_S
    ):
        times.append(_timed(work))
    return statistics.median(times[1:] or times)


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
            loaders=Loaders(0, opened.device),
            folder=Path(tempfile.mkdtemp(dir=folder)),
        )
        return lambda: predict(fold.session.predictor, fold.job.competition.task, request)

    _timed(some(1))
    most = min(most, len(opened.valid_rows))
    count, seconds = 0, 0.0
    while count < most and seconds < PREDICTION_S:
        count = min(most, max(4, 8 * count))
        seconds = _timed(some(count))
    return seconds / count


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
