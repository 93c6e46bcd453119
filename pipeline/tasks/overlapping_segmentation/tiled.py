"""Masks of images that do not fit into memory: learnt and predicted square by square, scored and handed in as
wholes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from pipeline.frame.rle import RunLengths
from pipeline.frame.tiles import PLACE, TileRows, Tiling
from pipeline.metrics.metric import Metric, Needs
from pipeline.tasks.mask_truth import RunLengthTiles
from pipeline.tasks.overlapping_segmentation.task import OverlappingSegmentation
from pipeline.tasks.task import Rows

COUNTS = "counts"
"""Column of "frames" evidence: pixel counts (C, 3) of each square's own part."""


class TiledSegmentation(OverlappingSegmentation):
    """Truth: the column ``masks`` of the whole image and `pipeline.frame.tiles.PLACE`. What squares share is
    counted once."""

    rows: TileRows

    def __init__(
        self,
        classes: Sequence[str],
        tiling: Tiling,
        runs: RunLengths | None = None,
        rows: TileRows | None = None,
        *,
        may_lack: Sequence[str] = (),
    ) -> None:
        """Parameters
        ----------
        tiling : the squares; the competition's reader is of the same side and shrink.
        runs : how the truth is written.
        classes, rows, may_lack : see `OverlappingSegmentation`.
        """
        truth = RunLengthTiles(runs or RunLengths(), side=tiling.side, shrink=tiling.shrink)
        super().__init__(classes, truth, rows or TileRows(), may_lack=may_lack)
        self.tiling = tiling
        self.target_columns = (*truth.columns, "whole")

    def evidence(
        self, needs: Needs, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> tuple[Rows, ...]:
        """Counts of the squares' own pixels; as "frames", with them in a column, for `of_wholes`."""
        if needs != "frames":
            return super().evidence(needs, truth, predictions, classes)
        (counts,) = super().evidence("pixels", truth, predictions, classes)
        cells = pd.Series(list(np.asarray(counts)), index=predictions.index, dtype=object)
        return truth, predictions.assign(**{COUNTS: cells})

    def _with_truth(
        self,
        function: Callable[[int, np.ndarray, np.ndarray], np.ndarray],
        truth: pd.DataFrame,
        predictions: pd.DataFrame,
    ) -> list[np.ndarray]:
        """See OverlappingSegmentation: of each square's own pixels."""
        places = truth[list(PLACE[1:])].to_numpy().tolist()

        def inner(place: int, mask: np.ndarray, levels: np.ndarray) -> np.ndarray:
            down, across = self.tiling.own(*places[place])
            return function(place, mask[down, across], levels[:, down, across])

        return super()._with_truth(inner, truth, predictions)

    def whole_rows(
        self, predictions: pd.DataFrame, test: pd.DataFrame, classes: Sequence[str]
    ) -> pd.DataFrame:
        """The submission, a row for each whole image and class; the masks of one image in memory at a time.

        Parameters
        ----------
        test : the rows of `predictions`, in their order, with PLACE.
        """
        form = replace(self.rows, labels=self.rows.of(classes).labels)
        found = []
        for whole, places in test.groupby("whole", sort=False):
            part = predictions.loc[test["whole"].to_numpy() == whole]
            masks = list(self.masks_of(part, classes))
            for place, label in enumerate(form.labels):
                text = form.text_of(self.tiling, places, [planes[place] for planes in masks])
                found.append((form.key.format(image=whole, label=label), label, text))
        rows = pd.DataFrame(found, columns=["id", "label", "text"], dtype="str")
        names = ["id", "label", "text"] if form.class_column else ["id", "text"]
        return rows[names].set_axis(form.columns, axis=1)


def of_wholes(metric: Metric) -> Metric:
    """A metric of pixels, over whole images instead of the squares that they are predicted in."""
    return replace(metric, function=partial(_of_wholes, function=metric.function), needs="frames")


def _of_wholes(
    truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str], *, function: Callable[..., float]
) -> float:
    counts = np.stack(predictions[COUNTS].tolist())
    number = pd.factorize(truth["whole"])[0]
    totals = np.zeros((number.max(initial=-1) + 1, *counts.shape[1:]), dtype=counts.dtype)
    np.add.at(totals, number, counts)
    return function(totals)
