"""Thresholds and least areas of masks, fitted on out-of-fold predictions for the competition's own metric."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pandas as pd

from pipeline.metrics.metric import Metric
from pipeline.prediction.decide import DECIDED, GRID, Decision, Score
from pipeline.tasks.overlapping_segmentation.rule import MaskRule, cut_of

QUANTILES = np.linspace(0.02, 0.9, 10)
"""Of the areas found at a threshold, those that are tried as the least."""
STEP = 3
"""Of the thresholds, every so many is tried with all least areas, and then those between around the best."""
ROUNDS = 2
"""Passes over the classes."""
COARSE = (0.3, 0.4, 0.5, 0.6, 0.7)
"""Thresholds that are tried where each candidate needs the whole metric again, each without a least area."""
Rate = Callable[[MaskRule], float]


class MaskRules(Decision):
    """Masks of what reaches a threshold, without those too small to be true.

    Fitted from counts of pixels that are made once for all thresholds, where the metric needs "pixels"; with
    another metric the whole of it is computed for a few thresholds, which takes as long as that many scores,
    and no least area is looked for.

    Parameters
    ----------
    per_class : a threshold and a least area for each class instead of one for all.
    least_area : whether a class with few pixels in an image is taken for none.
    exclusive : whether a pixel counts for its most probable class alone, so that no masks overlap.
    """

    def __init__(self, per_class: bool = True, least_area: bool = True, exclusive: bool = False) -> None:
        self.per_class, self.least_area, self.exclusive = per_class, least_area, exclusive

    def fit(self, predictions: pd.DataFrame, classes: Sequence[str], score: Score) -> dict[str, Any]:
        """See Decision. Ties go to the threshold closest to one half and to the smaller area."""
        groups = [[place] for place in range(len(classes))] if self.per_class else [[*range(len(classes))]]
        start = replace(MaskRule.plain(len(classes)), exclusive=self.exclusive)
        quick = score.metric.needs == "pixels"
        grid = GRID.tolist() if quick else list(COARSE)
        table = self._table(predictions, score, [cut_of(value) for value in grid])
        areas = table[..., 3]

        def whole(rule: MaskRule) -> float:
            return _number(score(self.apply(predictions, classes, rule.to_json())))

        rate: Rate = _Counted(table, score.metric, grid) if quick else cache(whole)
        rule = start
        for _ in range(ROUNDS if len(groups) > 1 else 1):
            for group in groups:
                rule = self._best(rule, group, grid, areas, rate)
        return (rule if rate(rule) > rate(start) else start).to_json()

    def _table(self, predictions: pd.DataFrame, score: Score, cuts: list[int]) -> np.ndarray:
        """See `counts_by_threshold`, int64 (N, C, T, 4); each image's is made once for all fits."""
        new = predictions[~predictions["map_file"].isin(score.kept)]
        made = score.task.threshold_counts(score.truth(new), new, cuts, self.exclusive)
        score.kept.update(zip(new["map_file"], made, strict=True))
        return np.stack([score.kept[path] for path in predictions["map_file"]])

    def _best(
        self, rule: MaskRule, group: list[int], grid: list[float], areas: np.ndarray, rate: Rate
    ) -> MaskRule:
        """The rule with the best threshold and least area of some classes; `areas` (N, C, T) are the pixels
        found at each threshold of the grid."""

        def changed(threshold: float, area: int) -> MaskRule:
            return _changed(rule, group, threshold, area)

        def tried(places: Iterable[int], least_area: bool) -> list[MaskRule]:
            rules = []
            for place in sorted(places, key=lambda place: abs(grid[place] - 0.5)):
                found = areas[:, group, place]
                rules.append(changed(grid[place], 0))
                if least_area and found.any():
                    limits = np.quantile(found[found > 0], QUANTILES, method="lower") + 1
                    rules += [changed(grid[place], int(limit)) for limit in np.unique(limits)]
            return rules

        best = max([rule, *tried(range(len(grid)), False)], key=rate)
        if not self.least_area or len(grid) != len(GRID):
            return best
        best = max([best, *tried(range(1, len(grid), STEP), True)], key=rate)
        middle = int(np.argmin(np.abs(np.asarray(grid) - best.thresholds[group[0]])))
        near = range(max(0, middle - STEP + 1), min(len(grid), middle + STEP))
        return max([best, *tried(near, True)], key=rate)

    def apply(self, predictions: pd.DataFrame, classes: Sequence[str], fitted: Any) -> pd.DataFrame:
        """See Decision: the rule stands beside each image, and its masks are made where they are needed."""
        column = pd.Series([fitted] * len(predictions), index=predictions.index, dtype=object)
        return predictions.assign(**{DECIDED: column})


def _changed(rule: MaskRule, group: list[int], threshold: float, area: int) -> MaskRule:
    thresholds, areas = list(rule.thresholds), list(rule.areas)
    for place in group:
        thresholds[place], areas[place] = round(threshold, 6), area
    return replace(rule, thresholds=tuple(thresholds), areas=tuple(areas))


class _Counted:
    """The metric of a rule, from a table of counts (N, C, T, 4) at the thresholds of the grid."""

    def __init__(self, table: np.ndarray, metric: Metric, grid: Sequence[float]) -> None:
        self.table, self.metric = np.ascontiguousarray(table.transpose(1, 2, 3, 0)), metric
        self.places = {round(value, 6): place for place, value in enumerate(grid)}
        # One class changes at a time: the columns of the others are those of the last candidate.
        self.column = lru_cache(4 * table.shape[1])(self._column)

    def __call__(self, rule: MaskRule) -> float:
        each = zip(range(len(self.table)), rule.thresholds, rule.areas, strict=True)
        counts = np.stack([self.column(*one) for one in each], axis=1)
        return _number(self.metric.sign * self.metric.function(counts))

    def _column(self, place: int, threshold: float, least: int) -> np.ndarray:
        """Pixel counts of a class, int64 (N, 3)."""
        right, spurious, there, area = self.table[place, self.places[threshold]]
        kept = area >= least
        right, spurious = right * kept, spurious * kept
        return np.stack([right, spurious, there - right], axis=1)


def _number(score: float) -> float:
    return -np.inf if np.isnan(score) else float(score)
