"""Least scores of boxes, and masks that must not overlap."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from faster_coco_eval.core import mask as coco_mask

from pipeline.frame.coco_masks import run_lengths
from pipeline.metrics.objects import pooled_f_over_thresholds
from pipeline.metrics.overlaps import overlaps
from pipeline.tasks.detection.decide import BoxRules

CLASSES = ["cat", "dog"]
PLAIN = lambda given: math.nan  # noqa: E731


def square(left: int, top: int, side: int, size: int = 20) -> str:
    mask = np.zeros((size, size), dtype="uint8", order="F")
    mask[top : top + side, left : left + side] = 1
    return json.dumps({"size": [size, size], "counts": coco_mask.encode(mask)["counts"].decode("ascii")})


def area(text: str) -> int:
    return int(coco_mask.area(run_lengths(text, [0, 0, 0, 0], 0, 0)))


def found(seed: int, count: int = 60) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Truth and predictions: true cats score .3 to .5 and true dogs .7 to .9, wrong ones up to .25 less."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        objects = []
        for place in range(int(random.integers(0, 4))):
            kind, right = int(random.integers(2)), random.random() < 0.6
            score = (0.3, 0.7)[kind] + random.uniform(0, 0.2) - (0 if right else 0.25)
            box = [20.0 * place, 0.0, 20.0 * place + 10, 10.0]
            objects.append((box, max(score, 0.05), CLASSES[kind], right))
        objects.sort(key=lambda one: -one[1])
        rows.append((f"i{number}", objects))
    shown = [[one for one in objects if one[3]] for _, objects in rows]
    truth = {"image_id": [name for name, _ in rows], "boxes": [[one[0] for one in image] for image in shown]}
    given = {
        "image_id": truth["image_id"],
        "boxes": [[one[0] for one in image] for _, image in rows],
        "scores": [[one[1] for one in image] for _, image in rows],
        "labels": [[one[2] for one in image] for _, image in rows],
    }
    return pd.DataFrame(truth), pd.DataFrame(given)


def f1_against(truth: pd.DataFrame):
    return lambda given: pooled_f_over_thresholds(overlaps(truth, given), beta=1)


class TestThresholds:
    def test_boxes_below_the_threshold_of_their_class_are_taken_off_all_lists(self):
        given = pd.DataFrame(
            {
                "image_id": ["a", "b"],
                "boxes": [[[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5]], []],
                "scores": [[0.8, 0.5, 0.4], []],
                "labels": [["dog", "cat", "dog"], []],
            },
            index=[5, 3],
        )
        made = BoxRules().apply(given, CLASSES, [0.5, 0.6])
        assert made.index.tolist() == [5, 3]
        assert made["boxes"].tolist() == [[[0, 0, 1, 1], [2, 2, 3, 3]], []]
        assert made["scores"].tolist() == [[0.8, 0.5], []] and made["labels"].tolist() == [["dog", "cat"], []]
        assert len(given["boxes"].iloc[0]) == 3

    def test_one_for_each_class_beats_one_for_all_also_on_images_it_has_not_seen(self):
        truth, given = found(0)
        one, each = BoxRules(), BoxRules(per_class=True)
        common, own = (rule.fit(given, CLASSES, f1_against(truth)) for rule in (one, each))
        assert len(set(common)) == 1 and 0.2 < own[0] <= 0.325 and 0.6 < own[1] <= 0.725
        truth, given = found(1)
        score = f1_against(truth)
        plain, single, best = score(given), score(one.apply(given, CLASSES, common)), None
        best = score(each.apply(given, CLASSES, own))
        assert best > single + 0.05 and single >= plain

    @pytest.mark.parametrize("per_class", [False, True])
    def test_a_score_that_is_not_defined_chooses_nothing(self, per_class):
        _, given = found(0, 8)
        assert BoxRules(per_class).fit(given, CLASSES, PLAIN) == [0.0, 0.0]

    def test_what_is_fitted_survives_json(self):
        truth, given = found(0)
        fitted = BoxRules().fit(given, CLASSES, f1_against(truth))
        assert json.loads(json.dumps(fitted)) == fitted


class TestApart:
    given = pd.DataFrame(
        {
            "image_id": ["a", "b"],
            "boxes": [[[0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 9, 9], [12, 12, 16, 16]], []],
            "scores": [[0.9, 0.8, 0.7, 0.6], []],
            "labels": [["cat", "dog", "cat", "cat"], []],
            "masks": [[square(0, 0, 10), square(4, 0, 15), square(0, 0, 9), square(12, 12, 4)], []],
        }
    )

    def test_a_pixel_is_the_better_ones_and_what_has_lost_half_goes(self):
        made = BoxRules(apart=True).apply(self.given, CLASSES, [0.0, 0.0])
        assert made["scores"].tolist() == [[0.9, 0.8], []]
        assert [area(text) for text in made["masks"][0]] == [100, 225 - 60]
        assert made["boxes"][0] == self.given["boxes"][0][:2]

    def test_without_it_masks_stay_as_they_are(self):
        made = BoxRules().apply(self.given, CLASSES, [0.0, 0.0])
        assert made["masks"].tolist() == self.given["masks"].tolist()

    def test_masks_that_a_fit_takes_apart_are_those_it_applies(self):
        shown = []
        BoxRules(apart=True).fit(
            self.given, CLASSES, lambda given: float(not shown.append(given["masks"][0]))
        )
        assert shown[0] == BoxRules(apart=True).apply(self.given, CLASSES, [0.0, 0.0])["masks"][0]
