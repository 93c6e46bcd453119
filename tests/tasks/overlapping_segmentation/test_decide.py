"""Thresholds and least areas: quick, and as good as trying every one."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.competition import base
from pipeline.competition.evaluate import evaluation_of
from pipeline.delivery.decide import decide
from pipeline.frame.rle import RunLengths
from pipeline.metrics.metric import Metric
from pipeline.metrics.usual import global_f, mean_dice
from pipeline.prediction.decide import GRID
from pipeline.prediction.stored import load_levels, save_map
from pipeline.tasks.overlapping_segmentation.decide import MaskRules
from pipeline.tasks.overlapping_segmentation.rule import MaskRule
from pipeline.tasks.overlapping_segmentation.task import OverlappingSegmentation

CLASSES = ["fish", "sugar"]
SIDE = 24


class Clouds(base.Competition):
    """A competition whose data are given."""

    task = OverlappingSegmentation(CLASSES)

    def __init__(self, metric: Metric, decision: MaskRules | None) -> None:
        self.metric, self.decision = metric, decision

    def load_train(self, raw):
        raise NotImplementedError

    load_test = load_train

    def make_sample(self, raw, seed):
        raise NotImplementedError


@pytest.fixture
def given(tmp_path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Truth and predictions: fish reach 0.8 and the water 0.6, sugar reaches 0.3; where there is no sugar
    a few specks look like it."""
    random, truth, rows = np.random.default_rng(0), [], []
    for number in range(16):
        masks = np.zeros((2, SIDE, SIDE), dtype=bool)
        masks[0, 2 : 2 + random.integers(6, 12), 3:15] = True
        if number % 2:
            masks[1, 10:20, 8 : 8 + random.integers(6, 12)] = True
        values = np.where(masks, [[[0.8]], [[0.3]]], [[[0.6]], [[0.1]]]).astype("float32")
        if not number % 2:
            values[1, 0, :5] = 0.3
        path = tmp_path / f"{number}.npz"
        save_map(path, (values + random.normal(0, 0.02, values.shape)).clip(0, 1))
        truth.append((f"i{number:02d}", [RunLengths().text(mask) for mask in masks]))
        rows.append((f"i{number:02d}", str(path), SIDE, SIDE))
    return (
        pd.DataFrame(truth, columns=["image_id", "masks"]),
        pd.DataFrame(rows, columns=["image_id", "map_file", "height", "width"]),
    )


def score(metric: Metric, truth: pd.DataFrame, predictions: pd.DataFrame) -> float:
    return evaluation_of(Clouds(metric, None), truth, predictions, CLASSES).score


@pytest.mark.parametrize("metric", [mean_dice(background=True), global_f(0.5, background=True)])
@pytest.mark.parametrize("per_class", [True, False])
def test_what_is_fitted_scores_as_its_masks_do_and_beats_one_half(given, metric, per_class):
    truth, oof = given
    rules = MaskRules(per_class=per_class)
    made = decide(Clouds(metric, rules), truth, oof, oof, np.arange(16) % 4, CLASSES)
    plain, nested, fitted = (score(metric, truth, one) for one in (oof, made.oof, made.test))
    assert plain < 0.7 and fitted >= nested > plain
    if per_class:
        assert nested > 0.97 and 0.65 <= made.fitted["thresholds"][0] <= 0.75
        assert 0.15 <= made.fitted["thresholds"][1] <= 0.275


def test_specks_are_dropped_by_the_least_area(given):
    truth, oof = given
    metric = mean_dice(background=True)
    with_area, without = (
        decide(Clouds(metric, MaskRules(least_area=area)), truth, oof, oof, np.arange(16) % 4, CLASSES)
        for area in (True, False)
    )
    assert 5 < with_area.fitted["areas"][1] <= 60 and without.fitted["areas"] == [0, 0]
    assert score(metric, truth, with_area.oof) > score(metric, truth, without.oof) + 0.2


def test_a_single_threshold_is_the_best_of_the_grid(given):
    truth, oof = given
    metric, rules = mean_dice(background=True), MaskRules(per_class=False, least_area=False)
    made = decide(Clouds(metric, rules), truth, oof, oof, np.arange(16) % 4, CLASSES)
    each = [
        score(metric, truth, rules.apply(oof, CLASSES, MaskRule(thresholds=(t, t), areas=(0, 0)).to_json()))
        for t in GRID.round(6).tolist()
    ]
    assert score(metric, truth, made.test) == pytest.approx(max(each))


def _by_frames(truth: pd.DataFrame, predictions: pd.DataFrame, classes: list[str]) -> float:
    (counts,) = Clouds.task.evidence("pixels", truth, predictions, classes)
    return mean_dice(background=True).function(counts)


def test_a_metric_of_frames_is_fitted_too_over_fewer_candidates(given):
    truth, oof = given
    metric = Metric(name="own_dice", function=_by_frames, needs="frames")
    made = decide(Clouds(metric, MaskRules()), truth, oof, oof, np.arange(16) % 2, CLASSES)
    assert made.fitted["thresholds"] == [0.7, 0.5] and made.fitted["areas"] == [0, 0]


def test_each_map_is_read_once_for_all_fits(given, monkeypatch):
    truth, oof = given
    read = []
    monkeypatch.setattr(
        "pipeline.tasks.overlapping_segmentation.task.load_levels",
        lambda path: read.append(path) or load_levels(path),
    )
    decide(Clouds(mean_dice(background=True), MaskRules()), truth, oof, oof, np.arange(16) % 4, CLASSES)
    assert sorted(read) == sorted(oof["map_file"])


def test_exclusive_masks_do_not_overlap_and_the_first_class_wins_a_tie(tmp_path):
    values = np.array([[[0.9, 0.6, 0.7]], [[0.8, 0.7, 0.7]]], dtype="float32")
    save_map(Path(tmp_path / "m.npz"), values)
    levels = load_levels(tmp_path / "m.npz")
    both = MaskRule(thresholds=(0.5, 0.5), areas=(0, 0))
    assert both.masks(levels).all()
    alone = MaskRule(thresholds=(0.5, 0.5), areas=(0, 0), exclusive=True).masks(levels)
    assert alone.tolist() == [[[True, False, True]], [[False, True, False]]]


def test_the_probability_that_is_the_threshold_is_inside_and_none_is_never(tmp_path):
    save_map(tmp_path / "m.npz", np.array([[[0.0, 0.498, 0.502, 1.0]]], dtype="float32"))
    levels = load_levels(tmp_path / "m.npz")
    assert MaskRule.plain(1).masks(levels).tolist() == [[[False, False, True, True]]]
    assert MaskRule(thresholds=(0.0,), areas=(0,)).masks(levels).tolist() == [[[False, True, True, True]]]
    assert not MaskRule(thresholds=(0.5,), areas=(3,)).masks(levels).any()
    assert MaskRule(thresholds=(0.5,), areas=(2,)).masks(levels).sum() == 2
