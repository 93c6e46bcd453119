"""F scores: of decisions, of probabilities, and of counts."""

from typing import Literal

import numpy as np

from pipeline.metrics.arrays import check_decisions, defined_mean, one_class

Average = Literal["micro", "macro", "samples"]
"""Over all decisions together, over classes, or over rows."""


def f_of_counts(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray, beta: float = 1.0) -> np.ndarray:
    """F-beta of counts of true positives, false positives and false negatives.

    Parameters
    ----------
    tp, fp, fn : numbers of one shape, not negative.
    beta : how many times recall counts what precision counts. 1 gives the Dice coefficient.

    Returns
    -------
    float64 of that shape, 0 to 1; NaN where nothing was there and nothing was found.
    """
    # As float64 first: counts of a small integer type would wrap around.
    true, spurious, missed = (np.asarray(count, dtype=np.float64) for count in (tp, fp, fn))
    share = (1 + beta**2) * true
    whole = share + beta**2 * missed + spurious
    return np.divide(share, whole, out=np.full(whole.shape, np.nan), where=whole > 0)


def f_beta(
    truth: np.ndarray, predictions: np.ndarray, *, beta: float = 1.0, average: Average = "micro"
) -> float:
    """F-beta of decisions.

    Parameters
    ----------
    truth, predictions : int (N,) class indices, or bool (N, C) of labels.
    beta : how many times recall counts what precision counts.
    average : ``"micro"`` counts all decisions together (for class indices, that is the accuracy);
        ``"macro"`` is the mean over classes; ``"samples"`` the mean over rows, of labels only.

    Returns
    -------
    0 to 1. Classes (or rows) that have nothing in truth and predictions have no score and are left out of the
    mean; NaN where nothing is left.

    Raises
    ------
    ValueError : shapes or types that do not fit; rows of class indices averaged over samples.

    References
    ----------
    herbarium-2020-fgvc7 and iwildcam-2019-fgvc6 (macro), imet-2020-fgvc7 and plant-seedlings-classification
    (micro), planet-understanding-the-amazon-from-space (samples, beta 2).
    """
    check_decisions(truth, predictions)
    if average == "samples" and truth.ndim == 1:
        raise ValueError("a mean over samples needs several labels to a row (N, C), not one class index")
    counts = (
        _class_counts(truth, predictions) if truth.ndim == 1 else _label_counts(truth, predictions, average)
    )
    if average == "micro":
        counts = counts.sum(axis=1, keepdims=True)
    return defined_mean(f_of_counts(*counts, beta=beta))


def probabilistic_f(
    truth: np.ndarray, predictions: np.ndarray, *, beta: float = 1.0, positive: int = 1
) -> float:
    """F-beta in which a prediction counts as positive by its probability.

    Parameters
    ----------
    truth : class indices (N,), or 0 and 1 (N, C).
    predictions : float (N, C), cut to 0 to 1. A single column is the probability of class 1.
    beta : how many times recall counts what precision counts.
    positive : the class that is looked for.

    Returns
    -------
    0 to 1; NaN where no row belongs to the class, for there is no recall then.

    Raises
    ------
    ValueError : shapes that do not fit, NaN, a class that is no column.

    References
    ----------
    Yacouby and Axman, Probabilistic Extension of Precision, Recall, and F1 Score, Eval4NLP 2020;
    rsna-breast-cancer-detection, whose own code divides by 0 where this gives NaN or where all
    probabilities are 0, which gives 0 here.
    """
    labels, probabilities = one_class(truth, predictions, positive)
    if not labels.any():
        return float("nan")
    probabilities = np.clip(probabilities, 0, 1)
    tp = probabilities[labels].sum()
    return float(f_of_counts(tp, probabilities[~labels].sum(), labels.sum() - tp, beta))


def _class_counts(truth: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """int64 (3, C): true positives, false positives and false negatives of the C classes that occur."""
    names, codes = np.unique(np.concatenate([truth, predictions]), return_inverse=True)
    true, predicted = codes[: len(truth)], codes[len(truth) :]
    tp = np.bincount(true[true == predicted], minlength=len(names))
    counted = [np.bincount(part, minlength=len(names)) for part in (predicted, true)]
    return np.stack([tp, counted[0] - tp, counted[1] - tp])


def _label_counts(truth: np.ndarray, predictions: np.ndarray, average: Average) -> np.ndarray:
    """int64 (3, C), or (3, N) of rows: true positives, false positives and false negatives."""
    axis = 1 if average == "samples" else 0
    parts = (truth & predictions, ~truth & predictions, truth & ~predictions)
    return np.stack([part.sum(axis=axis) for part in parts])
