"""Each ready reader on files in the layout of the competitions that have them."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.readers.arrays import Arrays
from pipeline.readers.decoding import stored
from pipeline.readers.dicom import Dicom
from pipeline.readers.records import BsonPictures, JsonBands, scan_bson, scan_json
from pipeline.readers.regions import TiffRegion, corners_of, tiff_size
from pipeline.readers.stored import Several, Stored
from pipeline.readers.tables import Spectrogram

RANDOM = np.random.default_rng(0)


def read(reader, path, **columns):
    """What a reader sent to another process gives for one row."""
    return stored(pickle.loads(pickle.dumps(reader)), {"image_id": "x", "path": str(path), **columns})


class TestArrays:
    def test_axes_say_what_is_a_channel(self, tmp_path):
        values = RANDOM.standard_normal((6, 5, 4)).astype("float16")
        np.save(tmp_path / "x.npy", values)
        channels = read(Arrays(axes="chw"), tmp_path / "x.npy")
        assert channels.shape == (5, 4, 6) and channels.dtype == np.float16
        np.testing.assert_array_equal(channels[..., 2], values[2])
        tall = read(Arrays(axes="tall", take=(0, 2, 4)), tmp_path / "x.npy")
        np.testing.assert_array_equal(tall[..., 0], np.concatenate([values[0], values[2], values[4]]))
        np.testing.assert_array_equal(read(Arrays(take=(3,)), tmp_path / "x.npy"), values[..., 3:])

    def test_one_array_of_an_archive_by_its_name(self, tmp_path):
        np.savez(tmp_path / "x.npz", one=np.zeros((2, 3)), other=np.ones((2, 3)))
        assert read(Arrays(axes="hw", key="other"), tmp_path / "x.npz").min() == 1
        with pytest.raises(UserError, match=r"it holds one, other, and the reader's key is 'third'"):
            read(Arrays(axes="hw", key="third"), tmp_path / "x.npz")

    def test_missing_values_are_filled_where_that_is_asked_for(self, tmp_path):
        np.save(tmp_path / "x.npy", np.array([[np.nan, 2.0]]))
        assert read(Arrays(axes="hw", fill=-1), tmp_path / "x.npy").ravel().tolist() == [-1, 2]

    @pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01", b"no array"])
    def test_what_is_no_array_is_named(self, tmp_path, content):
        (tmp_path / "x.npy").write_bytes(content)
        with pytest.raises(UserError, match=r"image x: .*x.npy is not what Arrays reads"):
            read(Arrays(), tmp_path / "x.npy")


class TestStored:
    def test_every_bit_and_channel_is_kept(self, tmp_path):
        deep = RANDOM.integers(0, 4096, (5, 4), dtype="uint16")
        Image.fromarray(deep).save(tmp_path / "deep.png")
        np.testing.assert_array_equal(read(Stored(), tmp_path / "deep.png")[..., 0], deep)
        for mode, channels in {"L": 1, "RGB": 3, "RGBA": 4}.items():
            Image.new(mode, (4, 5)).save(tmp_path / f"{mode}.png")
            assert read(Stored(), tmp_path / f"{mode}.png").shape == (5, 4, channels)

    def test_pages_are_channels_or_an_error(self, tmp_path):
        pages = [Image.fromarray(RANDOM.integers(0, 65536, (5, 4), dtype="uint16")) for _ in range(4)]
        pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
        found = read(Stored(pages=True), tmp_path / "x.tif")
        np.testing.assert_array_equal(found, np.dstack([np.asarray(page) for page in pages]))
        with pytest.raises(UserError, match="it has 4 pages"):
            read(Stored(), tmp_path / "x.tif")

    def test_several_files_are_the_channels_of_one_image(self, tmp_path):
        for name, value in (("red", 1), ("green", 2)):
            Image.new("L", (3, 2), value).save(tmp_path / f"{name}.png")
        reader = Several(paths=("path", "green"))
        row = {"path": str(tmp_path / "red.png"), "green": str(tmp_path / "green.png"), "image_id": "x"}
        assert stored(reader, row)[0, 0].tolist() == [1, 2]
        assert reader.columns == ("green",) and reader.files(row) == (row["path"], row["green"])

    def test_files_of_other_sizes_are_no_image(self, tmp_path):
        Image.new("L", (3, 2)).save(tmp_path / "one.png")
        Image.new("L", (3, 3)).save(tmp_path / "other.png")
        with pytest.raises(UserError, match="its files have 2 sizes"):
            read(Several(paths=("path", "other")), tmp_path / "one.png", other=str(tmp_path / "other.png"))

    def test_the_one_that_is_missing_is_named(self, tmp_path):
        Image.new("L", (3, 2)).save(tmp_path / "one.png")
        with pytest.raises(UserError, match=r"image x: .*gone\.png is missing"):
            read(Several(paths=("path", "other")), tmp_path / "one.png", other=str(tmp_path / "gone.png"))


def write_dicom(path, values, **tags):
    """A file of one grey image, uncompressed."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = values.shape
    data.SamplesPerPixel, data.BitsAllocated, data.BitsStored, data.HighBit = 1, 16, 12, 11
    data.PixelRepresentation, data.PhotometricInterpretation = 0, "MONOCHROME2"
    for name, value in tags.items():
        setattr(data, name, value)
    data.PixelData = values.astype("uint16").tobytes()
    data.save_as(path)
    return path


class TestDicom:
    VALUES = np.array([[0, 1024, 1064, 4095]])

    def test_the_slope_and_the_intercept_are_applied(self, tmp_path):
        path = write_dicom(tmp_path / "x.dcm", self.VALUES, RescaleSlope=1, RescaleIntercept=-1024)
        assert read(Dicom(), path).ravel().tolist() == [-1024, 0, 40, 3071]

    def test_a_window_is_mapped_as_the_standard_says(self, tmp_path):
        path = write_dicom(tmp_path / "x.dcm", self.VALUES, RescaleSlope=1, RescaleIntercept=-1024)
        found = read(Dicom(window=(40, 81)), path).ravel()
        np.testing.assert_allclose(found, [0, 0.5 - 39.5 / 80, 0.5 + 0.5 / 80, 1], atol=1e-6)
        assert Dicom(window=(40, 81)).levels == (0, 1, True) and Dicom().levels is None

    def test_the_window_of_the_file(self, tmp_path):
        tags = {"WindowCenter": [1040, 1], "WindowWidth": [101, 2]}
        path = write_dicom(tmp_path / "x.dcm", self.VALUES, **tags)
        expected = ((self.VALUES - 1039.5) / 100 + 0.5).clip(0, 1).ravel()
        np.testing.assert_allclose(read(Dicom(window="file"), path).ravel(), expected, atol=1e-6)
        without = write_dicom(tmp_path / "y.dcm", self.VALUES)
        with pytest.raises(UserError, match="it names no window"):
            read(Dicom(window="file"), without)

    @pytest.mark.parametrize("window", [None, (2048, 4096)])
    def test_monochrome1_is_turned_round(self, tmp_path, window):
        reader = Dicom(window=window)
        usual = read(reader, write_dicom(tmp_path / "a.dcm", self.VALUES))
        turned = read(
            reader, write_dicom(tmp_path / "b.dcm", self.VALUES, PhotometricInterpretation="MONOCHROME1")
        )
        np.testing.assert_allclose(usual + turned, 4095 if window is None else 1, atol=1e-5)

    def test_a_cut_file_is_named(self, tmp_path):
        path = write_dicom(tmp_path / "x.dcm", RANDOM.integers(0, 4096, (20, 20)))
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(UserError, match=r"image x: .*x.dcm is not what Dicom reads"):
            read(Dicom(), path)


class TestRecords:
    def test_json_objects_are_read_from_their_places(self, tmp_path):
        bands = RANDOM.standard_normal((3, 2, 6)).round(3)
        records = [
            {"id": 'a "b" \\ {', "band_1": one[0].tolist(), "nested": {"x": 1}, "band_2": one[1].tolist()}
            for one in bands
        ]
        (tmp_path / "x.json").write_text(json.dumps(records))
        frame = scan_json(tmp_path / "x.json", ["id"])
        assert frame["id"].tolist() == ['a "b" \\ {'] * 3
        reader = JsonBands(("band_1", "band_2"), height=2, width=3)
        for (_, row), expected in zip(frame.iterrows(), bands, strict=True):
            found = stored(reader, {"image_id": "x", **row})
            np.testing.assert_allclose(found.transpose(2, 0, 1).reshape(2, 6), expected, rtol=1e-6)

    def test_json_that_is_cut_or_lacks_a_field_is_refused(self, tmp_path):
        path = tmp_path / "x.json"
        path.write_text('[{"id": 1}, {"id"')
        with pytest.raises(UserError, match="ends within an object"):
            scan_json(path, ["id"])
        path.write_text('[{"id": 1}, {}]')
        with pytest.raises(UserError, match=r"has a record without 'id' \(the 2.\)"):
            scan_json(path, ["id"])

    def test_bson_documents_have_a_row_for_each_picture(self, tmp_path):
        import bson

        pictures = []
        for value in (10, 20, 30):
            Image.new("RGB", (4, 3), (value, 0, 0)).save(tmp_path / "one.png")
            pictures.append({"picture": (tmp_path / "one.png").read_bytes()})
        documents = [{"_id": 7, "imgs": pictures[:2]}, {"_id": 8, "imgs": pictures[2:]}]
        (tmp_path / "x.bson").write_bytes(b"".join(bson.encode(one) for one in documents))
        frame = scan_bson(tmp_path / "x.bson", ["_id"], count="imgs")
        assert frame[["_id", "number"]].to_numpy().tolist() == [[7, 0], [7, 1], [8, 0]]
        found = [stored(BsonPictures(), {"image_id": "x", **row})[0, 0, 0] for _, row in frame.iterrows()]
        assert found == [10, 20, 30]
        whole = (tmp_path / "x.bson").read_bytes()
        (tmp_path / "x.bson").write_bytes(whole[:-3])
        with pytest.raises(UserError, match="ends within a document"):
            scan_bson(tmp_path / "x.bson", ["_id"])


class TestSpectrogram:
    def test_groups_of_columns_are_channels_and_rows_are_moments(self, tmp_path):
        names = [f"{group}_{hertz}" for group in ("LL", "RL") for hertz in (0.5, 1, 2)]
        table = pd.DataFrame(np.arange(60).reshape(10, 6).astype(float), columns=names)
        table.iloc[3, 0] = np.nan
        table.insert(0, "time", range(10))
        table.to_parquet(tmp_path / "x.parquet")
        reader = Spectrogram(groups=("LL", "RL"), rows=4, first="start", log=(1, 1000), fill=1.0)
        found = read(reader, tmp_path / "x.parquet", start=2)
        assert found.shape == (3, 4, 2)
        assert found[0, 1, 0] == 0  # the missing value
        np.testing.assert_allclose(found[:, 0, 1], np.log([15, 16, 17]), rtol=1e-6)
        with pytest.raises(UserError, match="it has 10 rows, and those from 8 to 12 are wanted"):
            read(reader, tmp_path / "x.parquet", start=8)
        with pytest.raises(UserError, match=r"groups LL, XX have \[3, 0\] columns"):
            read(Spectrogram(groups=("LL", "XX")), tmp_path / "x.parquet")


class TestRegions:
    @pytest.mark.parametrize("axes", ["YX", "YXS", "CYX", "TCYX"])
    @pytest.mark.parametrize("tile", [None, (16, 16)])
    def test_a_square_is_read_alone(self, tmp_path, axes, tile):
        import tifffile

        image = RANDOM.integers(0, 256, (50, 70, 3), dtype="uint8")
        layouts = {
            "YX": image[..., 0],
            "YXS": image,
            "CYX": image.transpose(2, 0, 1),
            "TCYX": image.transpose(2, 0, 1)[None],
        }
        photometric = "rgb" if axes == "YXS" else "minisblack"
        tifffile.imwrite(
            tmp_path / "x.tif", layouts[axes], photometric=photometric, tile=tile, metadata={"axes": axes}
        )
        expected = image[..., :1] if axes == "YX" else image
        found = read(TiffRegion(side=32), tmp_path / "x.tif", top=4, left=30)
        np.testing.assert_array_equal(found, expected[4:36, 30:62])
        edge = read(TiffRegion(side=32), tmp_path / "x.tif", top=32, left=60)
        np.testing.assert_array_equal(edge[:18, :10], expected[32:, 60:])
        assert edge.shape == found.shape and edge[18:].max() == 0
        assert tiff_size(str(tmp_path / "x.tif")) == (50, 70)

    def test_squares_cover_the_image(self, tmp_path):
        Image.new("L", (70, 50)).save(tmp_path / "x.tif")
        covered = np.zeros((50, 70), dtype=int)
        for _, row in corners_of(str(tmp_path / "x.tif"), side=32, step=24).iterrows():
            covered[row["top"] : row["top"] + 32, row["left"] : row["left"] + 32] += 1
        assert covered.min() == 1

    def test_shrinking_takes_means(self, tmp_path):
        image = RANDOM.integers(0, 65536, (8, 8), dtype="uint16")
        Image.fromarray(image).save(tmp_path / "x.tif")
        found = read(TiffRegion(side=8, shrink=4), tmp_path / "x.tif", top=0, left=0)[..., 0]
        np.testing.assert_array_equal(found, np.rint(image.reshape(2, 4, 2, 4).mean(axis=(1, 3))))
