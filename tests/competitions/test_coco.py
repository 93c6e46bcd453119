"""COCO's own rules: ids with gaps, crowds, empty cells, and the results file of the evaluation server."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from competitions.coco.categories import CATEGORIES
from competitions.coco.competition import Competition, write_results
from pipeline.base.errors import UserError
from pipeline.competition.evaluate import Evaluation, evaluation_of
from pipeline.competition.prepared import Prepared
from pipeline.delivery.submission import check_file, write_submission
from pipeline.metrics.coco_ap import score_files
from pipeline.raw.files import RawFiles
from pipeline.tasks.detection.columns import parse_boxes
from pipeline.tasks.detection.predict import to_frame

COCO = Competition()
CLASSES = ["person", "stop sign", "toothbrush"]
RLE = {"size": [30, 40], "counts": [0, 300, 900]}


def thing(number: int, image: int, category: int, box: list, **more) -> dict:
    area = box[2] * box[3]
    return {"id": number, "image_id": image, "category_id": category, "bbox": box, "area": area, **more}


TRAIN = {
    "images": [
        {"id": 9, "file_name": "000000000009.jpg", "width": 40, "height": 30},
        {"id": 139, "file_name": "000000000139.jpg", "width": 40, "height": 30},
        {"id": 25, "file_name": "000000000025.jpg", "width": 40, "height": 30},
    ],
    "categories": [{"id": CATEGORIES[name], "name": name} for name in reversed(CLASSES)],
    "annotations": [
        thing(1, 9, 13, [2, 3, 10, 12], iscrowd=0, segmentation=[[2, 3, 12, 3, 12, 15, 2, 15]]),
        thing(2, 9, 90, [20, 5, 10, 10], iscrowd=0, segmentation=[]),
        thing(3, 139, 1, [0, 0, 10, 30], iscrowd=1, segmentation=RLE),
        thing(4, 139, 1, [15, 5, 30, 20], iscrowd=0, segmentation=[]),  # ends 5 pixels outside
        thing(5, 139, 1, [15, 5, 0, 20], iscrowd=0, segmentation=[]),  # has no width
    ],
}
TEST = {
    "images": [
        {"id": 581929, "file_name": "000000581929.jpg", "width": 40, "height": 30},
        {"id": 57, "file_name": "000000000057.jpg", "width": 40, "height": 30},
    ],
    "categories": TRAIN["categories"],
}


@pytest.fixture
def raw(tmp_path) -> RawFiles:
    folder = tmp_path / "raw"
    for split, content in (("train2017", TRAIN), ("test2017", TEST)):
        (folder / split).mkdir(parents=True)
        for image in content["images"]:
            Image.new("RGB", (40, 30)).save(folder / split / image["file_name"])
    (folder / "annotations").mkdir()
    (folder / "annotations" / "instances_train2017.json").write_text(json.dumps(TRAIN))
    (folder / "annotations" / "image_info_test2017.json").write_text(json.dumps(TEST))
    return RawFiles((folder,))


def predictions(ids: list[str], masks: bool = False) -> pd.DataFrame:
    """Two boxes in the first image, none in the others."""
    some = (
        torch.tensor([[1.0, 2, 11.125, 12], [0, 0, 5, 5]]),
        torch.tensor([0.75, 0.5]),
        torch.tensor([2, 0]),
    )
    none = (torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    text = json.dumps({"size": [3, 4], "counts": "42102"})
    shapes = [[text, text]] + [[] for _ in ids[1:]] if masks else None
    return to_frame(ids, [some] + [none] * (len(ids) - 1), CLASSES, shapes)


def prepared(raw: RawFiles) -> Prepared:
    return prepared_of(COCO.load_train(raw), COCO.load_test(raw), COCO.load_sample_submission(raw))


def prepared_of(train: pd.DataFrame, test: pd.DataFrame, sample: pd.DataFrame) -> Prepared:
    return Prepared(
        folder=Path(),
        train=train,
        test=test,
        sample_submission=sample,
        classes=CLASSES,
        train_identity="",
        test_identity="",
    )


def submission(data: Prepared) -> pd.DataFrame:
    """What is handed in of the usual predictions."""
    ids = ["000000581929", "000000000057"]
    return COCO.to_submission(predictions(ids), data.test, CLASSES)


def test_the_organisers_numbers_are_eighty_with_gaps():
    numbers = list(CATEGORIES.values())
    missing = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    assert numbers == [number for number in range(1, 91) if number not in missing]


class TestLoading:
    def test_boxes_masks_and_crowds_by_image_id(self, raw):
        rows = COCO.load_train(raw).set_index("image_id")
        first, crowded, empty = (rows.loc[f"{number:012d}"] for number in (9, 139, 25))
        assert first["boxes"] == [[2, 3, 12, 15], [20, 5, 30, 15]] and first["crowd"] == [0, 0]
        assert first["labels"] == ["stop sign", "toothbrush"] and first["masks"][1] == ""
        assert crowded["boxes"] == [[0, 0, 10, 30], [15, 5, 40, 25]], "cut to the image, and one dropped"
        assert crowded["crowd"] == [1, 0] and json.loads(crowded["masks"][0])["size"] == [30, 40]
        assert [empty[name] for name in ("boxes", "labels", "crowd", "masks")] == [[]] * 4
        assert rows["coco_id"].to_dict() == {f"{number:012d}": number for number in (9, 25, 139)}

    def test_classes_follow_the_organisers_order(self, raw):
        assert COCO.task.classes(COCO.load_train(raw)) == CLASSES

    def test_test_images_have_no_truth(self, raw):
        test = COCO.load_test(raw)
        assert list(test.columns) == ["image_id", "path", "coco_id"]
        assert set(test["coco_id"]) == {57, 581929}
        sample = COCO.load_sample_submission(raw)
        assert sample.to_dict("list") == {
            "image_id": ["000000000057", "000000581929"],
            "PredictionString": ["", ""],
        }

    @pytest.mark.parametrize("category", [{"id": 12, "name": "person"}, {"id": 1, "name": "wheel"}])
    def test_the_categories_of_another_dataset_are_refused(self, raw, category):
        content = {**TRAIN, "categories": [category], "annotations": []}
        (raw.roots[0] / "annotations" / "instances_train2017.json").write_text(json.dumps(content))
        with pytest.raises(UserError, match=f"category '{category['name']}' with the id {category['id']}"):
            COCO.load_train(raw)


class TestScores:
    def truth(self, raw: RawFiles) -> pd.DataFrame:
        return COCO.load_train(raw).drop(columns="path")

    def ideal(self, truth: pd.DataFrame) -> pd.DataFrame:
        frame = truth[["image_id", "boxes", "labels"]]
        return frame.assign(scores=[[0.5] * len(labels) for labels in truth["labels"]])

    def evaluated(self, truth: pd.DataFrame, found: pd.DataFrame) -> Evaluation:
        return evaluation_of(COCO, truth, found, CLASSES)

    def test_boxes_in_a_crowd_neither_count_nor_punish(self, raw):
        truth = self.truth(raw)
        ideal = self.ideal(truth)
        assert self.evaluated(truth, ideal).score == pytest.approx(1.0)
        row = truth.index[truth["image_id"] == "000000000139"][0]
        ideal.at[row, "boxes"] = [[15.0, 5, 40, 25], [0, 0, 9, 9], [1, 12, 10, 25]]
        ideal.at[row, "labels"], ideal.at[row, "scores"] = ["person"] * 3, [0.5, 0.9, 0.8]
        assert self.evaluated(truth, ideal).score == pytest.approx(1.0)
        ideal.at[row, "labels"] = ["person", "toothbrush", "toothbrush"]  # this class has no crowd there
        assert self.evaluated(truth, ideal).score < 1.0

    def test_predictions_without_any_box_score_nothing(self, raw):
        truth = self.truth(raw)
        nothing = truth[["image_id"]].assign(boxes=[[]] * 3, scores=[[]] * 3, labels=[[]] * 3)
        found = self.evaluated(truth, nothing)
        assert found.score == 0.0 and found.extra["AP50"] == 0.0

    def test_the_other_figures(self, raw):
        truth = self.truth(raw)
        figures = self.evaluated(truth, self.ideal(truth)).extra
        assert figures["AP50"] == figures["VOC_AP50"] == figures["AR100"] == pytest.approx(1.0)
        assert "mask_AP" not in figures and "per_class" not in figures
        assert all(np.isfinite(value) for value in figures.values()), "there are no large objects"
        assert "AP_large" not in figures
        with_masks = self.ideal(truth).assign(masks=truth["masks"])
        assert self.evaluated(truth, with_masks).extra["mask_AP"] == pytest.approx(1.0)


class TestSubmission:
    def test_cells_hold_the_organisers_numbers_and_may_be_empty(self, raw, tmp_path):
        data = prepared(raw)
        frame = submission(data)
        assert frame["PredictionString"].tolist() == ["90 0.75 1 2 10.12 10 1 0.5 0 0 5 5", ""]
        categories, scores, boxes = parse_boxes(frame["PredictionString"][0])
        assert categories.tolist() == [90, 1] and scores.tolist() == [0.75, 0.5]
        np.testing.assert_allclose(boxes, [[1, 2, 11.12, 12], [0, 0, 5, 5]])
        form, path = COCO.submission_format(CLASSES), tmp_path / "submission.csv"
        rows = write_submission(frame, data.sample_submission, data.test, form, path)
        check_file(path, data.sample_submission, data.test, form)
        assert rows["image_id"].tolist() == ["000000000057", "000000581929"]
        assert path.read_text().splitlines()[1] in ("000000000057,", '000000000057,""')

    def test_a_number_in_a_gap_is_refused(self, raw, tmp_path):
        data = prepared(raw)
        frame = submission(data)
        frame.loc[0, "PredictionString"] = "12 0.75 1 2 10 10"
        with pytest.raises(UserError, match="000000581929"):
            form = COCO.submission_format(CLASSES)
            write_submission(frame, data.sample_submission, data.test, form, tmp_path / "s.csv")


class TestResultsFile:
    def test_entries_are_the_servers(self, raw, tmp_path):
        write_results(predictions(["000000581929", "000000000057"]), prepared(raw), tmp_path / "r.json")
        assert json.loads((tmp_path / "r.json").read_text()) == [
            {"image_id": 581929, "category_id": 90, "bbox": [1.0, 2.0, 10.12, 10.0], "score": 0.75},
            {"image_id": 581929, "category_id": 1, "bbox": [0.0, 0.0, 5.0, 5.0], "score": 0.5},
        ]
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["r.json"]

    def test_masks_go_along_also_after_parquet(self, raw, tmp_path):
        predictions(["000000581929", "000000000057"], masks=True).to_parquet(tmp_path / "test.parquet")
        write_results(pd.read_parquet(tmp_path / "test.parquet"), prepared(raw), tmp_path / "r.json")
        entries = json.loads((tmp_path / "r.json").read_text())
        assert [entry["segmentation"] for entry in entries] == [{"size": [3, 4], "counts": "42102"}] * 2

    def test_nothing_found_is_an_empty_list(self, raw, tmp_path):
        nothing = predictions(["000000581929", "000000000057"]).iloc[1:]
        write_results(nothing, prepared(raw), tmp_path / "r.json")
        assert json.loads((tmp_path / "r.json").read_text()) == []

    def test_the_evaluation_reads_it(self, raw, tmp_path):
        train = COCO.load_train(raw)
        ideal = train[["image_id", "boxes", "labels"]].assign(
            scores=[[1.0] * len(labels) for labels in train["labels"]]
        )
        write_results(ideal, prepared_of(train, train, train), tmp_path / "r.json")
        truth = tmp_path / "truth.json"
        truth.write_text(json.dumps({**TRAIN, "annotations": TRAIN["annotations"][:3]}))
        assert score_files(truth, tmp_path / "r.json", image_ids=[9])["AP"] == pytest.approx(1.0)
