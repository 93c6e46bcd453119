"""What holds for every metric that is shipped ready-made."""

import math
import pickle
import re
from collections.abc import Callable

import numpy as np
import pytest

from pipeline.metrics import usual
from pipeline.metrics.metric import Metric

Arrays = tuple[np.ndarray, ...]
ROWS, CLASSES = 40, 4
METRICS = [value for value in vars(usual).values() if isinstance(value, Metric)]
METRICS += [
    usual.f_beta(),
    usual.f_beta(0.5, "macro"),
    usual.map_at(1),
    usual.map_at(3),
    usual.top_k_error(1),
    usual.top_k_error(2),
]
OF_LABELS = [
    usual.ACCURACY,
    usual.f_beta(2),
    usual.f_beta(1, "macro"),
    usual.f_beta(2, "samples"),
    usual.MEAN_COLUMN_LOG_LOSS,
    usual.weighted_log_loss([14, 2, 2, 2], [7, 1, 1, 1]),
    usual.ROC_AUC,
    usual.MEAN_COLUMN_AUC,
    usual.WEIGHTED_AUC,
    usual.PROBABILISTIC_F1,
]
OF_PIXELS = [
    make(background=background)
    for make in (usual.mean_dice, usual.global_dice, usual.mean_mask_precision)
    for background in (True, False)
] + [usual.global_f(0.5, background=False)]


def class_case(metric: Metric, random: np.random.Generator) -> tuple[Arrays, Arrays]:
    """Perfect arguments and poor ones, for classes that exclude one another, values or pixels."""
    truth = random.permutation(np.arange(ROWS) % CLASSES)
    one_hot = np.eye(CLASSES)[truth]
    guess = random.dirichlet(np.ones(CLASSES), ROWS)
    if metric.needs == "decisions":
        return (truth, truth), (truth, random.permutation(truth))
    if metric.needs == "pixels":
        return pixel_case(random)
    if metric.needs == "errors":
        sums = random.uniform(1, 100, (ROWS, 3))
        return (sums * [0, 0, 1],), (sums,)
    if metric.needs == "values":
        values = random.normal(2500, 500, (ROWS, 1))
        if metric is usual.LAPLACE_LOG_LIKELIHOOD:
            sigma = np.full((ROWS, 1), 70.0)
            return (values, np.hstack([values, sigma])), (values, np.hstack([values + 300, sigma]))
        return (values, values), (values, random.permutation(values))
    if metric is usual.KL_DIVERGENCE:
        return (guess, guess), (guess, random.permutation(guess))
    return (truth, one_hot), (truth, guess)


def label_case(metric: Metric, random: np.random.Generator) -> tuple[Arrays, Arrays]:
    """Perfect arguments and poor ones, for several labels to a row."""
    truth = random.random((ROWS, CLASSES)) < 0.4
    if metric.needs == "decisions":
        return (truth, truth), (truth, random.random((ROWS, CLASSES)) < 0.4)
    return (truth.astype(np.int64), truth * 1.0), (truth * 1.0, random.random((ROWS, CLASSES)))


def pixel_case(random: np.random.Generator) -> tuple[Arrays, Arrays]:
    """Perfect counts and poor ones."""
    counts = random.integers(1, 100, (ROWS, CLASSES, 3))
    return (counts * [1, 0, 0],), (counts,)


CASES = (
    [(metric, class_case) for metric in METRICS]
    + [(metric, label_case) for metric in OF_LABELS]
    + [(metric, lambda _, random: pixel_case(random)) for metric in OF_PIXELS]
)
every_case = pytest.mark.parametrize(
    ("metric", "case"), CASES, ids=[f"{metric.name}-{index}" for index, (metric, _) in enumerate(CASES)]
)
Case = Callable[[Metric, np.random.Generator], tuple[Arrays, Arrays]]


@every_case
def test_a_perfect_prediction_is_better_than_a_poor_one(metric: Metric, case: Case):
    for seed in range(5):
        perfect, poor = case(metric, np.random.default_rng(seed))
        best, worse = metric.function(*perfect), metric.function(*poor)
        assert type(best) is type(worse) is float
        assert math.isfinite(best) and metric.better(best, worse)
        if metric is not usual.LAPLACE_LOG_LIKELIHOOD:
            assert best == pytest.approx(1 if metric.larger_is_better else 0, abs=1e-12)


@every_case
def test_the_order_of_rows_does_not_matter(metric: Metric, case: Case):
    random = np.random.default_rng(7)
    _, arguments = case(metric, random)
    for _ in range(3):
        order = random.permutation(ROWS)
        shuffled = [array[order] for array in arguments]
        assert metric.function(*shuffled) == pytest.approx(metric.function(*arguments), rel=1e-12)


@every_case
@pytest.mark.filterwarnings("error")
def test_no_rows_have_no_score(metric: Metric, case: Case):
    _, arguments = case(metric, np.random.default_rng(0))
    score = metric.function(*[array[:0] for array in arguments])
    assert type(score) is float and math.isnan(score)
    assert not metric.better(score, 0.0) and metric.better(0.0, score)


@every_case
def test_arguments_are_left_as_they_were(metric: Metric, case: Case):
    _, arguments = case(metric, np.random.default_rng(0))
    before = [array.copy() for array in arguments]
    metric.function(*arguments)
    for array, copy in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@every_case
def test_arrays_that_do_not_belong_together_are_refused(metric: Metric, case: Case):
    _, (*truth, last) = case(metric, np.random.default_rng(0))
    for wrong in (last[:-1] if truth else last[0], last[..., None]):
        with pytest.raises(ValueError, match=re.escape(str(wrong.shape))) as refused:
            metric.function(*truth, wrong)
        assert "broadcast" not in str(refused.value)  # numpy's own words help nobody


@every_case
def test_nan_among_the_predictions_is_refused(metric: Metric, case: Case):
    _, (*truth, last) = case(metric, np.random.default_rng(0))
    broken = last.astype(np.float64)
    broken[(3,) + (0,) * (broken.ndim - 1)] = np.nan
    reasons = {"decisions": "(whole|bool), and the prediction is float64|NaN", "pixels": "whole"}
    with pytest.raises(ValueError, match=reasons.get(metric.needs, "1 NaN among")):
        metric.function(*truth, broken)


@every_case
def test_a_shipped_metric_travels_to_another_process(metric: Metric, case: Case):
    _, arguments = case(metric, np.random.default_rng(0))
    assert pickle.loads(pickle.dumps(metric)).function(*arguments) == metric.function(*arguments)


def test_names_are_unique_and_say_their_numbers():
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    assert {"micro_f1", "macro_f0_5", "map_at_3", "top_2_error"} <= set(names)
    assert usual.global_f(0.5, background=False).name == "global_f0_5"
