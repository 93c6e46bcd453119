"""A generated stand-in for COCO: drawn things under five of its names, with boxes, polygons and crowds, in
COCO's own raw layout.

Sizes differ from image to image, some images have nothing in them, and some things hide parts of others.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter

from competitions.coco.categories import CATEGORIES

TRAIN, TEST = 240, 80
"""Number of images in each split."""
SMALLEST, LARGEST = 120, 176
"""Range of both sides in pixels."""
NAMES = ("stop sign", "sports ball", "kite", "book", "clock")
COLORS = {
    "stop sign": (200, 40, 40),
    "sports ball": (235, 140, 40),
    "kite": (60, 160, 220),
    "book": (110, 70, 160),
    "clock": (235, 235, 225),
}
CROWD_SHARE, EMPTY_SHARE = 0.04, 0.06
"""Shares of images with a crowd region, and with nothing at all."""


def write_sample(raw: Path, seed: int) -> pd.DataFrame:
    """Write train2017/, test2017/ and annotations/ under `raw`.

    Returns
    -------
    The truth of the test images, as `pipeline.frame.boxes` describes it.
    """
    random = np.random.default_rng(seed)
    (raw / "annotations").mkdir(parents=True)
    truth = None
    for split, count, name in (("train2017", TRAIN, "instances"), ("test2017", TEST, "image_info")):
        (raw / split).mkdir()
        images, annotations = [], []
        for number in range(1, count + 1):
            coco_id = number * 7 + (0 if split == "train2017" else 100_000)
            picture, things = draw_scene(random, split == "train2017")
            file = f"{coco_id:012d}.jpg"
            picture.save(raw / split / file, quality=92)
            images.append(
                {"id": coco_id, "file_name": file, "width": picture.width, "height": picture.height}
            )
            for thing in things:
                annotations.append({"id": len(annotations) + 1, "image_id": coco_id, **thing})
        content = {
            "images": images,
            "categories": [{"id": CATEGORIES[name], "name": name} for name in NAMES],
        }
        if split == "train2017":
            content["annotations"] = annotations
        else:
            truth = _truth(images, annotations)
        (raw / "annotations" / f"{name}_{split}.json").write_text(json.dumps(content))
    assert truth is not None  # of the test split
    return truth


def _truth(images: list[dict], annotations: list[dict]) -> pd.DataFrame:
    names = {CATEGORIES[name]: name for name in NAMES}
    rows = []
    for image in images:
        own = [entry for entry in annotations if entry["image_id"] == image["id"]]
        corners = [[x, y, x + w, y + h] for x, y, w, h in (entry["bbox"] for entry in own)]
        rows.append(
            {
                "image_id": Path(image["file_name"]).stem,
                "width": image["width"],
                "height": image["height"],
                "boxes": corners,
                "labels": [names[entry["category_id"]] for entry in own],
                "crowd": [entry["iscrowd"] for entry in own],
                "masks": [json.dumps(entry["segmentation"]) for entry in own],
                "areas": [float(entry["area"]) for entry in own],
            }
        )
    return pd.DataFrame(rows).astype({"image_id": "str"})


def draw_scene(random: np.random.Generator, crowds: bool) -> tuple[Image.Image, list[dict]]:
    """One RGB image and its annotations, without ids."""
    width, height = (int(side) for side in random.integers(SMALLEST, LARGEST + 1, 2))
    noise = Image.fromarray(random.integers(60, 200, (height // 12 + 1, width // 12 + 1, 3), dtype="uint8"))
    image = noise.resize((width, height), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(2))
    draw = ImageDraw.Draw(image)
    things: list[dict] = []
    if random.random() < EMPTY_SHARE:
        return image, things
    for _ in range(int(random.integers(1, 6))):
        name = NAMES[int(random.integers(len(NAMES)))]
        outline = _outline(name, random, width, height)
        if outline is not None and not _hides(outline, things):
            _draw_thing(draw, name, outline, random)
            things.append(_annotation(name, outline, width, height))
    if crowds and random.random() < CROWD_SHARE:
        things.append(_crowd(draw, random, width, height))
    return image, things


def _outline(name: str, random: np.random.Generator, width: int, height: int) -> np.ndarray | None:
    """Corners (K, 2) of a thing, whole inside the image."""
    size = random.uniform(0.12, 0.3) * min(width, height)
    center = random.uniform(size * 0.6, np.array([width, height]) - size * 0.6)
    turn = random.uniform(-0.3, 0.3)
    corners, radii, phase = {
        "stop sign": (8, (1.0,), np.pi / 8),
        "sports ball": (32, (1.0,), 0.0),
        "kite": (4, (1.0, 0.6), np.pi / 2),
        "book": (4, (1.0,), np.pi / 4 + 0.25),
        "clock": (32, (1.0,), 0.0),
    }[name]
    angles = turn + phase + 2 * np.pi * np.arange(corners) / corners
    reach = size * np.asarray(radii)[np.arange(corners) % len(radii)]
    points = center + np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None]
    points = np.round(points, 2)
    inside = (points >= 0).all() and (points <= [width, height]).all()
    return points if inside else None


def _hides(outline: np.ndarray, things: list[dict]) -> bool:
    """Whether a thing's box would cover much of an earlier one's."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    for thing in things:
        x, y, w, h = thing["bbox"]
        shared = np.clip(np.minimum(high, [x + w, y + h]) - np.maximum(low, [x, y]), 0, None).prod()
        if shared > 0.3 * min(w * h, (high - low).prod()):
            return True
    return False


def _draw_thing(
    draw: ImageDraw.ImageDraw, name: str, outline: np.ndarray, random: np.random.Generator
) -> None:
    shade = np.clip(np.asarray(COLORS[name]) + random.normal(0, 18, 3), 0, 255).astype(int)
    draw.polygon(
        [tuple(point) for point in outline.tolist()], fill=tuple(shade.tolist()), outline=(20, 20, 20)
    )
    center, reach = outline.mean(axis=0), np.abs(outline - outline.mean(axis=0)).max()
    if name == "clock":
        for angle, share in ((random.uniform(0, 6.3), 0.8), (random.uniform(0, 6.3), 0.5)):
            tip = center + share * reach * np.array([np.cos(angle), np.sin(angle)])
            draw.line([tuple(center.tolist()), tuple(tip.tolist())], fill=(20, 20, 20), width=2)
    elif name == "stop sign":
        half = reach * np.array([0.6, 0.15])
        bar = (center - half, center + half)
        draw.rectangle([tuple(corner.tolist()) for corner in bar], fill=(240, 240, 240))
    elif name == "sports ball":
        draw.line(
            [(center[0] - reach, center[1]), (center[0] + reach, center[1])], fill=(20, 20, 20), width=1
        )


def _annotation(name: str, outline: np.ndarray, width: int, height: int) -> dict:
    low, high = outline.min(axis=0), outline.max(axis=0)
    x, y = outline[:, 0], outline[:, 1]
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    return {
        "category_id": CATEGORIES[name],
        "bbox": [round(float(value), 2) for value in (*low, *(high - low))],
        "area": round(float(area), 2),
        "iscrowd": 0,
        "segmentation": [[round(float(value), 2) for value in outline.reshape(-1)]],
    }


def _crowd(draw: ImageDraw.ImageDraw, random: np.random.Generator, width: int, height: int) -> dict:
    """A heap of small balls that nobody boxed one by one, as run lengths."""
    side = int(0.25 * min(width, height))
    left, top = int(random.integers(0, width - side)), int(random.integers(0, height - side))
    for _ in range(25):
        x, y = left + random.uniform(0, side - 6), top + random.uniform(0, side - 6)
        draw.ellipse((x, y, x + 6, y + 6), fill=COLORS["sports ball"], outline=(20, 20, 20))
    mask = np.zeros((height, width), dtype=bool)
    mask[top : top + side, left : left + side] = True
    flat = mask.reshape(-1, order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[False], flat]).astype(int)))
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return {
        "category_id": CATEGORIES["sports ball"],
        "bbox": [left, top, side, side],
        "area": side * side,
        "iscrowd": 1,
        "segmentation": {"size": [height, width], "counts": counts},
    }
