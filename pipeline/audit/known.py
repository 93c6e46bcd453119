"""The fingerprints of prepared images, each made once for the content that it has."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.audit.fingerprint import LENGTH, VERSION, Fingerprint, fingerprint
from pipeline.base.files import atomic_path
from pipeline.base.parallel import map_ahead
from pipeline.base.progress import progress
from pipeline.inputs.batches import Images

CHUNK = 64
"""Images read at a time by each worker; bounds memory."""


class Known(NamedTuple):
    """Fingerprints of some contents, in the order that was asked for.

    Attributes
    ----------
    values : float32 (N, LENGTH); see `pipeline.audit.fingerprint`.
    contrasts : float32 (N,).
    """

    values: np.ndarray
    contrasts: np.ndarray


def fingerprints(parts: Sequence[tuple[Images, np.ndarray]], folder: Path) -> Known:
    """The fingerprints of images, read from `folder` where they were made before.

    Parameters
    ----------
    parts : images of a split, with numbers of its rows; their frames have content_hash.
    folder : of the competition's prepared data; `locked` by whoever calls.

    Raises
    ------
    UserError : an image that cannot be read.
    """
    path = folder / f"fingerprints-{VERSION}.npz"
    hashes = np.concatenate([images.frame["content_hash"].to_numpy()[rows] for images, rows in parts])
    hashes = hashes.astype(str)
    place, values, contrasts = _read(path)
    missing = [name not in place for name in hashes.tolist()]
    if any(missing):
        wanted = np.flatnonzero(missing)
        where = [(images, row) for images, rows in parts for row in rows.tolist()]
        made = list(_made([where[number] for number in wanted.tolist()]))
        values = np.concatenate([values, np.stack([one.values for one in made]).astype(np.float16)])
        contrasts = np.concatenate([contrasts, np.array([one.contrast for one in made], dtype=np.float32)])
        place |= {name: len(place) + number for number, name in enumerate(hashes[wanted].tolist())}
        with atomic_path(path) as temporary:
            np.savez(temporary, hashes=np.array(list(place)), values=values, contrasts=contrasts)
    rows = np.array([place[name] for name in hashes.tolist()], dtype=np.int64)
    return Known(values[rows].astype(np.float32), contrasts[rows])


def _read(path: Path) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
    """What was saved; nothing where it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            hashes, values, contrasts = saved["hashes"], saved["values"], saved["contrasts"]
        place = {name: number for number, name in enumerate(hashes.tolist())}
        if values.shape == (len(place), LENGTH) and contrasts.shape == (len(place),):
            return place, values, contrasts
    except Exception:  # a damaged archive raises whatever its damage makes zipfile, zlib and numpy raise
        pass
    return {}, np.zeros((0, LENGTH), dtype=np.float16), np.zeros(0, dtype=np.float32)


def _made(where: list[tuple[Images, int]]) -> Iterator[Fingerprint]:
    chunks = (where[start : start + CHUNK] for start in range(0, len(where), CHUNK))
    with progress("fingerprints", len(where), "images") as advance:
        for done in map_ahead(_chunk, chunks):
            yield from done
            advance(len(done))


def _chunk(where: list[tuple[Images, int]]) -> list[Fingerprint]:
    return [fingerprint(images.picture(row)) for images, row in where]
