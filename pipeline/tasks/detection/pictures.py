"""Boxes drawn into images."""

from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.frame.boxes import box_array

TRUE, RIGHT, WRONG = (86, 180, 233), (240, 228, 66), (213, 94, 0)
"""RGB colours of true boxes, and of predicted ones: Okabe and Ito's, which colour-blind people can tell
apart."""
DASH = 6
"""Pixels of a dash, in widths of the line."""


def draw_boxes(
    image: np.ndarray,
    boxes: Sequence | np.ndarray,
    captions: Sequence[str],
    colors: Sequence[tuple[int, int, int]],
    dashed: bool = False,
) -> np.ndarray:
    """A copy of the image with boxes and their captions drawn into its pixels.

    Parameters
    ----------
    image : uint8 (H, W, 3).
    boxes : (N, 4) in xyxy; what lies outside the image is not drawn.
    captions : N texts; cv2's font has ASCII alone.
    colors : N RGB colours, 0 to 255.
    dashed : with gaps in the edges, through which another box shows, and the captions below.

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
        corners = ((x1, y1), (max(x1, x2 - 1), max(y1, y2 - 1)))
        if dashed:
            edges = cv2.rectangle(np.zeros(drawn.shape[:2], dtype="uint8"), *corners, 1, width) > 0
            down, right = np.indices(edges.shape)
            drawn[edges & ((down + right) // (DASH * width) % 2 == 0)] = color
        else:
            cv2.rectangle(drawn, *corners, color, width)
        if caption:
            (wide, high), below = cv2.getTextSize(caption, font, scale, 1)
            left = max(0, min(x1, image.shape[1] - wide))
            top = max(0, y1 - high - below)
            if dashed:
                top = max(0, min(y2, image.shape[0] - high - below))
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
