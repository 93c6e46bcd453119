"""Files that hold many images, a record each: found once, then read one by one from their place.

`scan_json` and `scan_bson` give a frame with ``path``, ``start`` and ``length`` (bytes) of each record, for
`load_train` and `load_test` to build theirs of; the readers take the record from there.
"""

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from pipeline.base.errors import UserError
from pipeline.base.progress import progress
from pipeline.readers.reader import Reader, Row

CHUNK = 1 << 24
STRUCTURE = re.compile(rb'["{}\\]')


def scan_json(path: Path, fields: Sequence[str]) -> pd.DataFrame:
    """Where the objects of a JSON list are, with some of their fields. The file may be larger than memory.

    Raises UserError for a file that is cut, or an object that lacks a field.
    """
    return _scanned(path, fields, _json_places(path), json.loads)


def scan_bson(path: Path, fields: Sequence[str], count: str | None = None) -> pd.DataFrame:
    """Where the documents of a BSON file are, with some of their fields. Needs the extra ``bson``.

    Parameters
    ----------
    count : a field that holds a list, of which each element gets a row: ``number`` is its place in the list.
    """
    import bson

    def lengths(content: bytes) -> dict[str, Any]:
        record = bson.decode(content)
        return record if count is None else {**record, "number": range(len(record[count]))}

    wanted = fields if count is None else [*fields, "number"]
    frame = _scanned(path, wanted, _bson_places(path), lengths)
    return frame if count is None else frame.explode("number", ignore_index=True)


def _scanned(
    path: Path, fields: Sequence[str], places: Iterator[tuple[int, int]], parse: Any
) -> pd.DataFrame:
    rows = []
    with path.open("rb") as file, progress(f"scan {path.name}", path.stat().st_size // 1000, "kB") as advance:
        for start, length in places:
            file.seek(start)
            try:
                record = parse(file.read(length))
                values = [record[name] for name in fields]
            except KeyError as error:
                raise UserError(
                    f"{path} has a record without {error} (the {len(rows) + 1}.): check the name, or the file"
                ) from error
            except Exception as error:  # what a parser raises for damaged bytes
                raise UserError(
                    f"{path} is damaged at byte {start:,} ({error}): get the file again"
                ) from error
            rows.append((str(path), start, length, *values))
            advance(length // 1000)
    return pd.DataFrame(rows, columns=["path", "start", "length", *fields])


def _json_places(path: Path) -> Iterator[tuple[int, int]]:
    """Start and length of each object at the top of the list."""
    depth, start, place, in_text, skip = 0, 0, 0, False, -1
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            for match in STRUCTURE.finditer(chunk):
                at, sign = place + match.start(), match.group()
                if at == skip:
                    continue
                if sign == b"\\":
                    skip = at + 1  # what is escaped
                elif sign == b'"':
                    in_text = not in_text
                elif not in_text:
                    depth += 1 if sign == b"{" else -1
                    if sign == b"{" and depth == 1:
                        start = at
                    elif depth == 0:
                        yield start, at + 1 - start
            place += len(chunk)
    if depth or in_text:
        raise UserError(f"{path} ends within an object: get the file again")


def _bson_places(path: Path) -> Iterator[tuple[int, int]]:
    """Every document begins with its length."""
    place, size = 0, path.stat().st_size
    with path.open("rb") as file:
        while place < size:
            file.seek(place)
            length = int.from_bytes(file.read(4), "little")
            if length < 5 or place + length > size:
                raise UserError(f"{path} ends within a document, at byte {place:,}: get the file again")
            yield place, length
            place += length


def _record(row: Row) -> bytes:
    with open(row["path"], "rb") as file:  # noqa: PTH123 - a missing file is told as one
        file.seek(int(row["start"]))
        return file.read(int(row["length"]))


@dataclass(frozen=True)
class JsonBands(Reader):
    """Lists of numbers in the objects of a JSON file, each a channel, as float32.

    Attributes
    ----------
    bands : fields of an object.
    height, width : that a list of numbers makes row by row.
    """

    bands: tuple[str, ...]
    height: int
    width: int

    @property
    def columns(self) -> tuple[str, ...]:
        """See Reader."""
        return ("start", "length")

    def read(self, row: Row) -> np.ndarray:
        """See Reader."""
        record = json.loads(_record(row))
        bands = [
            np.array(record[name], dtype="float32").reshape(self.height, self.width) for name in self.bands
        ]
        return np.stack(bands, axis=2)


@dataclass(frozen=True)
class BsonPictures(Reader):
    """Encoded pictures in the documents of a BSON file, as uint8 RGB.

    Attributes
    ----------
    field : that holds the list of pictures, of which column ``number`` names one.
    inner : the field of a list's element that holds the bytes; None where it is them.
    """

    field: str = "imgs"
    inner: str | None = "picture"

    @property
    def columns(self) -> tuple[str, ...]:
        """See Reader."""
        return ("start", "length", "number")

    def read(self, row: Row) -> np.ndarray:
        """See Reader."""
        import bson

        one = bson.decode(_record(row))[self.field][int(row["number"])]
        with Image.open(io.BytesIO(one if self.inner is None else one[self.inner])) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
