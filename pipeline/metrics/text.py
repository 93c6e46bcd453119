"""Scores of predicted texts."""

from collections.abc import Sequence

import numpy as np

from pipeline.metrics.arrays import mean_or_nan


def levenshtein(one: str, other: str) -> int:
    """Least number of characters to insert, delete or replace to turn one text into the other.

    The columns of the usual table are kept as the bits of two integers, one for "a step down" and one for "a
    step up", so that a text of 100 characters takes 100 steps instead of 10,000.

    References
    ----------
    Myers, A fast bit-vector algorithm for approximate string matching, JACM 46 (1999), in the form of
    Hyyrö, A bit-vector algorithm for computing Levenshtein and Damerau edit distances (2003).
    """
    if not one:
        return len(other)
    places: dict[str, int] = {}
    for index, character in enumerate(one):
        places[character] = places.get(character, 0) | 1 << index
    mask, last = (1 << len(one)) - 1, 1 << (len(one) - 1)
    up, down, distance = mask, 0, len(one)
    for character in other:
        equal = places.get(character, 0)
        diagonal = (((equal & up) + up) ^ up) | equal | down
        right_up = (down | ~(diagonal | up)) & mask
        right_down = up & diagonal
        distance += bool(right_up & last) - bool(right_down & last)
        right_up = (right_up << 1 | 1) & mask
        right_down = (right_down << 1) & mask
        up = (right_down | ~(diagonal | right_up)) & mask
        down = right_up & diagonal
    return distance


def mean_levenshtein(truth: Sequence[str], predictions: Sequence[str]) -> float:
    """Mean over rows of the Levenshtein distance.

    Parameters
    ----------
    truth, predictions : N texts each, in one order.

    Returns
    -------
    0 (best) to infinity, in characters; NaN without rows.

    Raises
    ------
    ValueError : another number of predictions than of truths.

    References
    ----------
    bms-molecular-translation, Evaluation.
    """
    if len(truth) != len(predictions):
        raise ValueError(f"there are {len(truth)} true texts and {len(predictions)} predicted ones")
    pairs = zip(truth, predictions, strict=True)
    return mean_or_nan(np.array([levenshtein(one, other) for one, other in pairs], dtype=np.float64))
