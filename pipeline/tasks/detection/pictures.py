"""Pictures of boxes: over their image, beside the truth, precision against recall, and kinds of mistakes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from pipeline.base.figures import save_figure
from pipeline.frame.boxes import box_array
from pipeline.metrics.voc_ap import Curve, average_precision
from pipeline.tasks.detection.breakdown import KINDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 4
"""Images in a row of a grid."""
TRUE, FOUND = "#2ca02c", "#d62728"
"""Colours of true and of predicted boxes."""
LEGEND = 10
"""Classes whose curves are named."""


@dataclass(frozen=True, kw_only=True)
class Detections:
    """One image of a grid.

    Attributes
    ----------
    image : uint8 (H, W, 3).
    boxes, labels, scores : what was predicted; boxes (N, 4) in xyxy.
    true_boxes, true_labels : the truth, where it is known.
    """

    image: np.ndarray
    caption: str
    boxes: Sequence | np.ndarray
    labels: Sequence[str]
    scores: Sequence[float]
    true_boxes: Sequence | np.ndarray = ()
    true_labels: Sequence[str] = ()


def draw_boxes(
    image: np.ndarray,
    boxes: Sequence | np.ndarray,
    captions: Sequence[str],
    colors: Sequence[tuple[int, int, int]],
) -> np.ndarray:
    """A copy of the image with boxes and their captions drawn into its pixels.

    Parameters
    ----------
    image : uint8 (H, W, 3).
    boxes : (N, 4) in xyxy; what lies outside the image is not drawn.
    captions : N texts; cv2's font has ASCII alone.
    colors : N RGB colours, 0 to 255.

    Returns
    -------
    uint8 (H, W, 3).
    """
    drawn = np.ascontiguousarray(image).copy()
    width = max(1, round(max(image.shape[:2]) / 320))
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.4 * max(1, width / 1.5)
    for box, caption, color in zip(box_array(boxes), captions, colors, strict=True):
        x1, y1, x2, y2 = (int(value) for value in box.round())
        color = tuple(int(value) for value in color)
        # The edges of a box are lines between pixels: the last pixel inside is the one before x2 and y2.
        cv2.rectangle(drawn, (x1, y1), (max(x1, x2 - 1), max(y1, y2 - 1)), color, width)
        if caption:
            (wide, high), below = cv2.getTextSize(caption, font, scale, 1)
            left = max(0, min(x1, image.shape[1] - wide))
            top = max(0, y1 - high - below)
            cv2.rectangle(drawn, (left, top), (left + wide, top + high + below), color, cv2.FILLED)
            dark = sum(color) > 380
            cv2.putText(
                drawn,
                caption,
                (left, top + high),
                font,
                scale,
                (0,) * 3 if dark else (255,) * 3,
                1,
                cv2.LINE_AA,
            )
    return drawn


def plot_detections(rows: Sequence[Detections], path: Path) -> Path:
    """Images, four in a row: the truth in dashed green, predictions with their scores in red."""
    from matplotlib.figure import Figure

    lines = max(1, -(-len(rows) // COLUMNS))
    figure = Figure(figsize=(3.4 * COLUMNS, 2.9 * lines + 0.4))
    axes = figure.subplots(lines, COLUMNS, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, row in zip(axes.flat, rows, strict=False):
        axis.imshow(row.image)
        axis.set_title(row.caption, fontsize=7)
        named = [f"{label} {score:.2f}" for label, score in zip(row.labels, row.scores, strict=True)]
        _add(axis, row.boxes, named, FOUND, "-")
        _add(axis, row.true_boxes, row.true_labels, TRUE, "--")  # last: red shows between the dashes
    figure.subplots_adjust(left=0.01, right=0.99, top=0.96, bottom=0.01, wspace=0.03, hspace=0.12)
    return save_figure(figure, path)


def _add(axis: "Axes", boxes: Sequence | np.ndarray, texts: Sequence[str], color: str, style: str) -> None:
    from matplotlib.patches import Rectangle

    for (x1, y1, x2, y2), text in zip(box_array(boxes), texts, strict=True):
        # Half a pixel less: imshow puts the centre of the first pixel at 0.
        corner = (x1 - 0.5, y1 - 0.5)
        axis.add_patch(
            Rectangle(corner, x2 - x1, y2 - y1, fill=False, edgecolor=color, linestyle=style, linewidth=1.2)
        )
        # The truth is named below its lower edge, predictions above their upper one: neither hides the other.
        place, align = ((x1, y2), "bottom") if style == "--" else ((x1, y1), "top")
        axis.text(
            *place,
            text,
            fontsize=5,
            color="white",
            va=align,
            clip_on=True,
            bbox={"facecolor": color, "edgecolor": "none", "pad": 0.8, "alpha": 0.8},
        )


def plot_precision_recall(curves: Mapping[str, Curve], path: Path) -> Path:
    """Precision against recall of each class, and how both follow from the score below which nothing counts.

    Parameters
    ----------
    curves : by class name; see `pipeline.metrics.voc_ap.precision_recall`. The classes with the most objects
        are named with their average precision; the others are grey. A class without objects is left out.
    """
    from matplotlib.figure import Figure

    shown = sorted((item for item in curves.items() if item[1].objects), key=lambda item: -item[1].objects)
    figure = Figure(figsize=(11, 4.2))
    left, right = figure.subplots(1, 2)
    for place, (name, curve) in reversed(list(enumerate(shown))):
        named = place < LEGEND
        style = {"color": f"C{place}" if named else "#cccccc", "linewidth": 1.4 if named else 0.8}
        recall = np.concatenate([[0.0], curve.recall])
        precision = np.concatenate([curve.precision[:1], curve.precision])
        if len(curve.recall):
            left.plot(recall, precision, label=f"{name} {average_precision(curve):.3f}", **style)
            right.plot(curve.scores, _f1(curve), **style)
        else:  # nothing predicted: a name in the legend, and no line
            left.plot([], [], label=f"{name} {average_precision(curve):.3f}", **style)
    left.set(title="precision against recall", xlabel="recall", ylabel="precision")
    right.set(title="F1 against the least score", xlabel="least score", ylabel="F1")
    for axis in (left, right):
        axis.set(xlim=(0, 1.01), ylim=(0, 1.02))
        axis.grid(alpha=0.3)
    handles, names = left.get_legend_handles_labels()
    if handles:
        left.legend(handles[::-1][:LEGEND], names[::-1][:LEGEND], fontsize=7, title="AP", title_fontsize=7)
    return save_figure(figure, path)


def _f1(curve: Curve) -> np.ndarray:
    both = curve.precision + curve.recall
    return 2 * curve.precision * curve.recall / np.maximum(both, 1e-12)


def plot_breakdown(counts: Mapping[str, int], path: Path) -> Path:
    """Bars of what became of predictions and objects; see `pipeline.tasks.detection.breakdown`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2))
    axis = figure.subplots()
    kinds = [kind for kind in KINDS if kind in counts][::-1]
    colors = [TRUE if kind == "correct" else FOUND for kind in kinds]
    bars = axis.barh(kinds, [counts[kind] for kind in kinds], color=colors)
    axis.bar_label(bars, [f"{counts[kind]:,}" for kind in kinds], padding=3, fontsize=8)
    axis.set_xlim(0, 1.15 * max([1, *counts.values()]))
    axis.grid(axis="x", alpha=0.3)
    axis.set_xlabel("predictions; of missed: objects")
    axis.set_title("kinds of mistakes (TIDE)")
    return save_figure(figure, path)
