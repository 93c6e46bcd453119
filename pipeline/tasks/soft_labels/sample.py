"""Generated images for a competition that has none yet: dots of three colours, and votes for which it is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

TRAIN, TEST = 600, 150
"""Number of images in each split."""
SIDE, DOTS = 32, 24
"""Pixels of an image's side, and how many dots it has."""
COLORS = {"red": (220, 60, 50), "green": (60, 190, 70), "blue": (60, 90, 225)}
"""Colour of each class's dots."""
VOTES = (5, 20)
"""Fewest and most raters of an image; each sees one dot, and votes for its colour."""


def write_sample(
    raw: Path,
    seed: int,
    *,
    train: str = "train",
    test: str = "test",
    csv: str = "train.csv",
    id_column: str = "image_id",
    names: Sequence[str] = tuple(COLORS),
    shares: bool = False,
) -> pd.DataFrame:
    """Write two folders of JPEGs and a CSV of votes under `raw`.

    Parameters
    ----------
    train, test, csv : what the folders and the file are called.
    id_column : of the CSV.
    names : what red, green and blue are called: the CSV's further columns.
    shares : whether it holds shares of the votes, rounded, instead of votes.

    Returns
    -------
    The truth of the test images: image_id and a column for each name.
    """
    random = np.random.default_rng(seed)
    tables = {}
    for split, count in ((train, TRAIN), (test, TEST)):
        (raw / split).mkdir(parents=True)
        ids, rows = [f"{split}_{number:04d}" for number in range(1, count + 1)], []
        for image_id in ids:
            dots = random.multinomial(DOTS, random.dirichlet([0.6] * len(COLORS)))
            draw_dots(dots, random).save(raw / split / f"{image_id}.jpg", quality=92)
            rows.append(random.multinomial(random.integers(VOTES[0], VOTES[1] + 1), dots / DOTS))
        table = pd.DataFrame(rows, columns=list(names))
        if shares:
            table = table.div(table.sum(axis=1), axis=0).round(6)
        table.insert(0, "image_id", ids)
        tables[split] = table.astype({"image_id": "str"})
    tables[train].rename(columns={"image_id": id_column}).to_csv(raw / csv, index=False)
    return tables[test]


def draw_dots(counts: np.ndarray, random: np.random.Generator) -> Image.Image:
    """One RGB image with so many dots of each colour, in places of a grid, on grey."""
    image = Image.new("RGB", (SIDE, SIDE), tuple([int(random.integers(90, 150))] * 3))
    draw = ImageDraw.Draw(image)
    places = random.permutation(36)[: counts.sum()]
    colors = np.repeat(np.array(list(COLORS.values())), counts, axis=0)
    for place, color in zip(places.tolist(), colors, strict=True):
        x, y = 1 + 5 * (place % 6), 1 + 5 * (place // 6)
        shade = (color + random.integers(-20, 21, 3)).clip(0, 255)
        draw.ellipse((x, y, x + 4, y + 4), fill=tuple(shade.tolist()))
    pixels = np.asarray(image) + random.normal(0, random.uniform(3, 10), (SIDE, SIDE, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
