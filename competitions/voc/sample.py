"""A generated stand-in for PASCAL VOC: drawn shapes under six of its class names, in a VOCdevkit tree.

It lets every stage run for real without a download. Each class has a shape and a range of colours; sizes,
places, angles and the texture behind are random, shapes hide one another, and masks have the ignored borders
of the real ones. The masks of the test images lie beside the raw files, not among them.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter

from pipeline.tasks.segmentation.palette import IGNORE, VOC_CLASSES, write_mask

TRAIN, VALID, TEST = 96, 24, 40
"""Number of images in each list."""
SMALLEST, LARGEST = 96, 128
"""Range of both sides in pixels."""
SHAPES = {
    "aeroplane": ([1, 0.35] * 4, (70, 110, 200)),
    "bird": ([1] * 3, (220, 190, 50)),
    "bottle": ([1, 0.3, 1, 0.3], (50, 150, 70)),
    "car": ([1] * 4, (200, 50, 50)),
    "sheep": ([1] * 24, (235, 235, 235)),
    "tvmonitor": ([1] * 6, (40, 30, 60)),
}
"""Of each class: the radii of its outline's corners, evenly turned, relative to its size; and its colour."""


def write_sample(raw: Path, seed: int) -> pd.DataFrame:
    """Write VOCdevkit/VOC2012/{JPEGImages, SegmentationClass, ImageSets/Segmentation} under `raw`, and the
    masks of the test images into hidden_masks/ beside `raw`.

    Returns
    -------
    The truth of the test images: image_id and mask, the path of the hidden PNG.
    """
    random = np.random.default_rng(seed)
    year = raw / "VOCdevkit" / "VOC2012"
    hidden = raw.parent / "hidden_masks"
    for folder in (year / "JPEGImages", year / "SegmentationClass", year / "ImageSets" / "Segmentation"):
        folder.mkdir(parents=True)
    hidden.mkdir(exist_ok=True)
    ids = [f"2012_{number:06d}" for number in range(1, TRAIN + VALID + TEST + 1)]
    lists = {
        "train": ids[:TRAIN],
        "val": ids[TRAIN : TRAIN + VALID],
        "trainval": ids[: TRAIN + VALID],
        "test": ids[TRAIN + VALID :],
    }
    for name, listed in lists.items():
        (year / "ImageSets" / "Segmentation" / f"{name}.txt").write_text("\n".join(listed) + "\n")
    for image_id in ids:
        image, mask = draw_scene(random)
        image.save(year / "JPEGImages" / f"{image_id}.jpg", quality=92)
        is_test = image_id in lists["test"]
        write_mask((hidden if is_test else year / "SegmentationClass") / f"{image_id}.png", mask)
    truth = [str(hidden / f"{image_id}.png") for image_id in lists["test"]]
    return pd.DataFrame({"image_id": lists["test"], "mask": truth}, dtype="str")


def draw_scene(random: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
    """One RGB image of one to four shapes, and its mask, uint8 (H, W)."""
    width, height = (int(side) for side in random.integers(SMALLEST, LARGEST + 1, 2))
    pixels = _texture(random, height, width)
    mask = Image.new("L", (width, height), 0)
    for _ in range(int(random.integers(1, 5))):
        name = list(SHAPES)[int(random.integers(len(SHAPES)))]
        radii, color = SHAPES[name]
        radius = random.uniform(0.14, 0.3) * min(height, width)
        center = random.uniform((0, 0), (width, height))
        inside = Image.new("L", (width, height), 0)
        ImageDraw.Draw(inside).polygon(_outline(radii, radius, center, random), fill=1)
        where = np.asarray(inside, dtype=bool)
        shade = np.asarray(color) + random.normal(0, 14, 3) + random.normal(0, 6, (height, width, 1))
        pixels[where] = shade[where]
        mask.paste(VOC_CLASSES.index(name), mask=Image.fromarray(where))
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    # Annotators leave out the pixels on either side of an edge.
    highest = np.asarray(mask.filter(ImageFilter.MaxFilter(3)))
    lowest = np.asarray(mask.filter(ImageFilter.MinFilter(3)))
    return image, np.where(highest != lowest, IGNORE, np.asarray(mask)).astype(np.uint8)


def _texture(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """float64 (height, width, 3): a dull colour with blotches and noise."""
    blotches = random.uniform(-1, 1, (6, 6)).astype(np.float32)
    smooth = np.asarray(Image.fromarray(blotches).resize((width, height), Image.Resampling.BICUBIC))
    dull = random.uniform(90, 165) + random.normal(0, 12, 3)
    noise = random.normal(0, random.uniform(3, 10), (height, width, 3))
    return dull + 35 * smooth.astype(float)[..., None] + noise


def _outline(
    radii: list[float], radius: float, center: np.ndarray, random: np.random.Generator
) -> list[tuple[float, float]]:
    angles = random.uniform(-0.3, 0.3) + 2 * np.pi * np.arange(len(radii)) / len(radii) - np.pi / 2
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    corners = center + radius * np.asarray(radii)[:, None] * directions
    return [tuple(corner) for corner in corners.tolist()]
