"""VOC's XML and YOLO's text files: what is in them, and what is refused with its line."""

import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.frame.headers import image_size
from pipeline.frame.voc_xml import read_voc
from pipeline.frame.yolo_txt import read_yolo

XML = """<annotation>
  <size><width>100</width><height>50</height><depth>3</depth></size>
  <object>
    <name>dog</name>
    <difficult>0</difficult>
    <part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>
    <bndbox><ymin>5</ymin><xmin>1</xmin><xmax>45.7</xmax><ymax>50</ymax></bndbox>
  </object>
  <object>
    <name>cat</name><difficult>1</difficult>
    <bndbox><xmin>11</xmin><ymin>21</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>
  </object>
</annotation>
"""


@pytest.fixture
def images(tmp_path) -> pd.DataFrame:
    """Two images of 100 x 50; the second is stored upright and turned by its header."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 50)).save(tmp_path / "a.jpg")
    Image.new("RGB", (50, 100)).save(tmp_path / "b.jpg", exif=exif)
    paths = [str(tmp_path / f"{name}.jpg") for name in "ab"]
    return pd.DataFrame({"image_id": ["a", "b"], "path": paths}, dtype="str")


def written(folder: Path, **texts: str) -> Path:
    """A folder with these files; ``a_txt`` becomes a.txt."""
    folder = folder / "labels"
    folder.mkdir()
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


class TestVoc:
    def test_pixels_counted_from_one_become_corners(self, tmp_path, images):
        frame = read_voc(written(tmp_path, a_xml=XML, b_xml="<annotation/>"), images).set_index("image_id")
        a = frame.loc["a"]
        assert a["boxes"] == [[0, 4, 45.7, 50], [10, 20, 30, 40]]
        assert a["labels"] == ["dog", "cat"] and a["crowd"] == [0, 1] and a["masks"] == ["", ""]
        assert (
            frame["boxes"].loc["b"] == [] and (frame["width"] == 100).all() and (frame["height"] == 50).all()
        )

    def test_plain_corners(self, tmp_path, images):
        frame = read_voc(written(tmp_path, a_xml=XML), images, first_pixel=0)
        assert frame["boxes"].tolist() == [[[1, 5, 45.7, 50], [11, 21, 30, 40]]]

    def test_files_without_partner_are_named(self, tmp_path, images, capsys):
        frame = read_voc(written(tmp_path, a_xml=XML, x_xml=XML), images)
        assert frame["image_id"].tolist() == ["a"]
        assert [type(frame[name].iloc[0].item()) for name in ("width", "height")] == [int, int]
        messages = capsys.readouterr().err
        assert "1 labels without files, left out: x" in messages
        assert "1 files without labels, left out: b" in messages

    @pytest.mark.parametrize(
        "old, new, message",
        [
            ("</annotation>", "", r"a\.xml, line 14 is not well-formed XML"),
            ("<name>cat</name>", "", r"a\.xml, line 9: the object has no name"),
            ("<xmax>30</xmax>", "", r"a\.xml, line 9: the object cat has no bndbox of four"),
            ("<xmin>1</xmin><xmax>", "<xmin>x</xmin><xmax>", r"a\.xml, line 3: the object dog has no bndbox"),
            ("<xmax>30", "<xmax>nan", r"a\.xml, line 9: the object cat .* not finite"),
        ],
    )
    def test_what_is_refused(self, tmp_path, images, old, new, message):
        assert old in XML
        with pytest.raises(UserError, match=message):
            read_voc(written(tmp_path, a_xml=XML.replace(old, new)), images)

    @pytest.mark.parametrize(
        "old, new",
        [
            ("<annotation>", '<v:annotation xmlns:v="urn:voc">'),
            ("<annotation>", '<annotation xmlns="urn:voc">'),
            ("<annotation>", "<data><annotation>"),
            ("<difficult>1<", "<difficult>True<"),
            ("<width>100<", "<width>100.0<"),
            ("<object>", "<Object>"),
        ],
    )
    def test_other_ways_to_write_the_same(self, tmp_path, images, old, new):
        text = XML.replace(old, new)
        if "<v:" in new:
            text = text.replace("</annotation>", "</v:annotation>")
        text = text.replace("</annotation>", "</annotation></data>") if "<data>" in new else text
        text = text.replace("</object>", "</Object>") if "<Object>" in new else text
        row = read_voc(written(tmp_path, a_XML=text), images).iloc[0]
        assert row["boxes"] == [[0, 4, 45.7, 50], [10, 20, 30, 40]] and row["crowd"] == [0, 1]

    @pytest.mark.parametrize("encoding", ["gbk", "shift_jis", "utf-16", "utf-8-sig"])
    def test_encodings(self, tmp_path, images, encoding):
        declared = "utf-8" if encoding == "utf-8-sig" else encoding
        text = f'<?xml version="1.0" encoding="{declared}"?>\n' + XML.replace("dog", "犬")
        (written(tmp_path) / "a.xml").write_bytes(text.encode(encoding))
        assert read_voc(tmp_path / "labels", images)["labels"].tolist() == [["犬", "cat"]]

    @pytest.mark.parametrize(
        "text, message",
        [
            ("<html><body/></html>", r"a\.xml holds no annotation \(its first element is html\)"),
            ("<data><annotation/><annotation/></data>", r"a\.xml holds 2 annotations"),
            ('<?xml version="1.0" encoding="klingon"?><annotation/>', "encoding is 'klingon'"),
            ('<?xml version="1.0" encoding="gbk"?><annotation>\udcff</annotation>', "encoding is 'gbk'"),
            (
                XML.replace("<difficult>1", "<difficult>maybe"),
                "line 9: the object cat has the difficult 'maybe'",
            ),
            (
                XML.replace("</object>", "<object/></object>", 1),
                "line 3: the object dog holds another object",
            ),
        ],
    )
    def test_what_is_no_annotation(self, tmp_path, images, text, message):
        (written(tmp_path) / "a.xml").write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(UserError, match=message):
            read_voc(tmp_path / "labels", images)

    def test_two_files_for_one_image(self, tmp_path, images):
        with pytest.raises(UserError, match=r"more than one \.xml file for 1 image\(s\): a;"):
            read_voc(written(tmp_path, a_xml=XML, a_XML=XML), images)

    def test_a_folder_without_files(self, tmp_path, images):
        with pytest.raises(UserError, match="has no XML files"):
            read_voc(written(tmp_path), images)


class TestYolo:
    def test_shares_become_pixels_of_the_turned_image(self, tmp_path, images):
        text = "1 0.5 0.5 0.2 0.4\n\n0 0.1 0.1 0.2 0.2\n"
        frame = read_yolo(written(tmp_path, a_txt=text, b_txt=text), images, ["cat", "dog"])
        assert frame["image_id"].tolist() == ["a", "b"]
        for row in frame.itertuples():
            assert (row.width, row.height) == (100, 50)
            assert row.boxes == [pytest.approx([40, 15, 60, 35]), pytest.approx([0, 0, 20, 10])]
            assert row.labels == ["dog", "cat"] and row.crowd == [0, 0] and row.masks == ["", ""]

    def test_polygons(self, tmp_path, images):
        frame = read_yolo(written(tmp_path, a_txt="0 0.1 0.2 0.5 0.2 0.3 0.8\n"), images, ["cat"])
        row = frame.iloc[0]
        assert row["boxes"] == [pytest.approx([10, 10, 50, 40])]
        assert json.loads(row["masks"][0]) == [pytest.approx([10, 10, 50, 10, 30, 40])]

    def test_images_without_files_have_no_objects(self, tmp_path, images, capsys):
        folder = written(tmp_path, a_txt="0 0.5 0.5 0.2 0.4", x_txt="", classes_txt="cat")
        frame = read_yolo(folder, images, ["cat"])
        assert [len(boxes) for boxes in frame["boxes"]] == [1, 0] and frame["masks"].tolist() == [[""], []]
        messages = capsys.readouterr().err
        assert "1 label files without images, left out: x (" in messages and "classes" not in messages
        assert "1 images without label files, taken to show no objects: b" in messages

    @pytest.mark.parametrize(
        "row, message",
        [
            ("0 0.5 0.5 0.2", "has 4 values"),
            ("0 0.5 0.5 0.2 0.2 0.9", "has 6 values"),
            ("0 0.5 0.5 0.2 0.2 0.9 0.1 0.2", "has 8 values"),
            ("2 0.5 0.5 0.2 0.2", "has the class '2', and they go from 0 to 1"),
            ("-1 0.5 0.5 0.2 0.2", "has the class '-1'"),
            ("cat 0.5 0.5 0.2 0.2", "has the class 'cat'"),
            ("0 0.5 half 0.2 0.2", "no row of numbers"),
            ("0 50 50 20 20", "outside 0 to 1"),
            ("0 nan 0.5 0.2 0.2", "outside 0 to 1"),
            ("9" * 5000 + " 0.5 0.5 0.2 0.2", "has the class '999"),
        ],
    )
    def test_what_is_refused(self, tmp_path, images, row, message):
        folder = written(tmp_path, a_txt=f"1 0.5 0.5 0.2 0.2\n{row}\n")
        with pytest.raises(UserError, match=rf"a\.txt, line 2 .*{message}"):
            read_yolo(folder, images, ["cat", "dog"])

    def test_the_wrong_folder(self, tmp_path, images):
        with pytest.raises(UserError, match="is no folder"):
            read_yolo(tmp_path / "none", images, ["cat"])
        with pytest.raises(UserError, match="no image has a label file"):
            read_yolo(written(tmp_path, x_txt=""), images, ["cat"])


def test_a_broken_image_is_named(tmp_path):
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(UserError, match=r"image a: .*a\.jpg is no readable image"):
        image_size(tmp_path / "a.jpg", "a")
