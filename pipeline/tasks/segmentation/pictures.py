"""Pictures of masks: beside their image, and over it."""

import numpy as np

from pipeline.tasks.segmentation.palette import IGNORE, drawing_colors

WRONG, RIGHT, IGNORED = (213, 94, 0), (244, 244, 244), (150, 150, 150)
"""RGB colours of the map of errors, which colour-blind people can tell apart; ignored pixels have theirs in
the truth too."""


def panel(
    image: np.ndarray, truth: np.ndarray, predicted: np.ndarray, colors: np.ndarray
) -> list[np.ndarray]:
    """Image, truth, prediction and errors.

    Parameters
    ----------
    image : uint8 (H, W, 3).
    truth, predicted : class indices (H, W); 255 in the truth is ignored.
    colors : uint8 (K, 3), the colour of each index; indices from K on are drawn in VOC's.

    Returns
    -------
    uint8 (H, W, 3) each. Wrong pixels are vermilion, right ones white, ignored ones grey.
    """
    colors, ignored = drawing_colors(colors), (truth == IGNORE)[..., None]
    errors = np.where((truth == predicted)[..., None], RIGHT, WRONG)
    shown = [np.where(ignored, IGNORED, part).astype(np.uint8) for part in (colors[truth], errors)]
    return [image, shown[0], colors[predicted], shown[1]]


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
