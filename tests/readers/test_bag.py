"""Rows of several images."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.competition.decoded import key_of, rows_of
from pipeline.frame.bags import bags_of
from pipeline.raw.levels import Levels
from pipeline.readers.arrays import Arrays
from pipeline.readers.bag import Bag
from pipeline.readers.decoding import Decoding, measured


@pytest.fixture
def slices(tmp_path):
    """Paths of five slices, each of one grey value."""
    paths = [str(tmp_path / f"{number}.png") for number in range(5)]
    for number, path in enumerate(paths):
        Image.new("RGB", (4, 3), (10 * number, 0, 0)).save(path)
    return paths


def row(paths, image_id="a"):
    return {"image_id": image_id, "path": paths[0], "paths": paths}


def reds(values):
    """The red value of each image of a bag of photographs."""
    return values[0, 0, ::3].tolist()


class TestBag:
    def test_fewer_images_leave_the_rest_empty(self, slices):
        found = Bag(most=4).read(row(slices[1:3]))
        assert found.shape == (3, 4, 12) and reds(found) == [10, 20, 0, 0]

    def test_of_more_images_evenly_spread_ones_are_read(self, slices):
        bag = Bag(most=3)
        assert reds(bag.read(row(slices))) == [0, 20, 40]
        assert bag.files(row(slices)) == (slices[0], slices[2], slices[4])
        assert bag.counts(pd.DataFrame({"paths": [slices, slices[:2]]})).tolist() == [3, 2]

    def test_neighbours_are_channels_of_each(self, slices):
        found = Bag(most=3, neighbours=1).read(row(slices))
        assert reds(found) == [0, 0, 10, 10, 20, 30, 30, 40, 40]

    def test_images_of_several_sizes_are_refused_or_resized(self, slices, tmp_path):
        Image.new("RGB", (8, 8), (200, 0, 0)).save(tmp_path / "other.png")
        paths = [slices[1], str(tmp_path / "other.png")]
        with pytest.raises(UserError, match=r"image a: its 2 images have 2 sizes.*Bag\(size="):
            Bag(most=2).read(row(paths))
        found = Bag(most=2, size=(6, 5)).read(row(paths))
        assert found.shape == (6, 5, 6) and reds(found) == [10, 200]

    def test_a_row_without_images_is_named(self):
        frame = pd.DataFrame({"image_id": ["a", "b"], "path": "x", "paths": [["x"], []]})
        with pytest.raises(UserError, match=r"1 row\(s\) have no images in their list of paths: b"):
            rows_of(Bag(), frame)

    def test_a_column_of_the_single_reader_is_a_list_beside_the_paths(self, tmp_path):
        bag = Bag(each=_Cut(), most=2)
        np.save(tmp_path / "x.npy", np.arange(6, dtype="uint8").reshape(2, 3))
        path = str(tmp_path / "x.npy")
        found = bag.read({**row([path, path]), "start": [0, 2]})
        assert found[:, 0].tolist() == [[0, 2], [3, 5]]
        with pytest.raises(UserError, match="image a: start lists 1 values beside 2 paths"):
            bag.read({**row([path, path]), "start": [0]})

    def test_rows_are_told_apart_by_their_images(self, slices):
        keys = {key_of(Bag(), row(paths)) for paths in (slices, slices[:2], [slices[0], slices[2]])}
        assert len(keys) == 3 and key_of(Bag(), row(slices)) == key_of(Bag(), row(np.array(slices)))


class _Cut(Arrays):
    """One column of an array."""

    columns = ("start",)

    def read(self, row):
        return np.load(row["path"])[:, [row["start"]]]


class TestDecoding:
    def test_statistics_are_those_of_single_images_without_the_empty_ones(self, tmp_path):
        paths = [str(tmp_path / f"{number}.npy") for number in range(4)]
        for number, path in enumerate(paths):
            np.save(path, np.full((2, 2), 1000.0 + number, dtype="float32"))
        bag = Bag(each=Arrays(axes="hw"), most=3)
        found = measured(bag, Levels(1000, 1003), [row(paths[:1]), row(paths[1:], "b")])
        decoding = found.decoding
        assert decoding.channels == 3 and decoding.deep
        np.testing.assert_allclose(decoding.statistics.mean, [0.5] * 3, rtol=1e-5)
        np.testing.assert_allclose(decoding.image(row(paths[1:]))[0, 0], [1 / 3, 2 / 3, 1], rtol=1e-5)
        again = Decoding.from_json(bag, decoding.to_json())
        assert again == decoding and decoding.to_json()["images"] == 3

    def test_rows_with_more_images_than_are_read_are_told(self, slices):
        found = measured(Bag(most=2), None, [row(slices), row(slices[:2], "b")])
        assert found.notes == (
            "1 of 2 training rows looked at have more than 2 images, up to 5: 2 evenly spread ones are read",
        )
        assert found.decoding.channels == 6 and found.decoding.statistics is None

    def test_an_image_that_is_missing_is_named_with_its_row(self, slices, tmp_path):
        with pytest.raises(UserError, match=r"image a: .*gone\.png is missing"):
            Decoding(Bag(most=2), channels=6).image(row([slices[0], str(tmp_path / "gone.png")]))


class TestBagsOf:
    IMAGES = pd.DataFrame(
        {
            "image_id": ["s10", "s9", "t1"],
            "path": ["/s10", "/s9", "/t1"],
            "study": ["s", "s", "t"],
            "place": [1, 2, 3],
            "label": ["ill", "ill", "well"],
        }
    )

    def test_a_row_for_each_bag_in_the_order_asked_for(self):
        found = bags_of(self.IMAGES, by="study", lists=["place"])
        assert found["image_id"].tolist() == ["s", "t"] and found["label"].tolist() == ["ill", "well"]
        assert found["paths"].tolist() == [["/s9", "/s10"], ["/t1"]] and found["path"].tolist() == [
            "/s9",
            "/t1",
        ]
        assert found["place"].tolist() == [[2, 1], [3]]
        assert bags_of(self.IMAGES, "study", ["place"], order="place")["paths"].iloc[0] == ["/s10", "/s9"]

    def test_what_differs_within_a_bag_is_no_column_of_it(self):
        with pytest.raises(UserError, match="1 of the bags by study have several values of place: s;"):
            bags_of(self.IMAGES, by="study")

    def test_an_image_without_a_bag_is_named(self):
        with pytest.raises(UserError, match=r"1 image\(s\) have no study: t1"):
            bags_of(self.IMAGES.assign(study=["s", "s", None]), by="study", lists=["place"])
