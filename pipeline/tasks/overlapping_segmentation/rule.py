"""From probabilities to masks: thresholds, least areas, and what is done where masks overlap."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from pipeline.prediction.decide import DECIDED
from pipeline.prediction.stored import LEVELS


@dataclass(frozen=True, kw_only=True)
class MaskRule:
    """How masks follow from probabilities.

    Attributes
    ----------
    thresholds : least probability of a pixel, for each class.
    areas : least number of pixels that a class must have in an image to be there at all, for each class.
    exclusive : whether a pixel counts for its most probable class alone, of equal ones the first.
    """

    thresholds: tuple[float, ...]
    areas: tuple[int, ...]
    exclusive: bool = False

    @classmethod
    def plain(cls, count: int) -> Self:
        """What is more probable than not, of `count` classes."""
        return cls(thresholds=(0.5,) * count, areas=(0,) * count)

    def masks(self, levels: np.ndarray) -> np.ndarray:
        """bool (C, H, W) of probabilities as `load_levels` gives them, uint8 (C, H, W)."""
        if self.exclusive:
            levels = most_probable(levels)
        cuts = np.array([cut_of(threshold) for threshold in self.thresholds])
        found = levels >= cuts[:, None, None]
        found[found.sum(axis=(1, 2)) < np.asarray(self.areas)] = False
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {name: list(one) if isinstance(one, tuple) else one for name, one in asdict(self).items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Inverse of `to_json`."""
        thresholds, areas = (tuple(value[name]) for name in ("thresholds", "areas"))
        return cls(thresholds=thresholds, areas=areas, exclusive=bool(value["exclusive"]))


def cut_of(threshold: float) -> int:
    """The smallest stored level of a probability that reaches a threshold, at least 1: 0 is never inside."""
    return max(1, math.ceil(round(threshold * LEVELS, 6)))


def most_probable(levels: np.ndarray) -> np.ndarray:
    """Levels (C, H, W) with 0 for all but each pixel's largest; of equal ones the first stays."""
    kept = levels.argmax(axis=0)[None] == np.arange(len(levels))[:, None, None]
    return levels * kept


def rules_of(predictions: pd.DataFrame, classes: Sequence[str]) -> list[MaskRule]:
    """The rule of each image: that of the column ``decided``, else what is more probable than not."""
    if DECIDED not in predictions:
        return [MaskRule.plain(len(classes))] * len(predictions)
    return [MaskRule.from_json(value) for value in predictions[DECIDED]]
