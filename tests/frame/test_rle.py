"""Run lengths: the inverse of each other, equal to a slow reference, in agreement with COCO's, and strict."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays

from pipeline.frame.rle import RunLengths, decode, encode

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


class TestRunLengths:
    @pytest.mark.parametrize("order", ["columns", "rows"])
    @pytest.mark.parametrize("first", [0, 1])
    def test_a_mask_survives_in_every_order_and_count(self, order, first):
        runs = RunLengths(order=order, first=first)
        mask = np.random.default_rng(0).random((7, 5)) < 0.4
        assert (runs.mask(runs.text(mask), 7, 5) == mask).all()

    def test_rows_go_from_left_to_right(self):
        mask = np.array([[False, True, True], [True, False, False]])
        assert RunLengths(order="rows").text(mask) == "2 3"
        assert RunLengths(order="rows", first=0).text(mask) == "1 3"
        assert RunLengths().text(mask) == "2 2 5 1"

    @pytest.mark.parametrize("cell", ["", " ", "-", "-1", None, float("nan")])
    def test_what_stands_for_nothing_is_read_as_such(self, cell):
        assert not RunLengths().mask(cell, 3, 4).any()

    def test_nothing_is_written_as_the_organiser_wants_it(self):
        assert RunLengths(empty="-").text(np.zeros((3, 4), dtype=bool)) == "-"

    @pytest.mark.parametrize("order", ["columns", "rows"])
    @pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 2), (8, 7), (20, 0), (0, 20)])
    def test_a_region_is_that_part_of_the_whole_mask(self, order, top, left):
        runs = RunLengths(order=order)
        mask = np.random.default_rng(1).random((11, 9)) < 0.5
        padded = np.zeros((40, 40), dtype=bool)
        padded[:11, :9] = mask
        found = runs.region(runs.text(mask), 11, 9, top, left, 6)
        assert (found == padded[top : top + 6, left : left + 6]).all()

    @pytest.mark.parametrize("first", [0, 1])
    def test_texts_of_objects_that_touch_or_overlap_become_one_mask(self, first):
        random, runs = np.random.default_rng(2), RunLengths(first=first)
        masks = random.random((4, 9, 8)) < 0.3
        together = runs.together([runs.text(mask) for mask in masks] + ["-1", ""])
        assert together == runs.text(masks.any(axis=0))
        assert runs.together([]) == runs.together(["-"]) == ""

    def test_a_pixel_that_does_not_exist_is_refused(self):
        with pytest.raises(ValueError, match="a run starts at 0, and pixels count from 1"):
            RunLengths().mask("0 3", 4, 4)
        with pytest.raises(ValueError, match="outside an image of 16 pixels"):
            RunLengths(first=0).mask("14 3", 4, 4)
