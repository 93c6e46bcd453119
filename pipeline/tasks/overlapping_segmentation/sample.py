"""Generated images for a competition that has none yet: discs and squares that lie over one another, and a
table of their run lengths."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from pipeline.frame.rle import RunLengths

TRAIN, TEST = 90, 24
"""Number of images in each split."""
SMALLEST, LARGEST = 56, 72
"""Range of both sides in pixels."""
NAMES = ("disc", "square")


def write_sample(
    raw: Path,
    seed: int,
    *,
    images: str = "images",
    test: str = "test",
    csv: str = "train.csv",
    columns: tuple[str, str, str] = ("image_id", "class", "rle"),
    names: Sequence[str] = NAMES,
) -> pd.DataFrame:
    """Write folders of images and a table with a row for each mask that has pixels under `raw`.

    Parameters
    ----------
    images, test, csv : what the folders and the table are called.
    columns : of the table: the image's id, the class, the run lengths; with "" for the class it stands behind
        the id and an underscore, and every image has a row for each.
    names : what discs and squares are called.

    Returns
    -------
    The truth of the test images: image_id and masks, a list of run lengths.
    """
    random, runs = np.random.default_rng(seed), RunLengths()
    hidden = []
    for split, count in ((images, TRAIN), (test, TEST)):
        (raw / split).mkdir(parents=True)
        rows, hidden = [], []
        for number in range(1, count + 1):
            name = f"{split}_{number:04d}"
            image, masks = draw_scene(random)
            image.save(raw / split / f"{name}.jpg", quality=92)
            texts = [runs.text(mask) for mask in masks]
            for kind, text in zip(names, texts, strict=True):
                if not columns[1]:
                    rows.append((f"{name}_{kind}", text))
                elif text:
                    rows.append((name, kind, text))
            hidden.append((name, texts))
        if split == images:
            pd.DataFrame(rows, columns=[name for name in columns if name]).to_csv(raw / csv, index=False)
    return pd.DataFrame(hidden, columns=["image_id", "masks"]).astype({"image_id": "str"})


def draw_scene(random: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
    """One RGB image with a disc or none, a square or none, half seen through one another, and their masks,
    bool (2, H, W)."""
    width, height = (int(side) for side in random.integers(SMALLEST, LARGEST + 1, 2))
    pixels = np.empty((height, width, 3))
    pixels[:] = random.integers(90, 150, 3)
    masks = np.zeros((2, height, width), dtype=bool)
    for kind, color in enumerate(((240, 150, 40), (40, 80, 220))):
        if random.random() < 0.25:
            continue
        radius = random.uniform(0.18, 0.32) * min(width, height)
        x, y = random.uniform((0.2 * width, 0.2 * height), (0.8 * width, 0.8 * height)).tolist()
        layer = Image.new("1", (width, height))
        draw, box = ImageDraw.Draw(layer), (x - radius, y - radius, x + radius, y + radius)
        (draw.ellipse if kind == 0 else draw.rectangle)(box, fill=1)
        masks[kind] = np.asarray(layer)
        pixels[masks[kind]] = 0.4 * pixels[masks[kind]] + 0.6 * np.array(color)
    noise = random.normal(0, random.uniform(3, 12), pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype("uint8")), masks
