"""Generated images for a competition that has none yet: drawn shapes of three kinds."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

TRAIN, TEST = 600, 150
"""Number of images in each split."""
SIDE, SCALE = 32, 3
"""Pixels of an image's side, and how many times larger it is drawn, for smooth edges."""
CORNERS = {"disc": 32, "square": 4, "triangle": 3}
"""Corners of each class's shape."""


def write_sample(
    raw: Path,
    seed: int,
    *,
    train: str = "train",
    test: str = "test",
    csv: str = "train.csv",
    columns: tuple[str, str] = ("image_id", "label"),
    suffix_in_id: bool = False,
) -> pd.DataFrame:
    """Write two folders of JPEGs and a CSV of labels under `raw`.

    Parameters
    ----------
    train, test, csv : what the folders and the file are called.
    columns : of the CSV: the image's id and its label.
    suffix_in_id : whether an id is the file's whole name.

    Returns
    -------
    The truth of the test images: image_id and label.
    """
    random = np.random.default_rng(seed)
    tables = {}
    for split, count in ((train, TRAIN), (test, TEST)):
        (raw / split).mkdir(parents=True)
        labels = random.permutation(np.resize(list(CORNERS), count)).tolist()
        names = [f"{split}_{number:04d}" for number in range(1, count + 1)]
        for name, label in zip(names, labels, strict=True):
            draw_shape(CORNERS[label], random).save(raw / split / f"{name}.jpg", quality=92)
        ids = [f"{name}.jpg" for name in names] if suffix_in_id else names
        tables[split] = pd.DataFrame({"image_id": ids, "label": labels}, dtype="str")
    tables[train].set_axis(list(columns), axis=1).to_csv(raw / csv, index=False)
    return tables[test]


def draw_shape(corners: int, random: np.random.Generator) -> Image.Image:
    """One RGB image of a regular shape at any place, size and angle, in colours that differ."""
    back, fore = random.permutation([random.integers(0, 100, 3), random.integers(150, 256, 3)])
    image = Image.new("RGB", (SIDE * SCALE, SIDE * SCALE), tuple(back.tolist()))
    radius = random.uniform(0.22, 0.42)
    angles = random.uniform(0, 2 * np.pi) + 2 * np.pi * np.arange(corners) / corners
    center = random.uniform(radius, 1 - radius, 2)
    outline = center + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = [tuple(point) for point in (outline * SIDE * SCALE).tolist()]
    ImageDraw.Draw(image).polygon(points, fill=tuple(fore.tolist()))
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)).astype(float)
    noise = random.normal(0, random.uniform(3, 20), pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))
