"""Pictures of masks: beside their image, over it, and the score of each class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.base.figures import save_figure
from pipeline.tasks.segmentation.palette import IGNORE, drawing_colors

WRONG, RIGHT, IGNORED = (214, 39, 40), (244, 244, 244), (150, 150, 150)
"""RGB colours of the map of errors."""
GAP = 4
"""White pixels between two parts of a panel."""


def panel(
    image: np.ndarray, truth: np.ndarray | None, predicted: np.ndarray, colors: np.ndarray
) -> np.ndarray:
    """Image, truth, prediction and errors side by side; without a truth, image and prediction.

    Parameters
    ----------
    image : uint8 (H, W, 3).
    truth, predicted : class indices (H, W); 255 in the truth is ignored.
    colors : uint8 (K, 3), the colour of each index; indices from K on are drawn in VOC's.

    Returns
    -------
    uint8 (H, 4 W + 12, 3), or (H, 2 W + 4, 3). Errors are red, right pixels white, ignored ones grey.
    """
    colors = drawing_colors(colors)
    parts = [image, colors[predicted]]
    if truth is not None:
        errors = np.where((truth == predicted)[..., None], RIGHT, WRONG)
        errors = np.where((truth == IGNORE)[..., None], IGNORED, errors).astype(np.uint8)
        parts = [image, colors[truth], colors[predicted], errors]
    gap = np.full((len(image), GAP, 3), 255, dtype=np.uint8)
    return np.concatenate([piece for part in parts for piece in (part, gap)][:-1], axis=1)


def overlay(image: np.ndarray, mask: np.ndarray, colors: np.ndarray, alpha: float) -> np.ndarray:
    """The mask's colours over the image, which background (0) leaves as it is.

    Parameters
    ----------
    image : uint8 (H, W, 3).
    mask : class indices (H, W).
    colors : as for `panel`.
    alpha : share of the mask's colour, 0 to 1.

    Returns
    -------
    uint8 (H, W, 3).
    """
    mixed = (1 - alpha) * image + alpha * drawing_colors(colors)[mask]
    return np.where((mask > 0)[..., None], mixed.round(), image).astype(np.uint8)


def plot_panels(
    panels: Sequence[tuple[np.ndarray, np.ndarray | None, np.ndarray, str]],
    colors: np.ndarray,
    classes: Sequence[str],
    path: Path,
) -> Path:
    """Panels in two columns, each under its caption, with the names of the classes in any of them.

    Parameters
    ----------
    panels : (image, truth, predicted, caption); the first three as for `panel`.
    colors : as for `panel`, one for each class at least.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    rows = max(1, -(-len(panels) // 2))
    figure = Figure(figsize=(13, 1.9 * rows + 0.6))
    axes = figure.subplots(rows, 2, squeeze=False).flat
    for axis in axes:
        axis.axis("off")
    present: set[int] = set()
    for axis, (image, truth, predicted, caption) in zip(figure.axes, panels, strict=False):
        axis.imshow(panel(image, truth, predicted, colors))
        parts = "image, prediction" if truth is None else "image, truth, prediction, errors"
        axis.set_title(f"{caption} ({parts})", fontsize=7)
        present |= {
            int(value) for mask in (truth, predicted) if mask is not None for value in np.unique(mask)
        }
    patches = [
        Patch(facecolor=colors[value] / 255, label=classes[value])
        for value in sorted(present)
        if 0 < value < len(classes)
    ]
    if patches:
        figure.legend(handles=patches, loc="lower center", ncols=min(8, len(patches)), fontsize=8)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.95, bottom=0.5 / (1.9 * rows + 0.6), wspace=0.03)
    return save_figure(figure, path)


def plot_class_iou(iou: np.ndarray, classes: Sequence[str], path: Path) -> Path:
    """Bars of each class's intersection over union, best first; absent classes (NaN) come last."""
    from matplotlib.figure import Figure

    order = np.argsort(np.where(np.isnan(iou), -1, iou), kind="stable")
    figure = Figure(figsize=(7, 0.27 * len(classes) + 1.2))
    axis = figure.subplots()
    bars = axis.barh([classes[index] for index in order], np.nan_to_num(iou[order]), color="#4878a8")
    texts = ["absent" if np.isnan(value) else f"{value:.3f}" for value in iou[order]]
    axis.bar_label(bars, texts, padding=3, fontsize=8)
    axis.set_xlim(0, 1.12)
    axis.grid(axis="x", alpha=0.3)
    axis.set_xlabel("intersection over union")
    mean = f"{np.nanmean(iou):.3f}" if (~np.isnan(iou)).any() else "none"
    axis.set_title(f"IoU of each class, mean {mean}")
    return save_figure(figure, path)
