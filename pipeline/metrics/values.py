"""Scores of predicted numbers."""

import numpy as np

from pipeline.metrics.arrays import check_numbers, check_pair, mean_or_nan


def rmse(truth: np.ndarray, predictions: np.ndarray) -> float:
    """Root of the mean squared error over all numbers together.

    Parameters
    ----------
    truth, predictions : float of one shape, such as (N, K).

    Returns
    -------
    0 (best) to infinity, in the unit of the values; NaN without numbers.

    Raises
    ------
    ValueError : shapes that differ, NaN.

    References
    ----------
    petfinder-pawpularity-score, denoising-dirty-documents.
    """
    return float(np.sqrt(mean_or_nan(_errors(truth, predictions) ** 2)))


def mean_column_rmse(truth: np.ndarray, predictions: np.ndarray) -> float:
    """Mean of the columns' root mean squared errors (MCRMSE).

    Parameters
    ----------
    truth, predictions : float (N, K).

    Returns
    -------
    0 (best) to infinity; NaN without numbers.

    Raises
    ------
    ValueError : shapes that differ or are not (N, K), NaN.
    """
    errors = _errors(truth, predictions)
    _check_columns(truth)
    if not truth.size:
        return float("nan")
    return mean_or_nan(np.sqrt((errors**2).mean(axis=0)))


def mae(truth: np.ndarray, predictions: np.ndarray) -> float:
    """Mean of the absolute errors over all numbers together.

    Parameters
    ----------
    truth, predictions : float of one shape, such as (N, K).

    Returns
    -------
    0 (best) to infinity, in the unit of the values; NaN without numbers.

    Raises
    ------
    ValueError : shapes that differ, NaN.
    """
    return mean_or_nan(np.abs(_errors(truth, predictions)))


def r2(truth: np.ndarray, predictions: np.ndarray) -> float:
    """Share of the variance that is explained, averaged over columns.

    Parameters
    ----------
    truth, predictions : float (N, K).

    Returns
    -------
    Up to 1 (perfect); 0 for the truth's mean, below it for worse. NaN with fewer than two rows, and where the
    truth of a column does not vary.

    Raises
    ------
    ValueError : shapes that differ or are not (N, K), NaN.
    """
    check_pair(truth, predictions)
    _check_columns(truth)
    if not truth.size or (truth == truth[0]).all(axis=0).any():
        return float("nan")
    from sklearn.metrics import r2_score

    return float(r2_score(truth, predictions))


def laplace_log_likelihood(
    truth: np.ndarray, predictions: np.ndarray, *, least_sigma: float = 70.0, most_error: float = 1000.0
) -> float:
    """Mean log likelihood of a Laplace distribution with a predicted spread, as OSIC modified it.

    ``-sqrt(2) * min(|error|, most_error) / s - log(sqrt(2) * s)`` with ``s = max(sigma, least_sigma)``.

    Parameters
    ----------
    truth : float (N, 1) or (N,).
    predictions : float (N, 2): a value and its sigma, both in the truth's unit.
    least_sigma : smaller sigmas count as this one; above 0. The default is OSIC's, in millilitres.
    most_error : larger errors count as this one.

    Returns
    -------
    Up to ``-log(sqrt(2) * least_sigma)``, which is below 0 with the default. NaN without rows.

    Raises
    ------
    ValueError : shapes that do not fit, NaN.

    References
    ----------
    osic-pulmonary-fibrosis-progression, Evaluation.
    """
    if (
        predictions.ndim != 2
        or predictions.shape[1] != 2
        or truth.shape
        not in (
            (len(predictions),),
            (len(predictions), 1),
        )
    ):
        raise ValueError(
            f"a likelihood needs a value (N, 1) beside value and sigma (N, 2), and the shapes are "
            f"{truth.shape} and {predictions.shape}"
        )
    check_numbers(truth=truth, prediction=predictions)
    value, sigma = predictions.T
    spread = np.sqrt(2) * np.maximum(sigma, least_sigma)
    error = np.minimum(np.abs(truth.reshape(-1) - value), most_error)
    return mean_or_nan(-2 * error / spread - np.log(spread))


def _errors(truth: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Differences as float64, for those of two uint8 images would wrap around."""
    check_pair(truth, predictions)
    return np.subtract(truth, predictions, dtype=np.float64)


def _check_columns(values: np.ndarray) -> None:
    if values.ndim != 2:
        raise ValueError(f"a mean over columns needs values (N, K), not of the shape {values.shape}")
