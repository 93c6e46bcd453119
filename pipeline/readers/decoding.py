"""From what a reader gives to what a network sees: uint8, or float32 between black and white.

Black and white, the number of channels and their statistics are measured on training images once, and hold
for all images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.base.errors import UserError
from pipeline.base.parallel import map_ahead
from pipeline.config.reach import Reach
from pipeline.raw.images import REPLACE, UnreadableImageError, content_hash, whats_missing
from pipeline.raw.levels import (
    Levels,
    OutsideError,
    as_channels,
    extents,
    measure,
    range_of,
    sampled,
    to_float,
)
from pipeline.raw.shrink import shrunk
from pipeline.readers.bag import PATHS, Bag
from pipeline.readers.photographs import Photographs
from pipeline.readers.reader import Reader, Row

BLANK = ".blank.npy"
"""How files end that stand in for images that no reader can read."""


class Statistics(NamedTuple):
    """Mean and standard deviation of each channel, of values scaled to 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Decoding:
    """How the images of a competition become arrays.

    Attributes
    ----------
    levels : stored values of black and white, of images that are not of 8 bits; None: there are none.
    channels : that every image has; those of all images of a bag together.
    statistics : None: those of the network's own training, which were measured on photographs.
    """

    reader: Reader = field(default_factory=Photographs)
    levels: Levels | None = None
    channels: int = 3
    statistics: Statistics | None = None

    @property
    def deep(self) -> bool:
        """Whether images are float32, 0 black and 1 white, and not uint8."""
        reader = self.reader.each if isinstance(self.reader, Bag) else self.reader
        return self.levels is not None and not isinstance(reader, Photographs)

    @property
    def single(self) -> "Decoding":
        """How one image of a bag is decoded."""
        assert isinstance(self.reader, Bag)
        count = self.reader.most * (2 * self.reader.neighbours + 1)
        return Decoding(self.reader.each, self.levels, self.channels // count)

    def image(self, row: Row, reach: Reach | None = None) -> np.ndarray:
        """One image, uint8 or float32 (H, W, channels).

        Parameters
        ----------
        reach : make a larger image as small as this; None: read all its pixels.

        Raises
        ------
        UnreadableImageError : a file is missing or not what the reader reads, its number of channels or its
            values are not those of the training images, or a value is not finite; names id and path.
        """
        if str(row["path"]).endswith(BLANK):
            return shrunk(np.load(row["path"]), reach)
        if isinstance(self.reader, Photographs):
            return self.reader.rgb(row, self.levels, reach)
        return shrunk(self._whole(row), reach)

    def _whole(self, row: Row) -> np.ndarray:
        """An image that is no photograph, as it is stored."""
        if isinstance(self.reader, Bag):
            return self.reader.read_by(row, self.single.image)
        values = stored(self.reader, row)
        if values.shape[2] != self.channels:
            raise _unlike(
                row, f"it has {values.shape[2]} channel(s), and training images have {self.channels}"
            )
        if self.levels is None:
            if values.dtype != np.uint8:
                raise _unlike(row, f"it has {values.dtype} values, and training images have 8 bits")
            return np.ascontiguousarray(values)
        if values.dtype == np.uint8 and not self.levels.cut:
            raise _unlike(row, "it has 8 bits, and training images have more")
        try:
            return to_float(values, self.levels)
        except OutsideError as error:
            raise _unlike(row, str(error)) from None

    def to_json(self) -> dict[str, Any]:
        """All but the reader, as plain values."""
        return {
            "levels": None if self.levels is None else _plain(self.levels),
            "channels": self.channels,
            "images": self.reader.images,
            "statistics": None if self.statistics is None else [list(one) for one in self.statistics],
        }

    @classmethod
    def from_json(cls, reader: Reader, value: dict[str, Any]) -> "Decoding":
        """Inverse of `to_json`."""
        statistics = value.get("statistics")
        return cls(
            reader,
            levels_from(value.get("levels")),
            int(value.get("channels", 3)),
            None if statistics is None else Statistics(*(tuple(map(float, one)) for one in statistics)),
        )


def _plain(levels: Levels) -> list[Any]:
    return [list(value) if isinstance(value, tuple) else value for value in levels]


def levels_from(value: Sequence[Any] | None) -> Levels | None:
    """Levels from plain values, in which a tuple is a list; None from None."""
    if value is None:
        return None
    low, high, *cut = (tuple(one) if isinstance(one, list | tuple) else one for one in value)
    return Levels(low, high, bool(cut and cut[0]))


def stored(reader: Reader, row: Row) -> np.ndarray:
    """What a reader gives, as (H, W, C). Raises UnreadableImageError for whatever goes wrong."""
    path = str(row["path"])
    try:
        values = as_channels(np.asarray(reader.read(row)))
    except UserError:
        raise
    except ImportError as error:
        raise UserError(
            f"{type(reader).__name__} needs a package that is not installed ({error}): install the extras, "
            "such as podium[dicom], podium[tiff] or podium[bson]"
        ) from error
    except FileNotFoundError:
        lost = next((one for one in reader.files(row) if not Path(one).exists()), path)
        raise whats_missing(str(row["image_id"]), lost) from None
    except Exception as error:  # decoders raise anything on damaged bytes: IndexError, struct.error, ...
        detail = " ".join(str(error).replace(path, "the file").split()) or type(error).__name__
        reason = f"{path} is not what {type(reader).__name__} reads ({detail})"
        raise UnreadableImageError(str(row["image_id"]), reason, REPLACE) from error
    return values


def _unlike(row: Row, what: str) -> UnreadableImageError:
    way_out = "convert or remove it, or name black and white as the competition's levels = (low, high)"
    return UnreadableImageError(str(row["image_id"]), f"{row['path']}: {what}", way_out)


class Measured(NamedTuple):
    """What a sample of training images is like, and what reading leaves out of them, a sentence each."""

    decoding: Decoding
    notes: tuple[str, ...]


def measured(reader: Reader, named: Levels | None, rows: Sequence[Row]) -> Measured:
    """How to decode images of which `rows` are some.

    Parameters
    ----------
    named : black and white as the competition names them.
    """
    if isinstance(reader, Bag):
        return _measured_bags(reader, named, rows)
    named = named or reader.levels
    if isinstance(reader, Photographs):
        found = measure([str(row["path"]) for row in rows])
        return Measured(Decoding(reader, named or found.levels), () if named else found.notes)
    looks = [look for look in map_ahead(lambda row: _look(reader, row), rows) if look is not None]
    if not looks:
        return Measured(Decoding(reader, named), ())  # decoding says why none can be read
    counts = [look.channels for look in looks]
    channels = max(sorted(set(counts)), key=counts.count)
    alike = [look for look in looks if look.channels == channels]
    deep = [look for look in alike if look.dtype != np.uint8]
    levels, notes = named, []
    if deep and named is None:
        low = np.min([look.low for look in deep], axis=0)
        high = np.max([look.high for look in deep], axis=0)
        levels = range_of(low, high)
        kinds = ", ".join(sorted({str(look.dtype) for look in deep}))
        notes.append(
            f"{len(deep):,} of {len(looks):,} training images looked at have {kinds} values in {channels} "
            f"channel(s): {levels}, in test images too"
        )
    if levels is not None and isinstance(levels.low, tuple) and len(levels.low) not in (1, channels):
        raise UserError(
            f"the competition's levels are those of {len(levels.low)} channels, and training images have "
            f"{channels}: name one for each"
        )
    decoding = Decoding(reader, levels, channels)
    statistics, flat = _statistics(decoding, rows)
    if flat:
        notes.append(f"channel(s) {', '.join(map(str, flat))} of {channels} have one value in all of them")
    return Measured(Decoding(reader, levels, channels, statistics), tuple(notes))


def _measured_bags(bag: Bag, named: Levels | None, rows: Sequence[Row]) -> Measured:
    """As their single images are, of which some are looked at."""
    found = measured(bag.each, named, sampled([one for row in rows for one in bag.rows(row)]))
    count, one = bag.most * (2 * bag.neighbours + 1), found.decoding
    statistics = one.statistics and Statistics(one.statistics.mean * count, one.statistics.std * count)
    sizes = [len(row[PATHS]) for row in rows]
    notes = list(found.notes)
    if max(sizes) > bag.most:
        many = sum(size > bag.most for size in sizes)
        notes.append(
            f"{many:,} of {len(rows):,} training rows looked at have more than {bag.most} images, up to "
            f"{max(sizes):,}: {bag.most} evenly spread ones are read"
        )
    return Measured(Decoding(bag, one.levels, one.channels * count, statistics), tuple(notes))


class _Look(NamedTuple):
    channels: int
    dtype: np.dtype
    low: np.ndarray
    high: np.ndarray


def _look(reader: Reader, row: Row) -> _Look | None:
    try:
        values = stored(reader, row)
        return _Look(values.shape[2], values.dtype, *extents(values))
    except (UnreadableImageError, OutsideError):
        return None  # decoding the image says it


def _statistics(decoding: Decoding, rows: Sequence[Row]) -> tuple[Statistics | None, list[int]]:
    """Over all pixels of the images that can be decoded, and the channels that never change."""

    def moments(row: Row) -> np.ndarray | None:
        try:
            values = decoding.image(row).reshape(-1, decoding.channels).astype("float64")
        except UnreadableImageError:
            return None
        values = values if decoding.deep else values / 255
        return np.stack([np.full(values.shape[1], len(values)), values.sum(axis=0), (values**2).sum(axis=0)])

    found = [one for one in map_ahead(moments, rows) if one is not None]
    if not found:
        return None, []
    count, total, squares = np.sum(found, axis=0)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    flat = std <= 1e-6 * np.maximum(1e-6, np.abs(mean))
    std[flat] = 1.0
    return Statistics(_rounded(mean), _rounded(std)), np.flatnonzero(flat).tolist()


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    """Six digits: the order of a sum is not theirs to tell."""
    return tuple(float(f"{value:.6g}") for value in values)


class Decoded(NamedTuple):
    """What the manifest keeps of an image; `pixels` (height, width, channels) only of a small one.

    Of a file that cannot be read, `problem` says why; its size is 0 and its hash empty.
    """

    width: int
    height: int
    content_hash: str
    pixels: np.ndarray | None
    problem: UnreadableImageError | None = None


def decode_many(rows: Sequence[Row], decoding: Decoding, largest_side: int) -> list[Decoded]:
    """Decode rows in order; keeps the pixels of images up to `largest_side` on both sides.

    Images that cannot be read do not stop it: see `Decoded`.
    """
    records = []
    for row in rows:
        try:
            image = decoding.image(row)
        except UnreadableImageError as error:
            records.append(Decoded(0, 0, "", None, error))
            continue
        height, width = image.shape[:2]
        small = max(height, width) <= largest_side
        records.append(Decoded(width, height, content_hash(image), image if small else None))
    return records
