"""Generated images for a competition that has none yet: drawn shapes and their masks.

The masks of the test images lie beside the raw files, not among them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from pipeline.tasks.segmentation.palette import write_mask

TRAIN, TEST = 90, 24
"""Number of images in each split."""
SMALLEST, LARGEST = 72, 96
"""Range of both sides in pixels."""


def write_sample(
    raw: Path, seed: int, *, images: str = "images", masks: str = "masks", test: str = "test"
) -> pd.DataFrame:
    """Write folders of images, of their masks and of test images under `raw`, and hidden_masks beside it.

    Parameters
    ----------
    images, masks, test : what the folders are called.

    Returns
    -------
    The truth of the test images: image_id and mask, the path of the hidden PNG.
    """
    random = np.random.default_rng(seed)
    rows: list[tuple[str, str]] = []
    for split, count, target in (
        (images, TRAIN, raw / masks),
        (test, TEST, raw.parent / "hidden_masks"),
    ):
        (raw / split).mkdir(parents=True)
        target.mkdir(exist_ok=True)
        rows = [(f"{split}_{n:04d}", str(target / f"{split}_{n:04d}.png")) for n in range(1, count + 1)]
        for image_id, path in rows:
            image, mask = draw_scene(random)
            image.save(raw / split / f"{image_id}.jpg", quality=92)
            write_mask(Path(path), mask)
    return pd.DataFrame(rows, columns=["image_id", "mask"], dtype="str")  # of the split written last


def draw_scene(random: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
    """One RGB image of one to three shapes, and its mask, uint8 (H, W): 1 for discs, 2 for squares."""
    width, height = (int(side) for side in random.integers(SMALLEST, LARGEST + 1, 2))
    image = Image.new("RGB", (width, height), tuple(random.integers(90, 150, 3).tolist()))
    mask = Image.new("L", (width, height), 0)
    for _ in range(int(random.integers(1, 4))):
        radius = random.uniform(0.12, 0.28) * min(width, height)
        x, y = random.uniform((0, 0), (width, height)).tolist()
        box = (x - radius, y - radius, x + radius, y + radius)
        value = int(random.integers(1, 3))
        shade = tuple(((220, 160, 60) if value == 1 else (60, 90, 200)) + random.integers(-30, 31, 3))
        for target, fill in ((image, shade), (mask, value)):
            draw = ImageDraw.Draw(target)
            (draw.ellipse if value == 1 else draw.rectangle)(box, fill=fill)
    noise = random.normal(0, random.uniform(3, 15), (height, width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8)), np.asarray(mask)
