"""What is known of image files that were decoded before, so that they need not be decoded again."""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.files import atomic_path, digest, file_hash, write_json
from pipeline.base.parallel import map_ahead
from pipeline.raw.levels import Levels, sampled
from pipeline.readers.decoding import BLANK, Decoded, Decoding, Measured, decode_many, measured
from pipeline.readers.photographs import Photographs
from pipeline.readers.reader import Reader, Row

COLUMNS = ("width", "height", "content_hash")
CHUNK = 512
"""Images decoded at a time; bounds memory."""
PACKED_SIDE = 96
"""Longest side in pixels up to which images of one size are packed: 300,000 of 32 x 32 take 0.9 GB."""
PACKED_DEPTH = 16
"""Bytes of a pixel up to which images are packed."""


class DecodedCache:
    """A table of images by their file and place in it, with size and time of change of all their files, and
    what decoding or hashing them gave.

    What does not look as it did is decoded again; what the table cannot be read from is made again.

    Parameters
    ----------
    way : how images are decoded; what was decoded in another way is decoded again.
    """

    def __init__(self, path: Path, way: str = "") -> None:
        self.path, self.way = path, way
        try:
            self.table = pd.read_parquet(path).set_index("path")
        except (OSError, ValueError, KeyError):
            self.table = pd.DataFrame({"stamp": [], "width": [], "height": [], "content_hash": []})

    def known(self, keys: Sequence[str], files: Sequence[tuple[str, ...]] | None = None) -> pd.DataFrame:
        """``stamp``, width, height and content_hash of each image; the last three NA where they are unknown.

        An image with a file that is missing gets no stamp: whoever reads it says so.

        Parameters
        ----------
        keys : its path, or what else tells images apart.
        files : of each image; None: the keys.
        """
        of = cache(stamp_of)  # thousands of images may lie in one file
        stamps = pd.Series(
            [self._stamp([of(path) for path in paths]) for paths in files or [(key,) for key in keys]],
            index=list(keys),
            dtype="str",
        )
        found = self.table.reindex(list(keys)).astype(object)
        stale = (found["stamp"] != stamps).to_numpy() | (stamps == "").to_numpy()
        found = found.assign(stamp=stamps.to_numpy())
        found.loc[stale, list(COLUMNS)] = None
        return found

    def _stamp(self, stamps: list[str]) -> str:
        return f"{'+'.join(stamps)}{self.way}" if all(stamps) else ""

    def remember(self, found: pd.DataFrame) -> None:
        """Add rows as `known` gives them, now complete, and write the table."""
        found = found[~found.index.duplicated()]
        kept = self.table[~self.table.index.isin(found.index)]
        self.table = pd.concat([kept, found]) if len(kept) else found
        with atomic_path(self.path) as temporary:
            self.table.rename_axis("path").reset_index().to_parquet(temporary, index=False)


def rows_of(reader: Reader, frame: pd.DataFrame) -> list[Row]:
    """What a reader gets for each row of a frame. Raises UserError where it lacks a column of its own."""
    lacking = [name for name in reader.columns if name not in frame]
    if lacking:
        raise UserError(
            f"{type(reader).__name__} reads the column(s) {name_some(lacking)}, and the frame has none: "
            "add them in load_train and load_test"
        )
    reader.check(frame)
    names = ("image_id", "path", *reader.columns)
    columns = [frame[name].tolist() for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def key_of(reader: Reader, row: Row) -> str:
    """What tells the images of a reader apart: the path and the place in the file."""
    place = [row[name] for name in reader.columns]
    if reader.images > 1:
        return f"{row['path']}|{digest([list(map(str, np.atleast_1d(cell))) for cell in place], length=16)}"
    return f"{row['path']}|{place!r}" if place else str(row["path"])


def files_of(decoding: Decoding, row: Row) -> tuple[str, ...]:
    """The files of an image, or the one that stands in for it."""
    path = str(row["path"])
    return (path,) if path.endswith(BLANK) else decoding.reader.files(row)


def known_decoding(
    reader: Reader, named: Levels | None, code: str, rows: Sequence[Row], remembered: Path
) -> Measured:
    """How images are decoded, and notes on what they are like; measured on some of the training images.

    Parameters
    ----------
    named : black and white as the competition names them, or None.
    code : digest of the code of the reader.
    rows : all training images.
    remembered : JSON of what was measured, which is used again while the images measured look as they did.
    """
    some = sampled(rows)
    looks = [(key_of(reader, row), [stamp_of(path) for path in reader.files(row)]) for row in some]
    stamps = digest([repr(reader), code, named, looks], length=16)
    try:
        value = json.loads(remembered.read_text())
        if value["stamps"] == stamps:
            return Measured(Decoding.from_json(reader, value["decoding"]), tuple(map(str, value["notes"])))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = measured(reader, named, some)
    write_json(
        remembered,
        {"stamps": stamps, "decoding": found.decoding.to_json(), "notes": list(found.notes)},
    )
    return found


def way_of(decoding: Decoding, code: str) -> str:
    """What else than its files the decoded image depends on."""
    if isinstance(decoding.reader, Photographs):
        return "" if decoding.levels is None else f"-{decoding.levels!r}"
    about = [repr(decoding.reader), code, repr(decoding.levels), decoding.channels]
    return f"-{digest(about, length=16)}"


def hashes_of_cells(cache: DecodedCache, cells: Sequence[Any]) -> list[Any]:
    """As `file_hashes`, for cells that are paths or lists of paths, in which "" stands for no file."""
    lists = [[cell] if isinstance(cell, str) else list(cell) for cell in cells]
    paths = list(dict.fromkeys(path for cell in lists for path in cell if path))
    found = {"": "", **dict(zip(paths, file_hashes(cache, paths), strict=True))}
    hashes = [[found[path] for path in cell] for cell in lists]
    return [one[0] if isinstance(cell, str) else one for cell, one in zip(cells, hashes, strict=True)]


def file_hashes(cache: DecodedCache, paths: Sequence[str]) -> list[str]:
    """SHA-256 of each file's bytes, for files that are not images to train on, such as masks.

    Raises UserError for those that are no readable files.
    """
    known = cache.known(paths)
    missing = known["content_hash"].isna().to_numpy()
    if missing.any():
        hashes = list(map_ahead(_hash, known.index[missing]))
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


def decode_chunks(rows: Sequence[Row], decoding: Decoding) -> Iterator[list[Decoded]]:
    """Decoded chunks in order, a few ahead of the reader and no more, so that memory stays flat. The pixels
    of images up to `PACKED_SIDE` are kept."""
    chunks = (rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK))
    return map_ahead(lambda chunk: decode_many(chunk, decoding, PACKED_SIDE), chunks)


def stamp_of(path: str) -> str:
    """Size and time of change of a file; empty for one that is missing."""
    try:
        state = Path(path).stat()
    except OSError:
        return ""
    return f"{state.st_size}-{state.st_mtime_ns}"


Advance = Callable[[int], None]
"""Told how many images are done."""
