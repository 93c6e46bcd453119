"""The pictures in a segmentation's report."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.metrics.pixels import class_iou
from pipeline.prediction.stored import load_map
from pipeline.tasks.segmentation.counts import right_shares
from pipeline.tasks.segmentation.pictures import plot_class_iou, plot_panels
from pipeline.tasks.segmentation.reading import MaskReader
from pipeline.tasks.task import ReportRequest

PANELS = 8
"""Images shown in the report."""


def report(request: ReportRequest, read: MaskReader, colors: np.ndarray) -> list[Path]:
    """IoU of every class, and the images with the lowest share of right pixels."""
    (counts,) = request.evidence("pixels")
    assert isinstance(counts, np.ndarray)
    right = right_shares(counts)
    order = np.argsort(right, kind="stable")
    # The worst, and for comparison some from the middle and the top.
    shown = [
        *order[: PANELS // 2],
        *order[np.linspace(len(order) // 2, len(order) - 1, PANELS // 2, dtype=int)],
    ]
    row_of = pd.Series(range(len(request.images)), index=request.images.frame["image_id"])
    panels = []
    for position in dict.fromkeys(int(value) for value in shown):
        image_id = request.oof["image_id"].iloc[position]
        predicted = load_map(request.oof["map_file"].iloc[position]).argmax(axis=0).astype("uint8")
        mask = read(request.truth["mask"].iloc[position], image_id)
        image = request.images.picture(int(row_of[image_id]))
        panels.append((image, mask, predicted, f"{image_id}: {100 * right[position]:.0f} % right"))
    classes = list(request.classes)
    return [
        plot_class_iou(class_iou(counts), classes, request.folder / "class_iou.png"),
        plot_panels(panels, colors, classes, request.folder / "panels.png"),
    ]
