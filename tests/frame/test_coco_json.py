"""COCO's annotation files: ids with gaps, three kinds of masks, and everything that may be wrong in them."""

import copy
import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.frame.boxes import box_array
from pipeline.frame.coco_json import read_coco
from pipeline.frame.coco_masks import mask_area, run_lengths
from pipeline.metrics.coco_ap import coco_scores

TRIANGLE = [1.0, 1.0, 5.0, 1.0, 1.0, 5.0]
CONTENT = {
    "images": [
        {"id": 30, "file_name": "val/b.jpg", "width": 4, "height": 3},
        {"id": 7, "file_name": "a.jpg", "width": 20, "height": 10},
        {"id": 9, "file_name": "empty.jpg", "width": 20, "height": 10},
    ],
    "categories": [{"id": 90, "name": "brush"}, {"id": 1, "name": "person"}],
    "annotations": [
        {"id": 5, "image_id": 7, "category_id": 90, "bbox": [1, 2, 3.5, 4], "area": 8.5, "iscrowd": 0,
         "segmentation": [TRIANGLE]},
        {"id": 2, "image_id": 30, "category_id": 1, "bbox": [1, 1, 2, 2], "iscrowd": 1,
         "segmentation": {"size": [3, 4], "counts": [4, 2, 1, 2, 3]}},
        {"id": 3, "image_id": 7, "category_id": 1, "bbox": [0, 0, 2, 5]},
        {"id": 4, "image_id": 30, "category_id": 1, "bbox": [1, 1, 2, 2],
         "segmentation": {"size": [3, 4], "counts": "42102"}},
    ],
}  # fmt: skip
COUNTS = '{"size":[3,4],"counts":"42102"}'


def files(*ids: str) -> pd.DataFrame:
    return pd.DataFrame({"image_id": list(ids), "path": [f"train/{name}.jpg" for name in ids]}, dtype="str")


def read(folder: Path, content: object, images: pd.DataFrame | None = None):
    path = folder / "instances.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_coco(path, files("a", "b", "empty") if images is None else images)


def changed(key: str, place: int, **values) -> dict:
    """The content with one entry changed; None removes."""
    content = copy.deepcopy(CONTENT)
    entry = content[key][place] | values
    content[key][place] = {name: value for name, value in entry.items() if value is not None}
    return content


def test_all_columns_of_a_small_file(tmp_path, capsys):
    frame, categories = read(tmp_path, CONTENT)
    assert list(categories.items()) == [("person", 1), ("brush", 90)]
    rows = frame.set_index("image_id")
    a, b, empty = (rows.loc[name] for name in ("a", "b", "empty"))
    assert (a["path"], a["coco_id"], a["width"], a["height"]) == ("train/a.jpg", 7, 20, 10)
    assert a["boxes"] == [[1, 2, 4.5, 6], [0, 0, 2, 5]] and a["labels"] == ["brush", "person"]
    assert a["masks"] == [json.dumps([TRIANGLE], separators=(",", ":")), ""] and a["areas"] == [8.5, 10]
    assert b["masks"] == [COUNTS, COUNTS] and b["areas"] == [4, 4] and b["crowd"] == [1, 0]
    columns = ("boxes", "labels", "crowd", "masks", "areas")
    assert [empty[name] for name in columns] == [[]] * 5 and a["crowd"] == [0, 0]
    assert capsys.readouterr().err == ""


def test_an_image_info_file_has_no_boxes(tmp_path):
    frame, categories = read(tmp_path, {key: CONTENT[key] for key in ("images", "categories")})
    assert frame["boxes"].tolist() == [[], [], []] and categories["brush"] == 90
    assert dict(zip(frame["image_id"], frame["coco_id"], strict=True)) == {"a": 7, "b": 30, "empty": 9}


def test_files_that_are_absent_or_not_listed_are_named(tmp_path, capsys):
    frame, _ = read(tmp_path, CONTENT, files("a", "x"))
    assert frame["image_id"].tolist() == ["a"]
    assert [type(frame[name].iloc[0].item()) for name in ("coco_id", "width", "height")] == [int] * 3
    messages = capsys.readouterr().err
    assert "2 labels without files, left out: b, empty" in messages
    assert "1 files without labels, left out: x" in messages


def test_too_short_polygons_are_left_out_and_counted(tmp_path, capsys):
    content = changed("annotations", 0, segmentation=[TRIANGLE, [1, 1, 2, 2]])
    content["annotations"][2]["segmentation"] = [[1, 1]]
    frame, _ = read(tmp_path, content)
    masks = frame.set_index("image_id").loc["a", "masks"]
    assert json.loads(masks[0]) == [TRIANGLE] and masks[1] == ""
    assert "2 polygon(s) of fewer than three points" in (message := capsys.readouterr().err)
    assert "annotation 5, 3" in message


@pytest.mark.parametrize("crowd, value", [("0", 0), ("1", 1), (True, 1), (0.0, 0), ("false", 0)])
def test_iscrowd_in_other_words(tmp_path, crowd, value):
    frame, _ = read(tmp_path, changed("annotations", 0, iscrowd=crowd))
    assert frame.set_index("image_id").loc["a", "crowd"] == [value, 0]


@pytest.mark.parametrize("area", [-1, float("nan"), float("inf"), "large", 10**400])
def test_areas_that_make_no_sense_are_measured(tmp_path, capsys, area):
    content = changed("annotations", 2, area=area)
    frame, _ = read(tmp_path, content)
    assert frame.set_index("image_id").loc["a", "areas"] == [8.5, 10]
    assert (
        "1 area(s) that are no finite number" in (said := capsys.readouterr().err) and "annotation 3" in said
    )


def test_ids_are_matched_as_pycocotools_matches_them(tmp_path):
    whole, text = copy.deepcopy(CONTENT), copy.deepcopy(CONTENT)
    for entry in whole["annotations"]:
        entry["image_id"] = float(entry["image_id"])
    for entry in text["annotations"]:
        entry["image_id"], entry["category_id"] = str(entry["image_id"]), str(entry["category_id"])
    for entry in text["images"] + text["categories"]:
        entry["id"] = str(entry["id"])
    plain, _ = read(tmp_path, CONTENT)
    pd.testing.assert_frame_equal(read(tmp_path, whole)[0], plain)
    frame, categories = read(tmp_path, text)
    assert categories == {"person": "1", "brush": "90"}
    assert dict(zip(frame["image_id"], frame["coco_id"], strict=True)) == {"a": "7", "b": "30", "empty": "9"}
    assert frame["labels"].tolist() == plain["labels"].tolist()


def test_one_name_in_two_folders_is_told_apart_by_the_path(tmp_path):
    content = changed("images", 0, file_name="val/a.jpg")
    content["images"][1]["file_name"] = "train/a.jpg"
    frame, _ = read(tmp_path, content, files("a", "empty"))  # which lie in train/
    assert dict(zip(frame["image_id"], frame["coco_id"], strict=True)) == {"a": 7, "empty": 9}


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "not well-formed JSON"),
        ("[]", "no list of images"),
        ("[" * 200_000, "nested too deeply"),
        (changed("images", 1, id="7"), "both numbers and texts as image ids"),
        (changed("images", 1, id=10**400), "the image 1000.* lacks"),
        (changed("images", 1, width=10**400), "the image 7 lacks"),
        (changed("annotations", 0, image_id="7"), "annotation 5 has the image id '7', which"),
        (changed("annotations", 0, iscrowd="maybe"), "annotation 5 has the iscrowd 'maybe'"),
        (changed("annotations", 0, bbox=[1, 2, 3, 10**400]), "annotation 5 has the bbox"),
        (changed("annotations", 0, segmentation=[[1, 1, 5, 1, 1, 2e8]]), "annotation 5 .* leaves its image"),
        (changed("annotations", 0, segmentation=[[1, 1, 5, 1, 1, -3e9]]), "annotation 5 .* leaves its image"),
        (changed("annotations", 0, segmentation=[[1, 1, 5, 1, 1, 10**400]]), "annotation 5 has a polygon"),
        (changed("annotations", 1, segmentation={"size": [3, 4], "counts": "o" * 10**6}), "2 .* add up"),
        ({"images": []}, "no list of categories"),
        (changed("images", 1, id=30), r"image id\(s\) 30 more than once"),
        (changed("images", 1, width=None), "the image 7 lacks"),
        (changed("categories", 1, id=90), r"category id\(s\) 90 more than once"),
        (changed("categories", 1, name="brush"), r"category name\(s\) brush more than once"),
        (changed("categories", 1, name=None), "lacks a name"),
        (changed("annotations", 1, id=5), r"annotation id\(s\) 5 more than once"),
        (changed("annotations", 1, image_id=31), "annotation 2 has the image id 31, which"),
        (changed("annotations", 0, category_id=2), "annotation 5 has the category id 2, which"),
        (changed("annotations", 0, category_id=[90]), r"annotation 5 has the category id \[90\]"),
        (changed("annotations", 0, bbox=[1, 2, 3]), r"annotation 5 has the bbox \[1, 2, 3\]"),
        (changed("annotations", 0, bbox=None), "annotation 5 has the bbox None"),
        (changed("annotations", 0, bbox=[1, 2, "3", 4]), "annotation 5 has the bbox"),
        (changed("annotations", 0, segmentation=[[1, 1, 2, 2, 3, 3, 4]]), "annotation 5 has a polygon"),
        (changed("annotations", 0, segmentation=[1, 1, 2, 2]), "annotation 5 has a segmentation"),
        (changed("annotations", 1, segmentation={"size": [4, 3], "counts": [12]}), "annotation 2 .* size"),
        (changed("annotations", 1, segmentation={"size": [3, 4], "counts": [13]}), "annotation 2 .* add up"),
        (changed("annotations", 1, segmentation={"size": [3, 4], "counts": [13, -1]}), "2 .* add up"),
        (changed("annotations", 1, segmentation={"size": [3, 4], "counts": "42105"}), "2 .* add up"),
        (changed("annotations", 1, segmentation={"size": [3, 4], "counts": "4210R"}), "2 .* add up"),
        (changed("annotations", 1, segmentation={"size": [3, 4]}), "annotation 2 .* add up"),
    ],
)
def test_what_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path, content)
    assert "instances.json" in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.json is missing"):
        read_coco(tmp_path / "none.json", files("a"))


def test_masks_as_run_lengths():
    rectangle = run_lengths("", [1, 1, 3, 3], 3, 4)
    assert rectangle["counts"] == run_lengths(COUNTS, [0, 0, 0, 0], 3, 4)["counts"] == b"42102"
    assert mask_area(COUNTS, [0, 0, 4, 3], 3, 4) == 4 and mask_area("", [0, 0, 4, 2.5], 3, 4) == 10


def test_real_annotations_score_one_against_themselves(real_data):
    """All kinds of real masks pass the checks, and boxes, masks and areas survive the way into the scores."""
    path = real_data / "coco_eval100" / "instances_val2014_100.json"
    content = json.loads(path.read_bytes())
    frame, categories = read_coco(path, files(*(image["file_name"][:-4] for image in content["images"])))
    assert len(categories) == 80 and max(categories.values()) == 90
    assert sum(map(len, frame["boxes"])) == len(content["annotations"])
    assert sum(map(sum, frame["crowd"])) == sum(entry["iscrowd"] for entry in content["annotations"])
    perfect = frame.assign(scores=[[1.0] * len(labels) for labels in frame["labels"]])
    for kind in ("bbox", "segm"):
        scores = coco_scores(frame, perfect, list(categories), kind)
        assert scores["AP"] == pytest.approx(1) and scores["AP_small"] == pytest.approx(1)
    assert box_array(frame["boxes"].iloc[0]).shape[1] == 4
