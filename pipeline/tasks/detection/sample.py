"""Generated images for a competition that has none yet: drawn shapes and their boxes."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

TRAIN, TEST = 120, 30
"""Number of images in each split."""
SMALLEST, LARGEST = 80, 112
"""Range of both sides in pixels."""
COLORS = {"disc": (230, 170, 50), "square": (60, 90, 210)}


def write_sample(
    raw: Path, seed: int, *, train: str = "train", annotations: str = "annotations", test: str = "test"
) -> pd.DataFrame:
    """Write folders of images, of their annotations in VOC's XML and of test images under `raw`.

    Parameters
    ----------
    train, annotations, test : what the folders are called.

    Returns
    -------
    The truth of the test images, as `pipeline.frame.boxes` describes it.
    """
    random = np.random.default_rng(seed)
    (raw / annotations).mkdir(parents=True)
    rows: list[tuple] = []
    for split, count in ((train, TRAIN), (test, TEST)):
        (raw / split).mkdir(exist_ok=True)
        rows = []
        for image_id in (f"{split}_{number:04d}" for number in range(1, count + 1)):
            image, boxes, labels = draw_scene(random)
            image.save(raw / split / f"{image_id}.jpg", quality=92)
            rows.append((image_id, *image.size, boxes, labels, [0] * len(boxes), [""] * len(boxes)))
            if split == train:
                (raw / annotations / f"{image_id}.xml").write_text(_xml(image, boxes, labels))
    names = ["image_id", "width", "height", "boxes", "labels", "crowd", "masks"]
    return pd.DataFrame(rows, columns=names).astype({"image_id": "str"})  # of the split written last


def draw_scene(random: np.random.Generator) -> tuple[Image.Image, list[list[float]], list[str]]:
    """One RGB image of one to three shapes that are apart, their boxes in xyxy, and their names."""
    width, height = (int(side) for side in random.integers(SMALLEST, LARGEST + 1, 2))
    image = Image.new("RGB", (width, height), tuple(random.integers(90, 150, 3).tolist()))
    draw, boxes, labels = ImageDraw.Draw(image), [], []
    for _ in range(int(random.integers(1, 4))):
        side = int(random.integers(18, 40))
        x, y = (int(value) for value in random.integers(0, (width - side, height - side)))
        if any(x < x2 and x1 < x + side and y < y2 and y1 < y + side for x1, y1, x2, y2 in boxes):
            continue
        label = str(random.choice(list(COLORS)))
        shape = draw.ellipse if label == "disc" else draw.rectangle
        # The last pixel that is drawn is the one before the box's edge.
        shape((x, y, x + side - 1, y + side - 1), fill=tuple(COLORS[label] + random.integers(-25, 26, 3)))
        boxes.append([float(value) for value in (x, y, x + side, y + side)])
        labels.append(label)
    noise = random.normal(0, random.uniform(3, 15), (height, width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8)), boxes, labels


def _xml(image: Image.Image, boxes: list[list[float]], labels: list[str]) -> str:
    """An annotation file; VOC counts pixels from 1 and names the last one inside."""
    objects = [
        f"<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>{x1 + 1:g}</xmin>"
        f"<ymin>{y1 + 1:g}</ymin><xmax>{x2:g}</xmax><ymax>{y2:g}</ymax></bndbox></object>\n"
        for label, (x1, y1, x2, y2) in zip(labels, boxes, strict=True)
    ]
    size = f"<size><width>{image.width}</width><height>{image.height}</height><depth>3</depth></size>"
    return f"<annotation>{size}\n{''.join(objects)}</annotation>\n"
