"""Scores of predicted images, from sums over their values.

All take one array, float64 (N, 3): of each image the sum of the squared errors, the sum of the absolute ones,
and how many values they are of. Images may differ in size: every value counts the same.
"""

import numpy as np

from pipeline.metrics.arrays import check_numbers


def error_sums(truth: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """float64 (3,) of one image, see the module, from values of one shape.

    Raises
    ------
    ValueError : shapes that differ.
    """
    if truth.shape != predictions.shape:
        raise ValueError(f"the truth has the shape {truth.shape} and the prediction {predictions.shape}")
    errors = np.subtract(truth, predictions, dtype=np.float64)
    return np.array([(errors**2).sum(), np.abs(errors).sum(), errors.size])


def pixel_rmse(sums: np.ndarray) -> float:
    """Root of the mean squared error over all values of all images.

    Parameters
    ----------
    sums : float64 (N, 3), see the module.

    Returns
    -------
    0 (best) to infinity, in the unit of the values; NaN without values.

    Raises
    ------
    ValueError : another shape, NaN.

    References
    ----------
    denoising-dirty-documents, Evaluation.
    """
    return float(np.sqrt(_mean(sums, 0)))


def pixel_mae(sums: np.ndarray) -> float:
    """Mean of the absolute errors over all values of all images; otherwise as `pixel_rmse`."""
    return _mean(sums, 1)


def _mean(sums: np.ndarray, column: int) -> float:
    if sums.ndim != 2 or sums.shape[1] != 3:
        raise ValueError(f"sums of errors are (N, 3): squared, absolute, count; not {sums.shape}")
    check_numbers(prediction=sums)
    count = sums[:, 2].sum()
    return float(sums[:, column].sum() / count) if count else float("nan")
