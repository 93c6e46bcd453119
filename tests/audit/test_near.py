"""Fingerprints and near copies: what a copy may undergo and is found, and that other pictures are not."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter

from pipeline.audit.fingerprint import FLAT, LENGTH, POSITIONS, fingerprint, turned
from pipeline.audit.near import CLOSEST, NEAR, near_pairs


def photo(seed: int, height: int = 120, width: int = 160) -> np.ndarray:
    """Blotches of all sizes in all colours, as photos have."""
    random = np.random.default_rng(seed)
    scales = [gaussian_filter(random.normal(size=(height, width, 3)), (s, s, 0)) * s for s in (1, 4, 12, 30)]
    image = np.sum(scales, axis=0)
    return np.clip(128 + 45 * (image - image.mean()) / image.std(), 0, 255).astype(np.uint8)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(fingerprint(one).values - fingerprint(other).values))


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def lighter(image: np.ndarray, factor: float) -> np.ndarray:
    return np.asarray(ImageEnhance.Brightness(Image.fromarray(image)).enhance(factor))


CHANGES = {
    "jpeg of quality 60": lambda image: jpeg(image, 60),
    "half the size": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "another shape": lambda image: cv2.resize(image, (300, 200), interpolation=cv2.INTER_CUBIC),
    "darker": lambda image: lighter(image, 0.6),
    "lighter": lambda image: lighter(image, 1.3),
    "paler": lambda image: np.asarray(ImageEnhance.Contrast(Image.fromarray(image)).enhance(0.5)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", range(3))
def test_a_changed_copy_is_near_and_another_picture_is_not(change, seed):
    image = photo(seed)
    copy = CHANGES[change](image)
    assert difference(image, copy) < NEAR < difference(photo(seed + 100), copy)


DONE = {
    "": lambda image: image,
    "mirrored": lambda image: image[:, ::-1],
    "flipped": lambda image: image[::-1],
    "turned by 180°": lambda image: image[::-1, ::-1],
    "transposed": lambda image: image.transpose(1, 0, 2),
    "turned right": lambda image: np.rot90(image, -1),
    "turned left": lambda image: np.rot90(image),
    "transposed the other way": lambda image: np.rot90(image, 2).transpose(1, 0, 2),
}


@pytest.mark.parametrize("name", POSITIONS)
def test_what_is_done_to_a_fingerprint_is_what_is_done_to_its_image(name):
    image = photo(1)
    expected = fingerprint(np.ascontiguousarray(DONE[name](image))).values
    found = turned(fingerprint(image).values[None], POSITIONS.index(name))[0]
    assert np.allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("name", POSITIONS)
def test_a_copy_is_found_in_every_position_and_told_which(name):
    images = [photo(0), photo(1), np.ascontiguousarray(DONE[name](photo(0))), photo(2)]
    pairs = near_pairs(np.stack([fingerprint(image).values for image in images]))
    assert [(int(a), int(b)) for a, b in zip(pairs.first, pairs.second, strict=True)] == [(0, 2)]
    assert POSITIONS[int(pairs.position[0])] == name
    assert pairs.difference[0] < 1e-2


def test_pictures_of_one_colour_are_near_none():
    flat = np.full((40, 50, 3), (200, 30, 90), dtype=np.uint8)
    noisy = flat + np.random.default_rng(0).integers(0, 2, flat.shape, dtype=np.uint8)
    values = np.stack([fingerprint(image).values for image in (flat, flat, noisy, photo(0))])
    assert fingerprint(flat).contrast <= FLAT and fingerprint(noisy).contrast <= FLAT
    assert not values[:3].any()
    assert len(near_pairs(values).first) == 0


def test_two_colours_of_one_brightness_are_not_one_colour():
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    image[:, :32], image[:, 32:] = (150, 0, 0), (0, 76, 0)
    assert fingerprint(image).contrast > FLAT


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), count=st.integers(0, 20), spread=st.floats(0.01, 0.6))
def test_the_tree_finds_what_comparing_each_with_each_finds(seed, count, spread):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(5, LENGTH)) / np.sqrt(LENGTH)
    noise = spread * random.normal(size=(count, LENGTH)) / np.sqrt(LENGTH)
    values = (centres[random.integers(0, 5, count)] + noise).astype(np.float32)
    expected = {
        (a, b)
        for a in range(count)
        for b in range(a + 1, count)
        if min(np.linalg.norm(turned(values[[a]], p)[0] - values[b]) for p in range(8)) <= NEAR
    }
    pairs = near_pairs(values)
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == expected
    assert np.all(np.diff(pairs.difference) >= -2e-3), "the closest first"


def test_of_many_copies_the_closest_are_kept():
    random = np.random.default_rng(0)
    base = random.normal(size=LENGTH).astype(np.float32) / np.sqrt(LENGTH)
    values = np.stack([base * (1 + 0.0005 * number) for number in range(3 * CLOSEST)]).astype(np.float32)
    pairs = near_pairs(values)
    of_first = pairs.second[pairs.first == 0]
    assert sorted(of_first.tolist()) == list(range(1, CLOSEST + 1))
