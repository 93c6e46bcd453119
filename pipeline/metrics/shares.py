"""Scores of shares: rows that divide 1 among the classes, such as votes."""

import numpy as np

from pipeline.metrics.arrays import check_pair, check_probabilities, mean_or_nan

SUM_SLACK = 1e-5
"""How far the sum of a row may be from 1."""


def kl_divergence(truth: np.ndarray, predictions: np.ndarray, *, eps: float = 1e-15) -> float:
    """Mean over rows of the Kullback-Leibler divergence of the truth from the prediction.

    Parameters
    ----------
    truth, predictions : float (N, C) from 0 to 1 whose rows sum to 1.
    eps : predictions are kept between `eps` and 1 - `eps`. With 0, a share that was given 0 makes it
        infinite.

    Returns
    -------
    0 (best) to infinity; NaN without rows.

    Raises
    ------
    ValueError : shapes that differ, NaN, numbers outside 0 to 1, a row that does not sum to 1.

    References
    ----------
    hms-harmful-brain-activity-classification; kaggle.com/code/metric/kullback-leibler-divergence.
    """
    check_pair(truth, predictions)
    for name, shares in (("truth", truth), ("prediction", predictions)):
        if shares.ndim != 2:
            raise ValueError(f"shares are (N, C), and the {name} is {shares.shape}")
        check_probabilities(shares)
        wrong = np.flatnonzero(np.abs(shares.sum(axis=1) - 1) > SUM_SLACK)
        if len(wrong):
            raise ValueError(f"row {wrong[0]} of the {name} sums to {shares[wrong[0]].sum():g} and not to 1")
    from scipy.special import rel_entr

    return mean_or_nan(rel_entr(np.maximum(truth, 0), np.clip(predictions, eps, 1 - eps)).sum(axis=1))
