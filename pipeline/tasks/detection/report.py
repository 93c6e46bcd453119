"""The pictures in a detection's report."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.frame.boxes import box_array
from pipeline.metrics.voc_ap import precision_recall
from pipeline.tasks.detection.breakdown import break_down
from pipeline.tasks.detection.pictures import (
    Detections,
    plot_breakdown,
    plot_detections,
    plot_precision_recall,
)
from pipeline.tasks.task import ReportRequest

SHOWN = 12
"""Images in the report."""
SHOWN_SCORE = 0.3
"""Least score of a box that is drawn."""


def report(request: ReportRequest) -> list[Path]:
    """Boxes over images, precision against recall, kinds of mistakes."""
    truth, oof, folder = request.truth, request.oof, request.folder
    row_of = pd.Series(range(len(request.images)), index=request.images.frame["image_id"])
    pictures = []
    for row in np.unique(np.linspace(0, len(oof) - 1, SHOWN, dtype=int)).tolist():
        image_id = oof["image_id"].iloc[row]
        scores = np.asarray(oof["scores"].iloc[row], dtype=float)
        shown = np.flatnonzero(scores >= SHOWN_SCORE)
        pictures.append(
            Detections(
                image=request.images.picture(int(row_of[image_id])),
                caption=f"{image_id}",
                boxes=box_array(oof["boxes"].iloc[row])[shown],
                labels=[oof["labels"].iloc[row][i] for i in shown],
                scores=scores[shown].tolist(),
                true_boxes=truth["boxes"].iloc[row],
                true_labels=list(truth["labels"].iloc[row]),
            )
        )
    curves = precision_recall(truth, oof, request.classes)
    return [
        plot_detections(pictures, folder / "boxes.png"),
        plot_precision_recall(curves, folder / "precision_recall.png"),
        plot_breakdown(break_down(truth, oof), folder / "breakdown.png"),
    ]
