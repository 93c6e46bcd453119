"""Generated images for a competition that has none yet: lines on paper, clean and soiled."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

TRAIN, TEST = 60, 16
"""Number of images in each split."""
SMALLEST, LARGEST = 56, 72
"""Range of both sides in pixels."""


def write_sample(
    raw: Path, seed: int, *, images: str = "images", targets: str = "targets", test: str = "test"
) -> pd.DataFrame:
    """Write folders of images, of their targets and of test images under `raw`, and hidden_targets beside it.

    Parameters
    ----------
    images, targets, test : what the folders are called.

    Returns
    -------
    The truth of the test images: image_id and target, the path of the hidden PNG.
    """
    random = np.random.default_rng(seed)
    rows: list[tuple[str, str]] = []
    for split, count, folder in (
        (images, TRAIN, raw / targets),
        (test, TEST, raw.parent / "hidden_targets"),
    ):
        (raw / split).mkdir(parents=True)
        folder.mkdir(exist_ok=True)
        rows = [(f"{split}_{n:04d}", str(folder / f"{split}_{n:04d}.png")) for n in range(1, count + 1)]
        for image_id, path in rows:
            image, target = draw_page(random)
            image.save(raw / split / f"{image_id}.png")
            target.save(path)
    return pd.DataFrame(rows, columns=["image_id", "target"], dtype="str")  # of the split written last


def draw_page(random: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Grey lines on white, soiled and clean."""
    width, height = (int(side) for side in random.integers(SMALLEST, LARGEST + 1, 2))
    clean = Image.new("L", (width, height), 255)
    draw = ImageDraw.Draw(clean)
    for _ in range(int(random.integers(6, 12))):
        ends = random.uniform((0, 0, 0, 0), (width, height, width, height)).round().tolist()
        draw.line(ends, fill=int(random.integers(0, 60)), width=int(random.integers(1, 3)))
    coarse = random.uniform(0.45, 1, (height // 12 + 2, width // 12 + 2))
    stains = np.asarray(Image.fromarray(coarse.astype("float32")).resize((width, height)))
    soiled = np.asarray(clean) * stains + random.normal(0, 6, (height, width))
    return Image.fromarray(soiled.clip(0, 255).astype("uint8")), clean
