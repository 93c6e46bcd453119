"""COCO's figures: the organisers' own example, cases worked out by hand, and the traps on the way."""

import copy
import json
import math

import numpy as np
import pandas as pd
import pytest

from pipeline.metrics.coco_ap import coco_scores, score_files


def true(*rows, **columns) -> pd.DataFrame:
    """Truth frame of images "0", "1", ...; each row is a list of (box, label)."""
    return pd.DataFrame(
        {
            "image_id": [str(number) for number in range(len(rows))],
            "width": 200,
            "height": 200,
            "boxes": [[list(map(float, box)) for box, _ in row] for row in rows],
            "labels": [[label for _, label in row] for row in rows],
            "crowd": [[0] * len(row) for row in rows],
            **columns,
        }
    )


def found(*rows, **columns) -> pd.DataFrame:
    """Predictions frame; each row is a list of (box, score, label)."""
    return pd.DataFrame(
        {
            "image_id": [str(number) for number in range(len(rows))],
            "boxes": [[np.array(box, dtype="float32") for box, *_ in row] for row in rows],
            "scores": [[np.float32(score) for _, score, _ in row] for row in rows],
            "labels": [[label for *_, label in row] for row in rows],
            **columns,
        }
    )


BOX, FAR = (10, 10, 50, 50), (100, 100, 140, 140)
PARTS = 56 / 101


def test_the_synthetic_case():
    """Three objects on three images: right .9, wrong .8, right .7."""
    truth = true([(BOX, "cat")], [(BOX, "cat")], [(BOX, "cat")])
    scores = coco_scores(truth, found([(BOX, 0.9, "cat")], [(FAR, 0.8, "cat")], [(BOX, 0.7, "cat")]), ["cat"])
    assert [scores[name] for name in ("AP", "AP50", "AP75")] == pytest.approx([PARTS] * 3, abs=1e-12)
    assert [scores["AR1"], scores["AR100"]] == pytest.approx([2 / 3] * 2)
    assert scores["per_class"] == {
        "cat": pytest.approx(dict.fromkeys(("AP", "AP50", "AP75"), PARTS) | {"AR100": 2 / 3})
    }


def test_the_first_annotation_counts():
    """An annotation with the id 0 would be taken for "no match"."""
    assert coco_scores(true([(BOX, "cat")]), found([(BOX, 0.5, "cat")]), ["cat"])["AP"] == 1


def test_predictions_are_joined_by_id_not_by_position():
    truth = true([(BOX, "cat")], [(FAR, "cat")])
    predictions = found([(BOX, 0.9, "cat")], [(FAR, 0.9, "cat")])
    assert coco_scores(truth, predictions.iloc[::-1], ["cat"])["AP"] == 1


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_no_predictions_score_zero(kind):
    scores = coco_scores(true([(BOX, "cat")], []), found([], []), ["cat", "dog"], kind)
    assert scores["AP"] == scores["AR100"] == scores["per_class"]["cat"]["AP"] == 0
    assert math.isnan(scores["per_class"]["dog"]["AP"])


def test_without_objects_there_is_no_score():
    scores = coco_scores(true([], []), found([(BOX, 0.9, "cat")], []), ["cat"])
    assert all(math.isnan(value) for name, value in scores.items() if name != "per_class")


def test_an_area_on_the_bound_is_of_both_sizes():
    scores = coco_scores(true([((0, 0, 32, 32), "cat")]), found([((0, 0, 32, 32), 0.9, "cat")]), ["cat"])
    assert (scores["AP_small"], scores["AP_medium"]) == (1, 1) and math.isnan(scores["AP_large"])


def test_the_size_is_that_of_areas_then_of_the_mask_then_of_the_box():
    """A box of 100 x 100 is large; the triangle in it is medium; its given area is small."""
    large, prediction = (0, 0, 100, 100), found([((0, 0, 100, 100), 0.9, "cat")])
    triangle = json.dumps([[0, 0, 100, 0, 0, 100]])

    def size(**columns) -> list[str]:
        scores = coco_scores(true([(large, "cat")], **columns), prediction, ["cat"])
        return [name for name in ("small", "medium", "large") if not math.isnan(scores[f"AP_{name}"])]

    assert size() == ["large"] and size(masks=[[""]]) == ["large"]
    assert size(masks=[[triangle]]) == ["medium"]
    assert size(masks=[[triangle]], areas=[[500.0]]) == ["small"]


def test_a_crowd_absorbs_predictions_and_is_not_looked_for():
    truth = true([(BOX, "cat"), ((60, 60, 200, 200), "cat")], crowd=[[0, 1]])
    inside = [((60 + 30 * n, 70, 85 + 30 * n, 90), 0.95, "cat") for n in range(4)]
    assert coco_scores(truth, found([*inside, (BOX, 0.9, "cat")]), ["cat"])["AP"] == 1
    other = coco_scores(truth, found([(BOX, 0.9, "cat"), (FAR, 0.8, "dog")]), ["cat", "dog"])
    assert other["AP"] == 1 and math.isnan(other["per_class"]["dog"]["AP"])


def test_the_most_detections_are_for_each_class_not_for_each_image():
    truth = true([(BOX, "cat"), (FAR, "dog")])
    wrong = [((1 + n, 150, 3 + n, 152), 0.9, "cat") for n in range(100)]
    predictions = found([*wrong, (FAR, 0.5, "dog"), (BOX, 0.1, "cat")])
    scores = coco_scores(truth, predictions, ["cat", "dog"])
    assert scores["per_class"]["dog"]["AP"] == 1 and scores["per_class"]["cat"]["AP"] == 0
    more = coco_scores(truth, predictions, ["cat", "dog"], max_detections=(1, 10, 300))
    assert more["per_class"]["cat"]["AP"] == pytest.approx(1 / 101) and "AR300" in more


def test_masks_are_compared_as_masks():
    """Two triangles that make up one square share its box and next to no pixels."""
    square = (0, 0, 40, 40)
    upper, lower = json.dumps([[0, 0, 40, 0, 0, 40]]), json.dumps([[40, 0, 40, 40, 0, 40]])
    counts = json.dumps({"size": [3, 4], "counts": "42102"})
    truth = true([(square, "cat")], masks=[[upper]])
    assert coco_scores(truth, found([(square, 0.9, "cat")], masks=[[lower]]), ["cat"], "segm")["AP"] == 0
    assert coco_scores(truth, found([(square, 0.9, "cat")], masks=[[lower]]), ["cat"], "bbox")["AP"] == 1
    truth = true([((1, 1, 3, 3), "cat")], masks=[[counts]]).assign(width=4, height=3)
    assert coco_scores(truth, found([(BOX, 0.9, "cat")], masks=[[counts]]), ["cat"], "segm")["AP"] == 1
    assert coco_scores(truth, found([((1, 1, 3, 3), 0.9, "cat")]), ["cat"], "segm")["AP"] == 1


def test_frames_are_left_as_they_are_and_may_come_from_parquet(tmp_path):
    truth = true([(BOX, "cat"), (FAR, "dog")], [])
    predictions = found([(BOX, 0.9, "cat")], [(FAR, 0.5, "dog")]).assign(
        boxes=[[list(map(float, BOX))], [list(map(float, FAR))]]
    )
    before = copy.deepcopy((truth.to_dict(), predictions.to_dict()))
    direct = coco_scores(truth, predictions, ["cat", "dog"])
    assert (truth.to_dict(), predictions.to_dict()) == before
    for name, frame in (("truth", truth), ("predictions", predictions)):
        frame.to_parquet(tmp_path / f"{name}.parquet")
    back = [pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("truth", "predictions")]
    np.testing.assert_equal(coco_scores(*back, ["cat", "dog"]), direct)


@pytest.mark.parametrize(
    "predictions, message",
    [
        (found([]), "one row for each image"),
        (found([], [], []), "one row for each image"),
        (found([], [(BOX, 0.5, "cow")]), "no class 'cow'"),
        (found([], [(BOX, float("nan"), "cat")]), "image 1 has a score that is not finite"),
    ],
)
def test_what_cannot_be_scored(predictions, message):
    with pytest.raises(ValueError, match=message):
        coco_scores(true([(BOX, "cat")], []), predictions, ["cat"])


class TestFiles:
    """The evaluation demo of the organisers: with all 100 images it prints bbox .505 and segm .320; of one
    image there are no results, and without that image the figures are .507 and .322."""

    @pytest.mark.parametrize(
        "kind, everything, with_results",
        [("bbox", (0.505, 0.697, 0.573), (0.507, 0.699)), ("segm", (0.320, 0.562, 0.299), (0.322, 0.565))],
    )
    def test_the_organisers_example(self, real_data, kind, everything, with_results):
        folder = real_data / "coco_eval100"
        truth = folder / "instances_val2014_100.json"
        results = folder / f"instances_val2014_fake{kind}100_results.json"
        scores = score_files(truth, results, kind)
        assert tuple(round(scores[name], 3) for name in ("AP", "AP50", "AP75")) == everything
        known = {entry["image_id"] for entry in json.loads(results.read_bytes())}
        scores = score_files(truth, results, kind, sorted(known))
        assert tuple(round(scores[name], 3) for name in ("AP", "AP50")) == with_results

    def test_empty_results_and_unknown_images(self, tmp_path):
        truth, results = tmp_path / "truth.json", tmp_path / "results.json"
        entry = {"id": 1, "image_id": 7, "category_id": 90, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}
        truth.write_text(
            json.dumps(
                {
                    "images": [{"id": 7, "width": 20, "height": 20}],
                    "categories": [{"id": 90, "name": "brush"}],
                    "annotations": [entry],
                }
            )
        )
        results.write_text("[]")
        assert score_files(truth, results)["AP"] == 0
        right = {"image_id": 7, "category_id": 90, "bbox": [1, 1, 9, 9], "score": 0.5}
        results.write_text(json.dumps([right]))
        assert score_files(truth, results)["per_class"]["brush"]["AP"] == 1
        results.write_text(json.dumps([right | {"image_id": 8}]))
        with pytest.raises(ValueError, match="has the image id 8"):
            score_files(truth, results)
