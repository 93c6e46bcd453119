"""VOC's average precision, by hand and against a plain program."""

import math

import numpy as np
import pandas as pd
import pytest

from pipeline.metrics.voc_ap import average_precision, precision_recall, voc_ap

BOX, FAR = [10.0, 10.0, 50.0, 50.0], [100.0, 100.0, 140.0, 140.0]


def frames(*rows) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Truth and predictions; each row is (list of (box, label, crowd), list of (box, score, label))."""
    ids = [str(number) for number in range(len(rows))]
    truth = {
        name: [[item[n] for item in row[0]] for row in rows]
        for n, name in enumerate(("boxes", "labels", "crowd"))
    }
    found = {
        name: [[item[n] for item in row[1]] for row in rows]
        for n, name in enumerate(("boxes", "scores", "labels"))
    }
    return pd.DataFrame({"image_id": ids, **truth}), pd.DataFrame({"image_id": ids, **found})


CAT = [(BOX, "cat", 0)]
SYNTHETIC = frames((CAT, [(BOX, 0.9, "cat")]), (CAT, [(FAR, 0.8, "cat")]), (CAT, [(BOX, 0.7, "cat")]))


@pytest.mark.parametrize("points, expected", [("all", 5 / 9), (11, 6 / 11), (101, 56 / 101)])
def test_the_synthetic_case(points, expected):
    scores = voc_ap(*SYNTHETIC, ["cat"], points=points)
    assert scores["mAP"] == scores["per_class"]["cat"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("objects", [10, 5, 20])
def test_recalls_that_fall_on_a_step_count(objects):
    """k of 10 found without a mistake: recall k/10 reaches step k, also .3, .6 and .7."""
    for hits in range(objects + 1):
        rows = [(CAT, [(BOX, 0.5, "cat")] if n < hits else []) for n in range(objects)]
        steps = math.floor(10 * hits / objects + 1e-9) + 1 if hits else 0
        assert voc_ap(*frames(*rows), ["cat"], points=11)["mAP"] == pytest.approx(steps / 11)


def test_overlap_of_exactly_the_threshold_is_enough():
    half = [0.0, 0.0, 10.0, 5.0]
    pair = frames(([([0.0, 0.0, 10.0, 10.0], "cat", 0)], [(half, 0.9, "cat")]))
    assert voc_ap(*pair, ["cat"])["mAP"] == 1
    assert voc_ap(*pair, ["cat"], iou=0.51)["mAP"] == 0


def test_a_second_prediction_of_one_object_is_wrong():
    curve = precision_recall(*frames((CAT, [(BOX, 0.6, "cat"), (BOX, 0.9, "cat")])), ["cat"])["cat"]
    np.testing.assert_array_equal(curve.precision, [1, 0.5])
    np.testing.assert_array_equal(curve.recall, [1, 1])
    np.testing.assert_array_equal(curve.scores, [0.9, 0.6])


def test_difficult_objects_neither_count_nor_punish():
    rows = ([(BOX, "cat", 0), (FAR, "cat", 1)], [(FAR, 0.9, "cat"), (FAR, 0.8, "cat"), (BOX, 0.7, "cat")])
    curve = precision_recall(*frames(rows), ["cat"])["cat"]
    assert curve.objects == 1 and curve.precision.tolist() == [1] and curve.recall.tolist() == [1]


def test_classes_do_not_mix_and_absent_ones_have_no_score():
    pair = frames((CAT, [(BOX, 0.9, "dog"), (BOX, 0.8, "cat")]), ([], [(BOX, 0.9, "cow")]))
    scores = voc_ap(*pair, ["cat", "dog", "cow"])
    assert scores["per_class"]["cat"] == scores["mAP"] == 1
    assert math.isnan(scores["per_class"]["dog"]) and math.isnan(scores["per_class"]["cow"])
    assert math.isnan(voc_ap(*frames(([], [])), ["cat"])["mAP"])
    assert voc_ap(*frames((CAT, [])), ["cat"])["mAP"] == 0


def test_predictions_are_joined_by_id():
    truth, found = SYNTHETIC
    assert voc_ap(truth, found.iloc[::-1], ["cat"])["mAP"] == pytest.approx(5 / 9)
    with pytest.raises(ValueError, match="one row for each image"):
        voc_ap(truth, found.iloc[1:], ["cat"])


def test_many_random_predictions_agree_with_a_plain_program():
    """VOC's own rule, written as its text says it, box by box over all images together."""
    random = np.random.default_rng(0)

    def boxes(count: int) -> list[list[float]]:
        corner = random.uniform(0, 40, (count, 2))
        return np.concatenate([corner, corner + random.uniform(5, 30, (count, 2))], axis=1).tolist()

    rows = [
        (
            [(box, "cat", int(random.random() < 0.2)) for box in boxes(random.integers(0, 6))],
            [(box, float(random.random()), "cat") for box in boxes(random.integers(0, 9))],
        )
        for _ in range(40)
    ]
    curve = precision_recall(*frames(*rows), ["cat"], iou=0.3)["cat"]
    taken, right, wrong, expected = set(), 0, 0, []
    for score, image, box in sorted(
        ((score, image, box) for image, (_, found) in enumerate(rows) for box, score, _ in found),
        reverse=True,
    ):
        overlaps = [plain_iou(box, other) for other, _, _ in rows[image][0]]
        best = int(np.argmax(overlaps)) if overlaps else -1
        if best >= 0 and overlaps[best] >= 0.3 and rows[image][0][best][2]:
            continue
        hit = best >= 0 and overlaps[best] >= 0.3 and (image, best) not in taken
        right, wrong = right + hit, wrong + (not hit)
        if hit:
            taken.add((image, best))
        expected.append((score, right, right / (right + wrong)))
    scores, hits, precision = zip(*expected, strict=True)
    np.testing.assert_array_equal(curve.scores, scores)
    np.testing.assert_allclose(curve.recall, np.array(hits) / curve.objects)
    np.testing.assert_allclose(curve.precision, precision)
    assert 0 < average_precision(curve) < 1 and right > 10


def plain_iou(one: list[float], two: list[float]) -> float:
    sides = [min(one[n + 2], two[n + 2]) - max(one[n], two[n]) for n in (0, 1)]
    both = max(sides[0], 0) * max(sides[1], 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    return both / (sum(areas) - both)
