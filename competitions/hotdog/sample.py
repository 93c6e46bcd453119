"""A generated stand-in for photographs of food: drawn hotdogs at any angle, and other drawn dishes.

Sizes differ from image to image, and so do the files, as photographs from the web do: most are JPEG in RGB,
others grey, CMYK, turned by EXIF, PNG with transparency or with 16 bits. The kind of file says nothing about
the class. A bun without a sausage, a sausage without a bun and a banana are among the other dishes.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

TRAIN, TEST = 300, 120
"""Number of images in each split."""
SIDES = (96, 200)
"""Shortest and longest side in pixels."""
SCALE = 2
"""Dishes are drawn this many times larger and scaled down, for smooth edges."""
DISHES = ("pizza", "doughnut", "burger", "egg", "banana", "bun", "sausage", "carrot")
FILES = ("rgb", "grey", "cmyk", "turned", "transparent", "deep")
SHARES = (0.7, 0.08, 0.06, 0.06, 0.05, 0.05)
"""How often each kind of file is written."""
ORIENTATION = 0x0112
"""EXIF's tag for how a viewer has to turn the picture."""
TURNS = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
"""What has to be done to the pixels so that a viewer that obeys the tag shows them upright."""


def write_sample(raw: Path, classes: Sequence[str], seed: int) -> pd.DataFrame:
    """Write train/<class>/, test/ and sample_submission.csv under `raw`.

    Parameters
    ----------
    classes : the name for hotdogs, and the one for all else.

    Returns
    -------
    The truth of the test images: image_id and label.
    """
    random = np.random.default_rng(seed)
    for split, count in (("train", TRAIN), ("test", TEST)):
        labels = np.asarray(classes)[random.permutation(np.arange(count) % 2)]
        for number, label in enumerate(labels, start=1):
            folder = raw / split / label if split == "train" else raw / split
            folder.mkdir(parents=True, exist_ok=True)
            dish = "hotdog" if label == classes[0] else str(random.choice(DISHES))
            kind = str(random.choice(FILES, p=SHARES))
            save_as(kind, draw_dish(dish, random), folder / str(number), random)
    ids = np.arange(1, TEST + 1).astype(str)  # of the split written last
    pd.DataFrame({"id": ids, classes[0]: 0.5}).to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "label": labels}).astype("str")


def draw_dish(dish: str, random: np.random.Generator) -> Image.Image:
    """One RGBA image of `dish` on a table; alpha is 0 where the table shows."""
    width, height = (int(side) for side in random.integers(SIDES[0], SIDES[1] + 1, 2))
    size = (width * SCALE, height * SCALE)
    image = Image.new("RGB", size, _shade(random.choice(TABLES), random))
    _draw_plate(image, random)
    long = int(min(size) * random.uniform(0.6, 0.9))
    layer = Image.new("RGBA", (long, long))
    _DRAW[dish](ImageDraw.Draw(layer), long, random)
    layer = layer.rotate(random.uniform(0, 360), Image.Resampling.BICUBIC, expand=True)
    left, top = (
        int(random.uniform(-0.08, 1.08) * (side - part)) for side, part in zip(size, layer.size, strict=True)
    )
    alpha = Image.new("L", size)
    alpha.paste(layer.getchannel("A"), (left, top))
    image.paste(layer.convert("RGB"), (left, top), layer)
    small = image.resize((width, height), Image.Resampling.BOX)
    pixels = np.asarray(small).astype(float) * random.uniform(0.75, 1.15)
    pixels += random.normal(0, random.uniform(2, 14), pixels.shape)
    result = Image.fromarray(pixels.clip(0, 255).astype("uint8"))
    result.putalpha(alpha.resize((width, height), Image.Resampling.BOX))
    return result


def save_as(kind: str, picture: Image.Image, path: Path, random: np.random.Generator) -> None:
    """Write an RGBA picture as one of `FILES`; `path` gets the suffix that goes with it."""
    if kind == "transparent":
        picture.save(path.with_suffix(".png"))
        return
    flat = picture.convert("RGB")
    if kind == "deep":
        Image.fromarray(np.asarray(flat.convert("L")).astype("uint16") * 257).save(path.with_suffix(".png"))
        return
    exif = Image.Exif()
    if kind == "turned":
        exif[ORIENTATION] = int(random.choice(list(TURNS)))
        flat = flat.transpose(TURNS[exif[ORIENTATION]])
    mode = {"grey": "L", "cmyk": "CMYK"}.get(kind, "RGB")
    flat.convert(mode).save(path.with_suffix(".jpg"), quality=90, exif=exif)


TABLES = [(120, 80, 50), (200, 190, 175), (60, 70, 80), (90, 120, 90), (170, 60, 60), (225, 225, 230)]
BUN, SAUSAGE, MUSTARD, CHEESE = (214, 160, 92), (150, 58, 38), (245, 205, 40), (240, 190, 80)
TOMATO, LETTUCE, WHITE, CARROT = (190, 40, 30), (90, 150, 50), (250, 248, 240), (235, 120, 30)


def _shade(color: Sequence[int], random: np.random.Generator) -> tuple[int, ...]:
    """The colour in other light."""
    return tuple(int(value) for value in (np.asarray(color) + random.normal(0, 14, 3)).clip(0, 255))


def _draw_plate(image: Image.Image, random: np.random.Generator) -> None:
    if random.random() < 0.6:
        x, y = np.asarray(image.size) * random.uniform(0.4, 0.6, 2)
        radius = min(image.size) * random.uniform(0.4, 0.55)
        color = _shade(random.choice([WHITE, (90, 110, 150)]), random)
        ImageDraw.Draw(image).ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def _bar(draw: ImageDraw.ImageDraw, side: int, length: float, width: float, color: tuple[int, ...]) -> None:
    """A lying bar with round ends in the middle of a square of `side`; sizes are shares of it."""
    box = tuple(side * (0.5 + part / 2) for part in (-length, -width, length, width))
    draw.rounded_rectangle(box, side * width / 2, fill=color)


def _disc(
    draw: ImageDraw.ImageDraw, side: int, radius: float, color: tuple, at: Sequence[float] = (0.5, 0.5)
) -> None:
    x, y = (side * part for part in at)
    draw.ellipse((x - side * radius, y - side * radius, x + side * radius, y + side * radius), fill=color)


def _draw_hotdog(draw: ImageDraw.ImageDraw, side: int, random: np.random.Generator) -> None:
    width = random.uniform(0.3, 0.42)
    _draw_bun(draw, side, random, width)
    _draw_sausage(draw, side, random, width * random.uniform(0.4, 0.55))
    if random.random() < 0.7:
        steps = np.linspace(-0.36, 0.36, 13)
        wave = 0.03 * np.where(np.arange(13) % 2, 1, -1)
        points = [(side * (0.5 + x), side * (0.5 + y)) for x, y in zip(steps, wave, strict=True)]
        draw.line(points, fill=_shade(MUSTARD, random), width=max(2, side // 40), joint="curve")


def _draw_bun(draw: ImageDraw.ImageDraw, side: int, random: np.random.Generator, width: float = 0.36) -> None:
    color = _shade(BUN, random)
    _bar(draw, side, 0.86, width, color)
    _bar(draw, side, 0.8, width * 0.7, tuple(int(value * 0.88) for value in color))


def _draw_sausage(
    draw: ImageDraw.ImageDraw, side: int, random: np.random.Generator, width: float = 0.17
) -> None:
    _bar(draw, side, random.uniform(0.9, 0.99), width, _shade(SAUSAGE, random))


def _draw_pizza(draw: ImageDraw.ImageDraw, side: int, random: np.random.Generator) -> None:
    _disc(draw, side, 0.48, _shade(BUN, random))
    _disc(draw, side, 0.42, _shade(CHEESE, random))
    for _ in range(int(random.integers(5, 10))):
        angle, away = random.uniform(0, 2 * np.pi), random.uniform(0.05, 0.33)
        at = (0.5 + away * np.cos(angle), 0.5 + away * np.sin(angle))
        _disc(draw, side, 0.06, _shade(TOMATO if random.random() < 0.7 else LETTUCE, random), at)


def _draw_doughnut(draw: ImageDraw.ImageDraw, side: int, random: np.random.Generator) -> None:
    width = int(side * random.uniform(0.22, 0.3))
    box = (side * 0.05, side * 0.05, side * 0.95, side * 0.95)
    draw.ellipse(box, outline=_shade(BUN, random), width=width)
    inner = tuple(value + sign * width * 0.25 for value, sign in zip(box, (1, 1, -1, -1), strict=True))
    glaze = _shade(random.choice([(230, 130, 160), (90, 50, 30), WHITE]), random)
    draw.ellipse(inner, outline=glaze, width=width // 2)


def _draw_burger(draw: ImageDraw.ImageDraw, side: int, random: np.random.Generator) -> None:
    bun = _shade(BUN, random)
    draw.pieslice((side * 0.1, side * 0.1, side * 0.9, side * 0.8), 180, 360, fill=bun)
    for row, color in enumerate((LETTUCE, SAUSAGE, CHEESE, TOMATO)):
        top = side * (0.45 + 0.08 * row)
        draw.rectangle((side * 0.08, top, side * 0.92, top + side * 0.08), fill=_shade(color, random))
    draw.rounded_rectangle((side * 0.1, side * 0.77, side * 0.9, side * 0.93), side * 0.07, fill=bun)


def _draw_egg(draw: ImageDraw.ImageDraw, side: int, random: np.random.Generator) -> None:
    for _ in range(5):
        _disc(draw, side, random.uniform(0.2, 0.3), WHITE, random.uniform(0.35, 0.65, 2).tolist())
    _disc(draw, side, 0.13, _shade(MUSTARD, random), random.uniform(0.42, 0.58, 2).tolist())


def _draw_banana(draw: ImageDraw.ImageDraw, side: int, random: np.random.Generator) -> None:
    box = (side * 0.02, side * 0.02, side * 0.98, side * 0.98)
    draw.arc(box, 200, 340, fill=_shade(MUSTARD, random), width=int(side * random.uniform(0.16, 0.24)))


def _draw_carrot(draw: ImageDraw.ImageDraw, side: int, random: np.random.Generator) -> None:
    half = random.uniform(0.09, 0.15)
    tip, base = side * 0.04, side * 0.8
    points = [(tip, side * 0.5), (base, side * (0.5 - half)), (base, side * (0.5 + half))]
    draw.polygon(points, fill=_shade(CARROT, random))
    for turn in (-0.1, 0.0, 0.1):
        ends = [(base, side * 0.5), (side * 0.97, side * (0.5 + turn))]
        draw.line(ends, fill=_shade(LETTUCE, random), width=max(2, side // 25))


_DRAW = {
    "pizza": _draw_pizza,
    "doughnut": _draw_doughnut,
    "burger": _draw_burger,
    "egg": _draw_egg,
    "banana": _draw_banana,
    "bun": _draw_bun,
    "sausage": _draw_sausage,
    "carrot": _draw_carrot,
    "hotdog": _draw_hotdog,
}
