"""The usual metrics, ready to be a competition's ``metric``.

Constants where there is nothing to choose, functions that return a `Metric` where there is. What the boxes of
a frame need is in ``coco`` and ``voc``; objects, points and texts are scored by plain functions, for how they
are read from a frame is the competition's.
"""

from collections.abc import Sequence
from functools import partial

from pipeline.metrics import classes, f_score, images, log_loss, pixels, ranking, shares, values
from pipeline.metrics.metric import Metric

ACCURACY = Metric(name="accuracy", function=classes.accuracy, needs="decisions")
QUADRATIC_KAPPA = Metric(name="quadratic_kappa", function=classes.quadratic_kappa, needs="decisions")

LOG_LOSS = Metric(
    name="log_loss",
    function=log_loss.log_loss,
    needs="probabilities",
    larger_is_better=False,
    takes_top=True,
)
"""Kaggle's: rows rescaled, probabilities kept 1e-15 from 0 and 1."""

PLAIN_LOG_LOSS = Metric(
    name="plain_log_loss",
    function=partial(log_loss.log_loss, eps=0.0, rescale=False),
    needs="probabilities",
    larger_is_better=False,
)
"""As predicted: a true class with the probability 0 makes it infinite."""

MEAN_COLUMN_LOG_LOSS = Metric(
    name="mean_column_log_loss",
    function=log_loss.mean_column_log_loss,
    needs="probabilities",
    larger_is_better=False,
)
KL_DIVERGENCE = Metric(
    name="kl_divergence", function=shares.kl_divergence, needs="probabilities", larger_is_better=False
)

ROC_AUC = Metric(name="roc_auc", function=ranking.roc_auc, needs="probabilities")
"""Of class 1 against all others."""

MEAN_COLUMN_AUC = Metric(name="mean_column_auc", function=ranking.mean_column_auc, needs="probabilities")
WEIGHTED_AUC = Metric(name="weighted_auc", function=ranking.weighted_auc, needs="probabilities")
"""ALASKA2's: class 1 against all others; true positive rates up to 0.4 count twice."""

PROBABILISTIC_F1 = Metric(name="probabilistic_f1", function=f_score.probabilistic_f, needs="probabilities")

RMSE = Metric(name="rmse", function=values.rmse, needs="values", larger_is_better=False)
MEAN_COLUMN_RMSE = Metric(
    name="mean_column_rmse", function=values.mean_column_rmse, needs="values", larger_is_better=False
)
MAE = Metric(name="mae", function=values.mae, needs="values", larger_is_better=False)
R2 = Metric(name="r2", function=values.r2, needs="values")
LAPLACE_LOG_LIKELIHOOD = Metric(
    name="laplace_log_likelihood", function=values.laplace_log_likelihood, needs="values"
)
"""OSIC's: sigma at least 70, error at most 1000."""

PIXEL_RMSE = Metric(name="pixel_rmse", function=images.pixel_rmse, needs="errors", larger_is_better=False)
"""Over the values of all images, whatever their sizes."""

PIXEL_MAE = Metric(name="pixel_mae", function=images.pixel_mae, needs="errors", larger_is_better=False)

MEAN_IOU = Metric(name="mean_iou", function=pixels.mean_iou, needs="pixels")
PIXEL_ACCURACY = Metric(name="pixel_accuracy", function=pixels.pixel_accuracy, needs="pixels")


def f_beta(beta: float = 1.0, average: f_score.Average = "micro") -> Metric:
    """F-beta of decisions: ``micro_f1``, ``macro_f0_5``, ``samples_f2``."""
    function = partial(f_score.f_beta, beta=beta, average=average)
    return Metric(name=f"{average}_f{_in_name(beta)}", function=function, needs="decisions")


def map_at(k: int) -> Metric:
    """Mean average precision at `k` of rows with one true class: ``map_at_5``."""
    function = partial(ranking.map_at_k, k=k)
    return Metric(name=f"map_at_{k}", function=function, needs="probabilities", takes_top=True)


def top_k_error(k: int) -> Metric:
    """Share of rows whose true class is not among the first `k`: ``top_1_error``."""
    return Metric(
        name=f"top_{k}_error",
        function=partial(ranking.top_k_error, k=k),
        needs="probabilities",
        larger_is_better=False,
        takes_top=True,
    )


def weighted_log_loss(positive: Sequence[float], negative: Sequence[float]) -> Metric:
    """Log loss of labels with weights, in the order of the classes, where they are 1 and where they are 0."""
    return Metric(
        name="weighted_log_loss",
        function=partial(log_loss.weighted_log_loss, positive=tuple(positive), negative=tuple(negative)),
        needs="probabilities",
        larger_is_better=False,
    )


def mean_dice(*, background: bool) -> Metric:
    """Dice a mean over images and classes, both empty = 1; `background` says whether class 0 is graded."""
    return Metric(name="mean_dice", function=partial(pixels.mean_dice, background=background), needs="pixels")


def global_dice(*, background: bool) -> Metric:
    """Dice over all pixels together; `background` says whether class 0 is graded."""
    return Metric(
        name="global_dice", function=partial(pixels.global_f, background=background), needs="pixels"
    )


def global_f(beta: float, *, background: bool) -> Metric:
    """F-beta over all pixels together: ``global_f0_5``; `background` says whether class 0 is graded."""
    function = partial(pixels.global_f, beta=beta, background=background)
    return Metric(name=f"global_f{_in_name(beta)}", function=function, needs="pixels")


def mean_mask_precision(*, background: bool) -> Metric:
    """tgs-salt's precision over thresholds; `background` says whether class 0 is graded."""
    function = partial(pixels.mean_mask_precision, background=background)
    return Metric(name="mean_mask_precision", function=function, needs="pixels")


def _in_name(number: float) -> str:
    """1 for 1.0, 0_5 for 0.5."""
    return f"{number:g}".replace(".", "_")
