"""Pictures of masks that may overlap: over their image, and beside it."""

import numpy as np

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
MISSED, SPURIOUS, IGNORED = (0, 114, 178), (213, 94, 0), (150, 150, 150)


def color_of(place: int) -> tuple[int, int, int]:
    """The colour of a class by its number."""
    red, green, blue = COLORS[place % len(COLORS)].tolist()
    return red, green, blue


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


def panel(image: np.ndarray, truth: np.ndarray, masks: np.ndarray) -> list[np.ndarray]:
    """Image, truth, prediction and errors, each uint8 (H, W, 3). Of the errors, what was missed is blue and
    what is spurious red.

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
    errors[(planes == IGNORE).all(axis=0)] = IGNORED
    errors[missed], errors[spurious] = MISSED, SPURIOUS
    return [image, overlay(image, planes), overlay(image, masks), errors]
