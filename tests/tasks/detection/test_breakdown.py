"""Kinds of mistakes, one hand-made case each, and in combination."""

import pandas as pd
import pytest

from pipeline.tasks.detection.breakdown import KINDS, break_down, verdicts

BOX, FAR = [0.0, 0.0, 40.0, 40.0], [100.0, 100.0, 140.0, 140.0]
SHIFTED = [20.0, 0.0, 60.0, 40.0]
"""Overlaps BOX by a third."""
GRAZING = [36.0, 0.0, 76.0, 40.0]
"""Overlaps BOX by a nineteenth."""


def counted(objects: list[tuple], found: list[tuple], **options) -> dict[str, int]:
    """Counts other than 0 of one image; objects are (box, label[, crowd]), found (box, score, label)."""
    truth = pd.DataFrame(
        {
            "image_id": ["a"],
            "boxes": [[item[0] for item in objects]],
            "labels": [[item[1] for item in objects]],
            "crowd": [[item[2] if len(item) > 2 else 0 for item in objects]],
        }
    )
    names = ("boxes", "scores", "labels")
    predictions = {name: [[item[n] for item in found]] for n, name in enumerate(names)}
    counts = break_down(truth, pd.DataFrame({"image_id": ["a"], **predictions}), **options)
    assert list(counts) == list(KINDS)
    return {kind: count for kind, count in counts.items() if count}


CAT = (BOX, "cat")


@pytest.mark.parametrize(
    "objects, found, expected",
    [
        ([CAT], [(BOX, 0.9, "cat")], {"correct": 1}),
        ([CAT], [(BOX, 0.9, "dog")], {"classification": 1}),
        ([CAT], [(SHIFTED, 0.9, "cat")], {"localisation": 1}),
        ([CAT], [(SHIFTED, 0.9, "dog")], {"both": 1, "missed": 1}),
        ([CAT], [(BOX, 0.8, "cat"), (BOX, 0.9, "cat")], {"correct": 1, "duplicate": 1}),
        ([CAT], [(FAR, 0.9, "cat")], {"background": 1, "missed": 1}),
        ([CAT], [(GRAZING, 0.9, "cat")], {"background": 1, "missed": 1}),
        ([CAT], [], {"missed": 1}),
        ([], [(BOX, 0.9, "cat")], {"background": 1}),
        ([], [], {}),
        ([CAT], [(BOX, 0.2, "cat"), (FAR, 0.2, "cat")], {"missed": 1}),
    ],
)
def test_one_kind_at_a_time(objects, found, expected):
    assert counted(objects, found) == expected


def test_the_better_scored_of_two_is_the_correct_one():
    """Also where the other fits better: it is the duplicate, and the object is not missed."""
    good = [2.0, 0.0, 42.0, 40.0]
    assert counted([CAT], [(BOX, 0.5, "cat"), (good, 0.9, "cat")]) == {"correct": 1, "duplicate": 1}


def test_a_prediction_takes_the_next_object_where_its_best_is_taken():
    near = ([4.0, 0.0, 44.0, 40.0], "cat")
    assert counted([CAT, near], [(BOX, 0.9, "cat"), (BOX, 0.8, "cat")]) == {"correct": 2}


def test_a_mistake_on_an_object_that_is_found_explains_no_other():
    found = [(BOX, 0.9, "cat"), (BOX, 0.8, "dog"), (SHIFTED, 0.7, "cat")]
    assert counted([CAT, (FAR, "dog")], found) == {
        "correct": 1,
        "classification": 1,
        "localisation": 1,
        "missed": 1,
    }


def test_what_lies_in_a_crowd_of_its_class_is_not_counted():
    crowd = ([0.0, 0.0, 200.0, 200.0], "cat", 1)
    assert counted([crowd], [(FAR, 0.9, "cat"), (BOX, 0.9, "cat")]) == {}
    assert counted([crowd], [(FAR, 0.9, "dog")]) == {"background": 1}
    assert counted([crowd, CAT], [(BOX, 0.9, "cat")]) == {"correct": 1}


def test_bounds_are_options():
    assert counted([CAT], [(SHIFTED, 0.9, "cat")], found_iou=0.3) == {"correct": 1}
    assert counted([CAT], [(GRAZING, 0.9, "cat")], background_iou=0.05) == {"localisation": 1}
    assert counted([CAT], [(BOX, 0.2, "cat")], min_score=0.2) == {"correct": 1}


def test_images_are_joined_by_id_and_summed():
    truth = pd.DataFrame(
        {"image_id": ["a", "b"], "boxes": [[BOX], [FAR]], "labels": [["cat"]] * 2, "crowd": [[0]] * 2}
    )
    found = truth[["image_id", "boxes", "labels"]].assign(scores=[[0.9]] * 2)
    assert break_down(truth, found.iloc[::-1])["correct"] == 2
    with pytest.raises(ValueError, match="one row for each image"):
        break_down(truth, found.iloc[:1])


def test_a_verdict_names_the_rows_of_boxes_and_objects():
    truth = pd.DataFrame(
        {"image_id": ["a"], "boxes": [[FAR, BOX]], "labels": [["dog", "cat"]], "crowd": [[0, 0]]}
    )
    found = pd.DataFrame(
        {"image_id": ["a"], "boxes": [[BOX, BOX]], "scores": [[0.6, 0.9]], "labels": [["cat", "cat"]]}
    )
    (verdict,) = verdicts(truth, found)
    assert (verdict.kinds, verdict.rows, verdict.objects, verdict.missed) == (
        ["correct", "duplicate"],
        [1, 0],
        [1, 1],
        [0],
    )
