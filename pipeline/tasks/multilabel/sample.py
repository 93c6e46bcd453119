"""Generated images for a competition that has none yet: up to three drawn shapes, each a label."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

TRAIN, TEST = 600, 150
"""Number of images in each split."""
SIDE = 32
"""Pixels of an image's side."""
SHAPES = ("disc", "square", "stripe")


def write_sample(
    raw: Path,
    seed: int,
    *,
    train: str = "train",
    test: str = "test",
    csv: str = "train.csv",
    columns: tuple[str, str] = ("image_id", "labels"),
    names: Sequence[str] = SHAPES,
    wide: bool = False,
) -> pd.DataFrame:
    """Write two folders of JPEGs and a CSV of labels under `raw`, separated by blanks.

    Parameters
    ----------
    train, test, csv : what the folders and the file are called.
    columns : of the CSV: the image's id and its labels.
    names : what the shapes are called; of fewer names there are fewer shapes.
    wide : a column of 0 and 1 for each label instead of one of all labels.

    Returns
    -------
    The truth of the test images: image_id and labels, a list of names.
    """
    random = np.random.default_rng(seed)
    shape_of = dict(zip(names, SHAPES, strict=False))
    tables = {}
    for split, count in ((train, TRAIN), (test, TEST)):
        (raw / split).mkdir(parents=True)
        rows = []
        for number in range(1, count + 1):
            labels = [name for name in shape_of if random.random() < 0.4]
            image_id = f"{split}_{number:04d}"
            shapes = [shape_of[name] for name in labels]
            draw_shapes(shapes, random).save(raw / split / f"{image_id}.jpg", quality=92)
            rows.append((image_id, labels))
        tables[split] = pd.DataFrame(rows, columns=["image_id", "labels"]).astype({"image_id": "str"})
    ids, lists = tables[train]["image_id"], tables[train]["labels"]
    if wide:
        cells = {name: [int(name in labels) for labels in lists] for name in names}
    else:
        cells = {columns[1]: lists.str.join(" ")}
    pd.DataFrame({columns[0]: ids, **cells}).to_csv(raw / csv, index=False)
    return tables[test]


def draw_shapes(shapes: list[str], random: np.random.Generator) -> Image.Image:
    """One RGB image with each of the shapes once, in a colour of its own."""
    image = Image.new("RGB", (SIDE, SIDE), tuple(random.integers(70, 120, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for name in shapes:
        x, y = (int(value) for value in random.integers(0, SIDE - 10, 2))
        shade = tuple(int(value) for value in random.integers(-25, 26, 3))
        if name == "disc":
            draw.ellipse((x, y, x + 10, y + 10), fill=_moved((225, 70, 60), shade))
        elif name == "square":
            draw.rectangle((x, y, x + 9, y + 9), fill=_moved((70, 200, 80), shade))
        else:
            draw.line((0, y, SIDE, y), fill=_moved((70, 90, 230), shade), width=2)
    pixels = np.asarray(image) + random.normal(0, random.uniform(3, 12), (SIDE, SIDE, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _moved(color: tuple[int, int, int], shade: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(min(255, max(0, base + move)) for base, move in zip(color, shade, strict=True))
