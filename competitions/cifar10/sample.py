"""A generated stand-in for CIFAR-10: ten drawn shapes under the ten real names, in Kaggle's own raw layout.

It lets every stage run for real without an account or a network. Each class is one shape; position, size,
angle and colours are random, and a smaller second shape and noise get in the way, so that a network has to
learn shape and makes some mistakes to look at.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

TRAIN, TEST = 2500, 1000
"""Number of images in each split."""
SIDE = 32
SCALE = 3
"""Shapes are drawn this many times larger and scaled down, for smooth edges."""


def write_sample(raw: Path, classes: Sequence[str], seed: int) -> pd.DataFrame:
    """Write train/, test/, trainLabels.csv and sampleSubmission.csv under `raw`.

    Returns
    -------
    The truth of the test images: image_id and label.
    """
    random = np.random.default_rng(seed)
    tables = {}
    for split, count in (("train", TRAIN), ("test", TEST)):
        (raw / split).mkdir(parents=True)
        labels = random.permutation(np.arange(count) % len(classes))
        for number, label in enumerate(labels, start=1):
            draw_shape(int(label), random).save(raw / split / f"{number}.png")
        tables[split] = pd.DataFrame({"id": np.arange(1, count + 1), "label": np.asarray(classes)[labels]})
    tables["train"].to_csv(raw / "trainLabels.csv", index=False)
    tables["test"].assign(label=classes[3]).to_csv(raw / "sampleSubmission.csv", index=False)
    return tables["test"].rename(columns={"id": "image_id"}).astype({"image_id": "str"})


def draw_shape(kind: int, random: np.random.Generator) -> Image.Image:
    """One 32 x 32 RGB image of shape `kind` (0 to 9)."""
    side = SIDE * SCALE
    back, fore = _two_colors(random)
    image = Image.new("RGB", (side, side), back)
    draw = ImageDraw.Draw(image)
    small = random.uniform(0.08, 0.16) * side
    distractor = int(random.integers(0, 10))
    _draw(draw, distractor, random.uniform(small, side - small, 2), small, 0.0, _two_colors(random)[1])
    radius = random.uniform(0.22, 0.42) * side
    center = random.uniform(radius, side - radius, 2)
    _draw(draw, kind, center, radius, random.uniform(-0.3, 0.3), fore)
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)).astype(float)
    pixels += random.normal(0, random.uniform(5, 40), pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype("uint8"))


def _two_colors(random: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Background and foreground, far enough apart to be seen."""
    while True:
        colors = random.integers(0, 256, (2, 3))
        if np.abs(colors[0] - colors[1]).sum() > 160:
            return tuple(colors[0].tolist()), tuple(colors[1].tolist())


def _polygon(center: np.ndarray, radii: Sequence[float], turn: float) -> list[tuple[float, float]]:
    angles = turn + 2 * np.pi * np.arange(len(radii)) / len(radii) - np.pi / 2
    points = center + np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.asarray(radii)[:, None]
    return [tuple(point) for point in points.tolist()]


def _draw(
    draw: ImageDraw.ImageDraw,
    kind: int,
    center: np.ndarray,
    radius: float,
    turn: float,
    color: tuple[int, ...],
) -> None:
    x, y = center
    box = (x - radius, y - radius, x + radius, y + radius)
    width = int(radius * 0.35)
    if kind == 0:  # disc
        draw.ellipse(box, fill=color)
    elif kind == 1:  # ring
        draw.ellipse(box, outline=color, width=width)
    elif kind == 2:  # triangle
        draw.polygon(_polygon(center, [radius] * 3, turn), fill=color)
    elif kind == 3:  # square
        draw.polygon(_polygon(center, [radius] * 4, turn + np.pi / 4), fill=color)
    elif kind == 4:  # square frame
        corners = _polygon(center, [radius] * 4, turn + np.pi / 4)
        draw.line([*corners, corners[0], corners[1]], fill=color, width=width, joint="curve")
    elif kind == 5:  # upright cross
        for angle in (0, np.pi / 2):
            draw.line(_polygon(center, [radius, radius], turn + angle), fill=color, width=width)
    elif kind == 6:  # diagonal cross
        for angle in (np.pi / 4, 3 * np.pi / 4):
            draw.line(_polygon(center, [radius, radius], turn + angle), fill=color, width=width)
    elif kind == 7:  # five-pointed star
        draw.polygon(_polygon(center, [radius, radius * 0.4] * 5, turn), fill=color)
    elif kind == 8:  # two lying bars
        for offset in (-0.5, 0.5):
            middle = center + np.array([0, offset * radius])
            draw.line(_polygon(middle, [radius, radius], turn + np.pi / 2), fill=color, width=width)
    else:  # two standing bars
        for offset in (-0.5, 0.5):
            middle = center + np.array([offset * radius, 0])
            draw.line(_polygon(middle, [radius, radius], turn), fill=color, width=width)
