"""Pictures of masks that may overlap: over their image, beside it, and the score of each class."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.base.figures import save_figure
from pipeline.tasks.mask_truth import IGNORE

COLORS = np.array(
    [
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (204, 121, 167),
        (0, 114, 178),
        (240, 228, 66),
        (213, 94, 0),
    ],
    dtype=np.uint8,
)
"""Of the classes in turn: those of Okabe and Ito, which colour-blind people tell apart."""
MISSED, SPURIOUS = (0, 114, 178), (213, 94, 0)
GAP = 4
"""White pixels between two parts of a panel."""


def overlay(image: np.ndarray, masks: np.ndarray, alpha: float = 0.5) -> np.ndarray:
    """The classes' colours over an image; where masks overlap, the mean of their colours.

    Parameters
    ----------
    image : uint8 (H, W, 3).
    masks : (C, H, W), inside where 1.
    alpha : share of the colour, 0 to 1.
    """
    there = (masks == 1).astype("float32")
    colors = COLORS[np.arange(len(masks)) % len(COLORS)].astype("float32")
    count = there.sum(axis=0)[..., None]
    mean = np.einsum("chw,cd->hwd", there, colors) / np.maximum(count, 1)
    mixed = (1 - alpha) * image + alpha * mean
    return np.where(count > 0, mixed.round(), image).astype(np.uint8)


def panel(image: np.ndarray, truth: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Image, truth, prediction and errors side by side, uint8 (H, 4 W + 12, 3). Of the errors, what was
    missed is blue and what is spurious red.

    Parameters
    ----------
    image : uint8 (H, W, 3).
    truth : uint8 (H, W, C); 255 is ignored.
    masks : bool (C, H, W).
    """
    planes = truth.transpose(2, 0, 1)
    missed = ((planes == 1) & ~masks).any(axis=0)
    spurious = ((planes == 0) & masks).any(axis=0)
    errors = np.full_like(image, 244)
    errors[(planes == IGNORE).all(axis=0)] = 150
    errors[missed], errors[spurious] = MISSED, SPURIOUS
    parts = [image, overlay(image, planes), overlay(image, masks), errors]
    gap = np.full((len(image), GAP, 3), 255, dtype=np.uint8)
    return np.concatenate([piece for part in parts for piece in (part, gap)][:-1], axis=1)


def plot_panels(panels: Sequence[tuple[np.ndarray, str]], classes: Sequence[str], path: Path) -> Path:
    """Panels in two columns, each under its caption, with the colours of the classes and errors."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    rows = max(1, -(-len(panels) // 2))
    figure = Figure(figsize=(13, 1.9 * rows + 0.6))
    axes = list(figure.subplots(rows, 2, squeeze=False).flat)
    for axis in axes:
        axis.axis("off")
    for axis, (picture, caption) in zip(axes, panels, strict=False):
        axis.imshow(picture)
        axis.set_title(f"{caption} (image, truth, prediction, errors)", fontsize=7)
    named = [(tuple(COLORS[place % len(COLORS)] / 255), name) for place, name in enumerate(classes)]
    named += [(tuple(np.array(MISSED) / 255), "error: missed"), (tuple(np.array(SPURIOUS) / 255), "spurious")]
    patches = [Patch(facecolor=color, label=name) for color, name in named]
    figure.legend(handles=patches, loc="lower center", ncols=min(8, len(patches)), fontsize=8)
    bottom = 0.5 / (1.9 * rows + 0.6)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.95, bottom=bottom, wspace=0.03)
    return save_figure(figure, path)


def plot_class_dice(dice: np.ndarray, classes: Sequence[str], path: Path) -> Path:
    """Bars of each class's Dice coefficient over all pixels; classes without any (NaN) are marked."""
    from matplotlib.figure import Figure

    order = np.argsort(np.where(np.isnan(dice), -1, dice), kind="stable")
    figure = Figure(figsize=(7, 0.27 * len(classes) + 1.2))
    axis = figure.subplots()
    bars = axis.barh([classes[index] for index in order], np.nan_to_num(dice[order]), color="#4878a8")
    texts = ["absent" if np.isnan(value) else f"{value:.3f}" for value in dice[order]]
    axis.bar_label(bars, texts, padding=3, fontsize=8)
    axis.set_xlim(0, 1.12)
    axis.grid(axis="x", alpha=0.3)
    axis.set_xlabel("Dice coefficient of all pixels")
    axis.set_title("Dice of each class")
    return save_figure(figure, path)
