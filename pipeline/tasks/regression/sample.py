"""Generated images for a competition that has none yet: a disc whose size is to be told."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

TRAIN, TEST = 600, 150
"""Number of images in each split."""
SIDE, SCALE = 32, 3
"""Pixels of an image's side, and how many times larger it is drawn, for smooth edges."""
LOW, HIGH = 1, 100
"""Range of the value."""


def write_sample(
    raw: Path,
    seed: int,
    *,
    train: str = "train",
    test: str = "test",
    csv: str = "train.csv",
    columns: tuple[str, str] = ("image_id", "value"),
) -> pd.DataFrame:
    """Write two folders of JPEGs and a CSV of values under `raw`.

    Parameters
    ----------
    train, test, csv : what the folders and the file are called.
    columns : of the CSV: the image's id and its value.

    Returns
    -------
    The truth of the test images: image_id and the column of values.
    """
    random = np.random.default_rng(seed)
    tables = {}
    for split, count in ((train, TRAIN), (test, TEST)):
        (raw / split).mkdir(parents=True)
        values = random.integers(LOW, HIGH + 1, count)
        ids = [f"{split}_{number:04d}" for number in range(1, count + 1)]
        for image_id, value in zip(ids, values.tolist(), strict=True):
            draw_disc(value, random).save(raw / split / f"{image_id}.jpg", quality=92)
        tables[split] = pd.DataFrame({"image_id": ids, columns[1]: values}).astype({"image_id": "str"})
    tables[train].rename(columns={"image_id": columns[0]}).to_csv(raw / csv, index=False)
    return tables[test]


def draw_disc(value: float, random: np.random.Generator) -> Image.Image:
    """One RGB image of a disc at any place, in colours that differ; its radius grows with the value."""
    size = SIDE * SCALE
    back, fore = random.permutation([random.integers(0, 100, 3), random.integers(150, 256, 3)])
    image = Image.new("RGB", (size, size), tuple(back.tolist()))
    radius = size * (0.08 + 0.34 * (value - LOW) / (HIGH - LOW))
    x, y = random.uniform(radius, size - radius, 2)
    ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(fore.tolist()))
    pixels = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX)).astype(float)
    noise = random.normal(0, random.uniform(3, 12), pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))
