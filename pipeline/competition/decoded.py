"""What is known of image files that were decoded before, so that they need not be decoded again."""

import json
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.files import atomic_path, digest, file_hash, write_json
from pipeline.raw.images import Decoded, decode_many
from pipeline.raw.levels import Levels, Measured, measure, sampled

COLUMNS = ("width", "height", "content_hash")
CHUNK = 512
"""Images decoded at a time; bounds memory."""
PACKED_SIDE = 96
"""Longest side in pixels up to which images of one size are packed: 300,000 of 32 x 32 take 0.9 GB."""


class DecodedCache:
    """A table of files by path, size and time of change, with what decoding or hashing them gave.

    A file that does not look as it did is decoded again; what the table cannot be read from is made again.

    Parameters
    ----------
    levels : black and white of deep images; what was decoded with others is decoded again.
    """

    def __init__(self, path: Path, levels: Levels | None = None) -> None:
        self.path = path
        self.suffix = "" if levels is None else f"-{levels}"
        try:
            self.table = pd.read_parquet(path).set_index("path")
        except (OSError, ValueError, KeyError):
            self.table = pd.DataFrame({"stamp": [], "width": [], "height": [], "content_hash": []})

    def known(self, paths: Sequence[str]) -> pd.DataFrame:
        """``stamp``, width, height and content_hash of each path; the last three NA where they are unknown.

        A file that is missing gets no stamp: whoever reads it says so.
        """
        stamps = pd.Series([self._stamp(path) for path in paths], index=list(paths), dtype="str")
        found = self.table.reindex(list(paths)).astype(object)
        stale = (found["stamp"] != stamps).to_numpy() | (stamps == "").to_numpy()
        found = found.assign(stamp=stamps.to_numpy())
        found.loc[stale, list(COLUMNS)] = None
        return found

    def _stamp(self, path: str) -> str:
        stamp = stamp_of(path)
        return f"{stamp}{self.suffix}" if stamp else ""

    def remember(self, found: pd.DataFrame) -> None:
        """Add rows as `known` gives them, now complete, and write the table."""
        found = found[~found.index.duplicated()]
        kept = self.table[~self.table.index.isin(found.index)]
        self.table = pd.concat([kept, found]) if len(kept) else found
        with atomic_path(self.path) as temporary:
            self.table.rename_axis("path").reset_index().to_parquet(temporary, index=False)


def known_levels(
    named: tuple[float, float] | None, paths: Sequence[str], remembered: Path
) -> tuple[Levels | None, tuple[str, ...]]:
    """Black and white of images of more than 8 bits, and notes on what the images are like.

    Parameters
    ----------
    named : what the competition says; None: measured on some of `paths`, the training images.
    remembered : JSON of what was measured, which is used again while the images measured look as they did.
    """
    some = sampled(paths)
    stamps = digest([(path, stamp_of(path)) for path in some], length=16)
    try:
        value = json.loads(remembered.read_text())
        levels, notes = value["levels"], tuple(map(str, value["notes"]))
        measured = Measured(None if levels is None else Levels(*levels), notes)
        known = value["stamps"] == stamps
    except (OSError, ValueError, KeyError, TypeError):
        measured, known = Measured(None, ()), False
    if not known:
        measured = measure(some)
        value = {"stamps": stamps, "levels": measured.levels and list(measured.levels)}
        write_json(remembered, {**value, "notes": list(measured.notes)})
    return (Levels(*named, cut=True), ()) if named else (measured.levels, measured.notes)


def file_hashes(cache: DecodedCache, paths: Sequence[str]) -> list[str]:
    """SHA-256 of each file's bytes, for files that are not images to train on, such as masks.

    Raises UserError for those that are no readable files.
    """
    known = cache.known(paths)
    missing = known["content_hash"].isna().to_numpy()
    if missing.any():
        with ThreadPoolExecutor() as pool:
            hashes = list(pool.map(_hash, known.index[missing]))
        lost = [path for path, found in zip(known.index[missing], hashes, strict=True) if found is None]
        if lost:
            raise UserError(
                f"{len(lost):,} file(s) cannot be read: {name_some(lost)}; restore or remove them"
            )
        known.loc[missing, "content_hash"] = hashes
        cache.remember(known[missing].assign(width=0, height=0))
    return known["content_hash"].tolist()


def _hash(path: str) -> str | None:
    try:
        return file_hash(Path(path)) if Path(path).is_file() else None
    except OSError:
        return None


def decode_chunks(items: list[tuple[str, str]], levels: Levels | None) -> Iterator[list[Decoded]]:
    """Decoded chunks in order, a few ahead of the reader and no more, so that memory stays flat.

    Parameters
    ----------
    items : (image_id, path). The pixels of images up to `PACKED_SIDE` are kept.
    levels : see `pipeline.raw.images.read_rgb`.
    """
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[list[Decoded]]] = deque()
        for start in range(0, len(items), CHUNK):
            waiting.append(pool.submit(decode_many, items[start : start + CHUNK], PACKED_SIDE, levels))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def stamp_of(path: str) -> str:
    """Size and time of change of a file; empty for one that is missing."""
    try:
        state = Path(path).stat()
    except OSError:
        return ""
    return f"{state.st_size}-{state.st_mtime_ns}"


Advance = Callable[[int], None]
"""Told how many images are done."""
