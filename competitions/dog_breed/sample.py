"""A generated stand-in for photographs of dogs, in Kaggle's layout: drawn heads of 120 kinds.

A breed is one of six colours of the coat with one of five markings and one of four kinds of ears; which breed
gets which is no likeness. Size, place, angle, light and background say nothing about the breed.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from competitions.dog_breed.breeds import BREEDS

TRAIN, TEST = 960, 240
"""Number of images in each split; all breeds are equally frequent."""
SIDES = (64, 112)
"""Shortest and longest side in pixels."""
SCALE = 2
"""Dogs are drawn this many times larger and scaled down, for smooth edges."""
COATS = ((40, 36, 36), (122, 72, 36), (214, 168, 96), (236, 230, 218), (132, 138, 150), (176, 78, 38))
MARKINGS = ("plain", "mask", "blaze", "spots", "stripes")
EARS = ("pricked", "hanging", "round", "folded")
LIGHT, DARK = (245, 240, 230), (28, 24, 24)


def write_sample(raw: Path, seed: int) -> pd.DataFrame:
    """Write train/, test/, labels.csv and sample_submission.csv under `raw`.

    Returns
    -------
    The truth of the test images: image_id and label.
    """
    random = np.random.default_rng(seed)
    table = pd.DataFrame()
    for split, count in (("train", TRAIN), ("test", TEST)):
        (raw / split).mkdir(parents=True)
        kinds = random.permutation(np.arange(count) % len(BREEDS)).tolist()
        ids = [random.bytes(16).hex() for _ in kinds]
        for name, kind in zip(ids, kinds, strict=True):
            draw_dog(kind, random).save(raw / split / f"{name}.jpg", quality=90)
        table = pd.DataFrame({"id": ids, "breed": [BREEDS[kind] for kind in kinds]})
        if split == "train":
            table.to_csv(raw / "labels.csv", index=False)
    shares = pd.DataFrame(1 / len(BREEDS), index=table.index, columns=list(BREEDS))
    shares.insert(0, "id", table["id"])
    shares.sort_values("id").to_csv(raw / "sample_submission.csv", index=False)
    return table.set_axis(["image_id", "label"], axis=1).astype("str")


def draw_dog(kind: int, random: np.random.Generator) -> Image.Image:
    """One RGB image of the breed with this number, from 0 to 119."""
    kind, coat = divmod(kind, len(COATS))
    ears, marking = divmod(kind, len(MARKINGS))
    width, height = (SCALE * int(side) for side in random.integers(SIDES[0], SIDES[1] + 1, 2))
    image = Image.new("RGB", (width, height), _shade(random.integers(60, 200, 3), random))
    side = int(min(width, height) * random.uniform(0.8, 1.0))
    head = Image.new("RGBA", (side, side))
    draw, color = ImageDraw.Draw(head), _shade(COATS[coat], random)
    _draw_ears(draw, side, EARS[ears], tuple(int(0.8 * value) for value in color))
    _disc(draw, side, (0.5, 0.54), (0.28, 0.34), color)
    _draw_marking(draw, side, MARKINGS[marking], color, random)
    for x in (0.39, 0.61):
        _disc(draw, side, (x, 0.47), (0.05, 0.05), LIGHT)
        _disc(draw, side, (x, 0.47), (0.035, 0.035), DARK)
    _disc(draw, side, (0.5, 0.66), (0.06, 0.045), DARK)
    head = head.rotate(random.uniform(-20, 20), Image.Resampling.BILINEAR)
    left, top = (int(random.uniform(0, whole - side)) for whole in (width, height))
    image.paste(head, (left, top), head)
    small = image.resize((width // SCALE, height // SCALE), Image.Resampling.BOX)
    pixels = np.asarray(small) * random.uniform(0.85, 1.1) + random.normal(0, 6, np.asarray(small).shape)
    return Image.fromarray(pixels.clip(0, 255).astype("uint8"))


def _shade(color: np.ndarray | tuple[int, ...], random: np.random.Generator) -> tuple[int, ...]:
    """The colour in other light."""
    return tuple(int(value) for value in (np.asarray(color) + random.normal(0, 6, 3)).clip(0, 255))


def _disc(
    draw: ImageDraw.ImageDraw,
    side: int,
    center: tuple[float, float],
    radii: tuple[float, float],
    color: tuple[int, ...],
) -> None:
    """An ellipse; all in shares of the side."""
    (x, y), (a, b) = center, radii
    draw.ellipse((side * (x - a), side * (y - b), side * (x + a), side * (y + b)), fill=color)


def _draw_ears(draw: ImageDraw.ImageDraw, side: int, kind: str, color: tuple[int, ...]) -> None:
    for sign in (-1, 1):
        if kind == "hanging":
            _disc(draw, side, (0.5 + 0.3 * sign, 0.55), (0.1, 0.27), color)
        elif kind == "round":
            _disc(draw, side, (0.5 + 0.24 * sign, 0.25), (0.14, 0.14), color)
        else:
            tip = (0.5 + 0.3 * sign, 0.02) if kind == "pricked" else (0.5 + 0.46 * sign, 0.36)
            base = ((0.5 + 0.08 * sign, 0.26), (0.5 + 0.28 * sign, 0.42))
            draw.polygon([(side * x, side * y) for x, y in (*base, tip)], fill=color)


def _draw_marking(
    draw: ImageDraw.ImageDraw, side: int, kind: str, color: tuple[int, ...], random: np.random.Generator
) -> None:
    other = DARK if sum(color) > 200 else LIGHT
    if kind == "mask":
        _disc(draw, side, (0.5, 0.7), (0.2, 0.17), other)
    elif kind == "blaze":
        _disc(draw, side, (0.5, 0.42), (0.06, 0.22), other)
    elif kind == "spots":
        for _ in range(9):
            x, y = random.uniform(0.3, 0.7), random.uniform(0.3, 0.8)
            _disc(draw, side, (x, y), (0.045, 0.045), other)
    elif kind == "stripes":
        for y in (0.28, 0.36, 0.58, 0.76):
            line = (side * 0.3, side * y, side * 0.7, side * (y + 0.03))
            draw.rectangle(line, fill=other)
