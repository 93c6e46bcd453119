"""The pictures in the report of masks that may overlap."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.metrics.f_score import f_of_counts
from pipeline.prediction.stored import load_levels
from pipeline.tasks.mask_truth import MaskTruth
from pipeline.tasks.overlapping_segmentation.pictures import panel, plot_class_dice, plot_panels
from pipeline.tasks.overlapping_segmentation.rule import rules_of
from pipeline.tasks.overlapping_segmentation.targets import truth_rows
from pipeline.tasks.task import ReportRequest

PANELS = 8
"""Images shown in the report."""


def report(request: ReportRequest, truth: MaskTruth) -> list[Path]:
    """Dice of every class, and the images with the lowest one."""
    (counts,) = request.evidence("pixels")
    assert isinstance(counts, np.ndarray)
    classes, count = list(request.classes), len(request.classes)
    each = f_of_counts(*np.moveaxis(counts, -1, 0))
    dice = np.where(np.isnan(each), 1.0, each).mean(axis=1)
    order = np.argsort(dice, kind="stable")
    # The worst, and for comparison some from the middle and the top.
    shown = [
        *order[: PANELS // 2],
        *order[np.linspace(len(order) // 2, len(order) - 1, PANELS // 2, dtype=int)],
    ]
    row_of = pd.Series(range(len(request.images)), index=request.images.frame["image_id"])
    rules, rows, panels = rules_of(request.oof, classes), truth_rows(request.truth, truth), []
    for place in dict.fromkeys(int(value) for value in shown):
        levels = load_levels(request.oof["map_file"].iloc[place])
        mask = truth.read(rows[place], levels.shape[1], levels.shape[2], count)
        image_id = request.oof["image_id"].iloc[place]
        image = request.images.picture(int(row_of[image_id]))
        picture = panel(image, mask, rules[place].masks(levels))
        panels.append((picture, f"{image_id}: Dice {dice[place]:.2f}"))
    whole = f_of_counts(*np.moveaxis(counts.sum(axis=0), -1, 0))
    return [
        plot_class_dice(whole, classes, request.folder / "class_dice.png"),
        plot_panels(panels, classes, request.folder / "panels.png"),
    ]
