"""Score of points that must fall into labelled boxes, as kuzushiji-recognition grades."""

from collections.abc import Iterable

import numpy as np

from pipeline.metrics.f_score import f_of_counts


def point_matches(
    points: np.ndarray, point_labels: np.ndarray, boxes: np.ndarray, box_labels: np.ndarray
) -> tuple[int, int, int]:
    """Pair points with true boxes of one image and count.

    Each box in turn takes the first free point that has its label and lies inside; the edge is outside.

    Parameters
    ----------
    points : float (P, 2), x and y.
    point_labels : (P,), anything that compares.
    boxes : float (G, 4), left, top, right and bottom.
    box_labels : (G,).

    Returns
    -------
    True positives, false positives (points without a box), false negatives (boxes without a point).

    Raises
    ------
    ValueError : shapes that do not fit, NaN among the points.

    References
    ----------
    kuzushiji-recognition; gist.github.com/SohierDane/a90ef46d79808fe3afc70c80bae45972.
    """
    fits = points.shape == (len(point_labels), 2) and boxes.shape == (len(box_labels), 4)
    if not fits or np.isnan(points).any():
        raise ValueError(
            f"points (P, 2) without NaN and boxes (G, 4) need a label each, and {points.shape} and "
            f"{boxes.shape} came with {len(point_labels)} and {len(box_labels)}"
        )
    free = np.ones(len(points), dtype=bool)
    for (left, top, right, bottom), label in zip(boxes, box_labels, strict=True):
        x, y = points.T
        inside = (left < x) & (x < right) & (top < y) & (y < bottom)
        candidates = np.flatnonzero(free & inside & (point_labels == label))
        free[candidates[:1]] = False
    found = int((~free).sum())
    return found, len(points) - found, len(boxes) - found


def point_f1(counts: Iterable[tuple[int, int, int]]) -> float:
    """F1 of what `point_matches` counted, over all images together.

    Parameters
    ----------
    counts : true positives, false positives and false negatives of each image.

    Returns
    -------
    0 to 1; 0 where no image has a box or a point, as the competition's code has it; NaN without images.

    References
    ----------
    kuzushiji-recognition; gist.github.com/SohierDane/a90ef46d79808fe3afc70c80bae45972.
    """
    table = np.array(list(counts), dtype=np.int64).reshape(-1, 3)
    if not len(table):
        return float("nan")
    return float(np.nan_to_num(f_of_counts(*table.sum(axis=0)), nan=0.0))
