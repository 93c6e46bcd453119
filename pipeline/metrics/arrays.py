"""What the metrics share: cheap checks of their arrays, and a mean that may be undefined."""

import numpy as np

from pipeline.frame.top import Top

PROBABILITY_SLACK = 1e-6
"""How far a probability may leave 0 to 1: sums of float32 do by about 1e-7."""


def mean_or_nan(values: np.ndarray) -> float:
    """Mean of all values as a Python float; NaN where there are none."""
    return float(np.mean(values)) if values.size else float("nan")


def defined_mean(values: np.ndarray) -> float:
    """Mean of the values that are not NaN; NaN where there are none."""
    return mean_or_nan(values[~np.isnan(values)])


def check_numbers(**arrays: np.ndarray) -> None:
    """Refuse NaN.

    Raises
    ------
    ValueError : an array has NaN; the message names it and counts them.
    """
    for name, array in arrays.items():
        if array.dtype.kind in "fc" and (count := int(np.isnan(array).sum())):
            raise ValueError(f"the {name} has {count} NaN among {array.size} numbers")


def check_pair(truth: np.ndarray, predictions: np.ndarray) -> None:
    """Refuse two arrays that differ in shape, or have NaN.

    Raises
    ------
    ValueError : as said.
    """
    if truth.shape != predictions.shape:
        raise ValueError(f"the truth has the shape {truth.shape} and the prediction {predictions.shape}")
    check_numbers(truth=truth, prediction=predictions)


def check_decisions(truth: np.ndarray, predictions: np.ndarray) -> None:
    """Refuse what are not two arrays of class indices (N,) or two of yes and no (N, C).

    Raises
    ------
    ValueError : shapes that differ, one or more than two axes, indices that are not whole, labels that are
        not bool.
    """
    check_pair(truth, predictions)
    if truth.ndim not in (1, 2):
        raise ValueError(f"decisions are class indices (N,) or labels (N, C), not of the shape {truth.shape}")
    kinds, what = ("biu", "whole") if truth.ndim == 1 else ("b", "bool")
    for name, array in (("truth", truth), ("prediction", predictions)):
        if array.dtype.kind not in kinds:
            raise ValueError(
                f"decisions of the shape {array.shape} are {what}, and the {name} is {array.dtype}"
            )


def check_class_rows(truth: np.ndarray, predictions: np.ndarray) -> None:
    """Refuse what are not true class indices (N,) beside a row for each of them (N, C).

    Raises
    ------
    ValueError : other shapes, an index that is no column, NaN.
    """
    if truth.ndim != 1 or predictions.ndim != 2 or len(truth) != len(predictions):
        raise ValueError(
            f"class indices (N,) need predictions (N, C), and the shapes are {truth.shape} and "
            f"{predictions.shape}"
        )
    check_numbers(prediction=predictions)
    if truth.dtype.kind not in "biu":
        raise ValueError(f"class indices are whole numbers, and the truth is {truth.dtype}")
    count = predictions.shape[1]
    if len(truth) and not 0 <= truth.min() <= truth.max() < count:
        raise ValueError(
            f"the truth has classes from {truth.min()} to {truth.max()}, and the predictions {count} columns"
        )


def check_truth(truth: np.ndarray, predictions: Top) -> None:
    """Refuse what are not class indices (N,) for rows of the most probable classes.

    Raises
    ------
    ValueError : other shapes, or an index that is no class.
    """
    check_class_rows(truth, np.broadcast_to(np.float32(0), (len(predictions), predictions.classes)))


def check_probabilities(predictions: np.ndarray) -> None:
    """Refuse numbers outside 0 to 1, but for rounding.

    Raises
    ------
    ValueError : as said.
    """
    if not predictions.size:
        return
    if predictions.min() < -PROBABILITY_SLACK or predictions.max() > 1 + PROBABILITY_SLACK:
        raise ValueError(
            f"probabilities lie between 0 and 1, and the predictions go from {predictions.min():g} to "
            f"{predictions.max():g}"
        )


def label_columns(truth: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """The truth as one column of yes and no for each column of predictions.

    Parameters
    ----------
    truth : class indices (N,), or 0 and 1 (N, C).
    predictions : (N, C).

    Returns
    -------
    bool (N, C).

    Raises
    ------
    ValueError : shapes that do not fit, NaN, an index that is no column, a label other than 0 and 1.
    """
    if truth.ndim == 1:
        check_class_rows(truth, predictions)
        return truth[:, None] == np.arange(predictions.shape[1])
    check_pair(truth, predictions)
    if truth.ndim != 2 or not np.isin(truth, (0, 1)).all():
        raise ValueError(f"labels are 0 and 1 in rows and columns, unlike the truth of {truth.shape}")
    return truth.astype(bool)


def one_class(truth: np.ndarray, predictions: np.ndarray, positive: int) -> tuple[np.ndarray, np.ndarray]:
    """One class against all others: who belongs to it, and the scores for it.

    Parameters
    ----------
    truth : class indices (N,), or 0 and 1 (N, C).
    predictions : (N, C). A single column is the score of class 1.
    positive : the class. Without meaning where there is a single column.

    Returns
    -------
    bool (N,) and float (N,).

    Raises
    ------
    ValueError : shapes that do not fit, NaN, a class that is no column.
    """
    if predictions.ndim == 2 and predictions.shape[1] == 1:
        return label_columns(truth.reshape(-1, 1), predictions)[:, 0], predictions[:, 0]
    labels = label_columns(truth, predictions)
    if not 0 <= positive < predictions.shape[1]:
        raise ValueError(f"class {positive} is none of the {predictions.shape[1]} columns")
    return labels[:, positive], predictions[:, positive]
