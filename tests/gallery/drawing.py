"""Generated images that a small network tells apart within seconds, for every folder of the gallery."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SHIFT = 4
"""Pixels by which an image may be moved."""

THINGS = 40 + 215 * np.array([[1, 0.7, 0], [0, 0.2, 1], [0, 1, 0.2], [1, 0, 0.8], [1, 1, 1], [0, 1, 1]])
"""Colours of kinds of things."""


def balanced(kinds: int, count: int, random: np.random.Generator) -> list[int]:
    """`count` numbers from 0 to `kinds` - 1, all equally often, shuffled."""
    return random.permutation(np.arange(count) % kinds).tolist()


def hex_ids(count: int, random: np.random.Generator, length: int = 32) -> list[str]:
    """Different ids as organisers make them of hashes."""
    return [random.bytes(length // 2).hex() for _ in range(count)]


def draw_kind(kind: int, random: np.random.Generator, side: int = 32, noise: float = 25) -> Image.Image:
    """RGB image of a class: its own blotches of colour, moved a little, under other light and noise."""
    blotches = np.random.default_rng(kind).integers(0, 256, (4, 4, 3)).astype("uint8")
    large = Image.fromarray(blotches).resize((side + SHIFT, side + SHIFT), Image.Resampling.BICUBIC)
    left, top = random.integers(0, SHIFT + 1, 2).tolist()
    return _lit(np.asarray(large)[top : top + side, left : left + side], random, noise)


def draw_labels(present: Iterable[int], kinds: int, random: np.random.Generator, side: int = 32):
    """RGB image of several labels: each has its own place in a grid, and its own colour there."""
    across = int(np.ceil(np.sqrt(kinds)))
    colors = np.random.default_rng(0).permutation(np.linspace(0, 1, kinds, endpoint=False))
    cells = np.full((across * across, 3), 128.0)
    for label in present:
        cells[label] = 255 * np.clip(np.abs((colors[label] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    grid = Image.fromarray(cells.reshape(across, across, 3).astype("uint8"))
    return _lit(np.asarray(grid.resize((side, side), Image.Resampling.NEAREST)), random, 15)


def draw_masks(
    kinds: int,
    random: np.random.Generator,
    size: tuple[int, int],
    chance: float = 0.6,
    apart: bool = False,
) -> tuple[Image.Image, np.ndarray]:
    """RGB image of a size (height, width) with a disc of each class or none, and the masks, bool
    (kinds, H, W).

    Parameters
    ----------
    chance : of each class to be there.
    apart : whether masks do not overlap: a disc hides those before it.
    """
    height, width = size
    colors = 255 * np.array([[1, 0.6, 0.1], [0.1, 0.3, 1], [0.2, 0.9, 0.3], [0.9, 0.1, 0.8]])
    pixels = np.full((height, width, 3), random.uniform(90, 130))
    masks = np.zeros((kinds, height, width), dtype=bool)
    for kind in np.flatnonzero(random.random(kinds) < chance).tolist():
        radius = random.uniform(0.18, 0.3) * min(size)
        x, y = random.uniform((radius, radius), (width - radius, height - radius)).tolist()
        layer = Image.new("1", (width, height))
        ImageDraw.Draw(layer).ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
        masks[kind] = np.asarray(layer)
        if apart:
            masks[:kind] &= ~masks[kind]
        shade = 1.0 if apart else 0.6
        pixels[masks[kind]] = (1 - shade) * pixels[masks[kind]] + shade * colors[kind]
    return _lit(pixels, random, 12), masks


def draw_things(kinds: Sequence[int], random: np.random.Generator, side: int = 64):
    """RGB image with a rectangle for each of at most three kinds, in the kind's colour and in a third of its
    own, and their boxes (x, y, width, height) in whole pixels."""
    pixels = np.full((side, side, 3), 90.0)
    boxes, third = [], side // 3
    places = random.permutation(3).tolist()
    for kind, place in zip(kinds, places, strict=False):
        width, height = random.integers(third * 2 // 3, third - 1, 2).tolist()
        x, y = place * third + 1, int(random.integers(2, side - height - 2))
        pixels[y : y + height, x : x + width] = THINGS[kind]
        boxes.append((x, y, width, height))
    return _lit(pixels, random, 12), boxes


def write_image(image: Image.Image, path: Path, **options) -> None:
    """Save an image, in a folder that is made where it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def some_labels(chances: Sequence[float], random: np.random.Generator) -> list[int]:
    """Which labels an image gets, each with its own chance; at least one."""
    found = np.flatnonzero(random.random(len(chances)) < chances)
    return found.tolist() or [int(random.integers(len(chances)))]


def _lit(pixels: np.ndarray, random: np.random.Generator, noise: float) -> Image.Image:
    changed = pixels * random.uniform(0.75, 1.2) + random.normal(0, noise, pixels.shape)
    return Image.fromarray(changed.clip(0, 255).astype("uint8"))
