"""Run lengths: the inverse of each other, equal to a slow reference, in agreement with COCO's, and strict."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays

from pipeline.frame.rle import decode, encode

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9))


def slow(mask: np.ndarray) -> str:
    """Pixel by pixel, down each column."""
    runs: list[list[int]] = []
    previous = False
    for position, inside in enumerate((bool(value) for column in mask.T for value in column), start=1):
        if inside and previous:
            runs[-1][1] += 1
        elif inside:
            runs.append([position, 1])
        previous = inside
    return " ".join(f"{start} {length}" for start, length in runs)


@settings(deadline=None)
@given(MASKS)
def test_encoding_equals_the_reference_and_decoding_brings_the_mask_back(mask):
    text = encode(mask)
    assert text == slow(mask)
    back = decode(text, *mask.shape)
    assert back.dtype == bool
    assert np.array_equal(back, mask)


@settings(deadline=None)
@given(MASKS)
def test_runs_are_those_of_coco_without_the_gaps(mask):
    coco = pytest.importorskip("faster_coco_eval.core.mask")
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    numbers = [int(word) for word in encode(mask).split()]
    assert sum(numbers[1::2]) == int(coco.area(encoded))
    # COCO's counts alternate between background and inside, from the first pixel on.
    counts, position = [], 1
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        counts += [start - position, length]
        position = start + length
    counts += [mask.size + 1 - position] if position <= mask.size else []
    height, width = mask.shape
    (other,) = coco.frPyObjects([{"counts": counts, "size": [height, width]}], height, width)
    assert other["counts"] == encoded["counts"]


def test_a_known_mask():
    mask = np.zeros((3, 4), dtype=bool)
    mask[1:3, 1:3] = True
    assert encode(mask) == "5 2 8 2"


def test_an_empty_mask_is_an_empty_text_and_a_full_one_a_single_run():
    assert encode(np.zeros((5, 4), dtype=bool)) == ""
    assert not decode("", 5, 4).any()
    assert encode(np.ones((5, 4), dtype=bool)) == "1 20"


def test_runs_that_touch_are_one():
    assert encode(decode("1 2 3 2", 2, 3)) == "1 4"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 2 3", "pairs"),
        ("1 2.5", "no whole number"),
        ("-1 2", "no whole number"),
        ("a b", "no whole number"),
        ("0 2", "count from 1"),
        ("3 0", "length 0"),
        ("1 3 3 1", "overlaps"),
        ("5 1 1 1", "overlaps the one before it, or precedes it"),
        ("6 2", "outside"),
        ("7 1", "outside"),
        ("99999999999999999999 1", "outside"),
    ],
)
def test_malformed_texts_are_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        decode(text, 2, 3)


def test_only_two_dimensions_are_a_mask():
    with pytest.raises(ValueError, match="shape"):
        encode(np.zeros((1, 2, 3), dtype=bool))
