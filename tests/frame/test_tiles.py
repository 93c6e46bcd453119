"""Images as rows of overlapping squares."""

import numpy as np
import pandas as pd
import pytest
import tifffile

from pipeline.base.errors import UserError
from pipeline.frame.rle import RunLengths
from pipeline.frame.tiles import TileRows, Tiling


@pytest.fixture
def images(tmp_path) -> pd.DataFrame:
    rows = []
    for name, size in {"a": (70, 45), "b": (20, 100), "c": (32, 32)}.items():
        tifffile.imwrite(tmp_path / f"{name}.tiff", np.zeros(size, dtype="uint8"))
        rows.append((name, str(tmp_path / f"{name}.tiff")))
    return pd.DataFrame(rows, columns=["image_id", "path"])


@pytest.mark.parametrize(("side", "step"), [(32, 24), (32, 32), (30, 11)])
@pytest.mark.parametrize("order", ["columns", "rows"])
def test_own_parts_of_squares_are_the_image_without_a_pixel_twice(images, side, step, order):
    tiling = Tiling(side=side, step=step)
    random, form = np.random.default_rng(0), TileRows(key="{image}", runs=RunLengths(order=order, empty="-"))
    for whole, places in tiling.rows(images).groupby("whole"):
        height, width = places[["whole_height", "whole_width"]].iloc[0]
        mask = random.random((height, width)) < 0.4
        beyond = np.pad(mask, ((0, tiling.side), (0, tiling.side)), constant_values=True)
        seen = np.zeros((height, width), dtype=int)
        squares = []
        for top, left in places[["top", "left"]].to_numpy():
            squares.append(beyond[top : top + tiling.side, left : left + tiling.side])
            down, across = tiling.own(top, left, height, width)
            seen[top + down.start : top + down.stop, left + across.start : left + across.stop] += 1
        assert (seen == 1).all(), whole
        assert form.text_of(tiling, places, squares) == form.runs.text(mask)
        assert form.text_of(tiling, places, [square & False for square in squares]) == "-"


def test_shrunk_squares_are_handed_in_at_the_images_own_size(images):
    tiling, form = Tiling(side=32, step=24, shrink=2), TileRows(key="{image}")
    places = tiling.rows(images[:1])
    full = form.text_of(tiling, places, [np.ones((16, 16), dtype=bool)] * len(places))
    assert full == RunLengths().text(np.ones((70, 45)))
    with pytest.raises(UserError, match="do not shrink by 3"):
        Tiling(side=32, step=24, shrink=3)
    with pytest.raises(UserError, match="no tiles of side 8 every 9"):
        Tiling(side=8, step=9)


def test_rows_are_checked_against_the_wholes(images):
    form = TileRows(key="{image}").of(["x"])
    tiles = Tiling(side=32, step=24).rows(images)
    sample = form.sample_of([*"abc"])
    form.check_sample(sample, tiles)
    assert form.checked(sample.assign(rle=["3 3148", "", ""]), sample, tiles, "s.csv")["rle"][0] == "3 3148"
    with pytest.raises(UserError, match="a has no valid run lengths"):
        form.checked(sample.assign(rle=["3 3149", "", ""]), sample, tiles, "s.csv")
