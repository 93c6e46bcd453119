"""What belongs to an image that was made smaller, and has to follow it."""

import cv2
import numpy as np
import pandas as pd

from pipeline.inputs.preprocess import MASK_INTERPOLATION


def file_sizes(frame: pd.DataFrame) -> list[tuple[int, int] | None]:
    """(height, width) of each row's image as its file has it; None where the frame does not say, and images
    are read as they are."""
    if not {"height", "width"} <= set(frame):
        return [None] * len(frame)
    return [(int(height), int(width)) for height, width in zip(frame["height"], frame["width"], strict=True)]


def mask_like(mask: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A mask (H, W) or (H, W, C), uint8, at the size of its image; no value is made that it does not have."""
    height, width = image.shape[:2]
    if mask.shape[:2] == (height, width):
        return mask
    made = [
        cv2.resize(np.ascontiguousarray(plane), (width, height), interpolation=MASK_INTERPOLATION)
        for plane in np.moveaxis(mask.reshape(*mask.shape[:2], -1), 2, 0)
    ]
    return np.stack(made, axis=2).reshape(height, width, *mask.shape[2:])
