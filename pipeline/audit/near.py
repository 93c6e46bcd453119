"""Near copies: all pairs of fingerprints that differ by little, found without comparing each with each.

The largest frequencies of all images are a projection, which can only shorten a distance: a k-d tree over
them finds every pair that may be close, and the whole fingerprints decide.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from pipeline.audit.fingerprint import POSITIONS, turned

NEAR = 0.25
"""Greatest difference of near copies: the root mean square over what remains of two pictures after brightness
and contrast, as a share of the contrast. JPEG at quality 60 and half the size stay far below, and so do
most photos with 30 % more light (the others lose their highlights)."""
AXES = 20
"""Dimensions of the tree."""
QUERIES = 1000
"""Images looked up at a time; bounds memory."""
CLOSEST = 20
"""Near copies that are kept of each image: in a film each frame is near hundreds."""


class Pairs(NamedTuple):
    """Near copies, each pair once, the closest first.

    Attributes
    ----------
    first, second : int64 (P,), rows of two images, the lower one first.
    difference : float32 (P,), 0 to `NEAR`.
    position : int64 (P,), what was done to the first: a place in `pipeline.audit.fingerprint.POSITIONS`.
    """

    first: np.ndarray
    second: np.ndarray
    difference: np.ndarray
    position: np.ndarray


def near_pairs(values: np.ndarray, advance: Callable[[int], None] = lambda count: None) -> Pairs:
    """All pairs of images that are near copies, mirrored and turned ones among them.

    Parameters
    ----------
    values : float32 (N, LENGTH), fingerprints; zeros are near none.
    advance : told how many images have been looked up, of 8 N in all.

    Returns
    -------
    Pairs; of an image with more than `CLOSEST` near copies in later rows, in one position, the closest ones.
    """
    usable = np.flatnonzero(np.any(values != 0, axis=1))
    found = []
    if len(usable) > 1:
        kept = values[usable]
        # Those in which the images differ most tell most of them apart.
        axes = np.argsort(-np.mean(np.square(kept), axis=0), kind="stable")[:AXES]
        tree = KDTree(kept[:, axes], leafsize=32)
        for position in range(len(POSITIONS)):
            for start in range(0, len(usable), QUERIES):
                rows = np.arange(start, min(start + QUERIES, len(usable)))
                asked = turned(kept[rows], position)
                near = tree.query_ball_point(asked[:, axes], NEAR, workers=-1)
                found += [
                    _closest(kept, values, row, np.asarray(others, dtype=np.int64), position)
                    for row, values, others in zip(rows.tolist(), asked, near, strict=True)
                    if len(others) > 1 or others[:1] not in ([], [row])
                ]
                advance(len(rows))
    return _unique(found, usable)


def _closest(kept: np.ndarray, asked: np.ndarray, row: int, others: np.ndarray, position: int) -> Pairs:
    """A row beside those of the rows after it that are near it."""
    others = others[others > row]
    difference = np.linalg.norm(kept[others] - asked, axis=1)
    close = np.argsort(difference, kind="stable")[:CLOSEST]
    close = close[difference[close] <= NEAR]
    count = len(close)
    return Pairs(np.full(count, row), others[close], difference[close], np.full(count, position))


def _unique(found: Sequence[Pairs], usable: np.ndarray) -> Pairs:
    """Each pair once, in the position where it is closest; as it is, where several are equally close."""
    none = np.zeros(0, dtype=np.int64)
    empty = Pairs(none, none, np.zeros(0, dtype=np.float32), none)
    first, second, difference, position = (np.concatenate(parts) for parts in zip(empty, *found, strict=True))
    order = np.lexsort((position, second, first, difference.round(3)))
    both = np.stack([first[order], second[order]], axis=1)
    once = order[np.sort(np.unique(both, axis=0, return_index=True)[1])]
    return Pairs(usable[first[once]], usable[second[once]], difference[once], position[once])
