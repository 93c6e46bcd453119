"""Run lengths as Kaggle writes them: "start length start length ...", pixels counted from 1 by column.

COCO's run lengths are another format: they count from the first pixel and include the gaps.
"""

import numpy as np

DIGITS = 100
"""Longest number that is looked at: Python refuses those of thousands of digits."""


def encode(mask: np.ndarray) -> str:
    """Run lengths of a mask of shape (H, W) of bool, or of numbers of which any but 0 counts as inside.

    An empty mask gives an empty text.

    Raises
    ------
    ValueError : the mask does not have two dimensions.
    """
    if mask.ndim != 2:
        raise ValueError(f"a mask has the shape (H, W), not {mask.shape}")
    pixels = np.zeros(mask.size + 2, dtype=bool)  # a border of background, so that every run begins and ends
    pixels[1:-1] = mask.ravel(order="F")
    edges = np.flatnonzero(pixels[1:] != pixels[:-1])
    edges[1::2] -= edges[::2]  # from (begin, end) to (begin, length)
    edges[::2] += 1
    return " ".join(map(str, edges.tolist()))


def decode(text: str, height: int, width: int) -> np.ndarray:
    """Inverse of `encode`: bool of shape (height, width).

    Runs may touch, but must ascend.

    Raises
    ------
    ValueError : something that is no whole number, an odd count of them, a length of 0, runs that overlap or
        do not ascend, or a run outside the image.
    """
    words = text.split()
    wrong = [word for word in words if not (word.isascii() and word.isdecimal())]
    if wrong:
        raise ValueError(f"{wrong[0][:40]!r} is no whole number")
    if len(words) % 2:
        raise ValueError(f"{len(words)} numbers, and they must come in pairs of start and length")
    # As Python's integers first: a number of twenty digits is out of range, not an overflow.
    size = height * width
    outside = [word for word in words if len(word) > DIGITS or int(word) > size]
    if outside:
        raise ValueError(f"{outside[0][:40]} is outside an image of {size} pixels")
    numbers = np.array([int(word) for word in words], dtype=np.int64).reshape(-1, 2)
    starts, lengths = numbers[:, 0] - 1, numbers[:, 1]
    ends = starts + lengths
    if (starts < 0).any():
        raise ValueError("a run starts at 0, and pixels count from 1")
    if (lengths < 1).any():
        raise ValueError("a run has the length 0")
    if (ends > size).any():
        raise ValueError(f"a run ends at {ends.max()}, outside an image of {size} pixels")
    overlap = np.flatnonzero(starts[1:] < ends[:-1])
    if len(overlap):
        raise ValueError(
            f"the run at {starts[overlap[0] + 1] + 1} overlaps the one before it, or precedes it"
        )
    steps = np.zeros(size + 1, dtype=np.int8)
    steps[starts] += 1
    steps[ends] -= 1
    return steps[:-1].cumsum(dtype=np.int8).astype(bool).reshape((height, width), order="F")
