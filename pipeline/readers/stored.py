"""Image files as they are stored, with all their bits and channels; and several files as one image."""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from pipeline.raw.levels import as_channels, stored_values
from pipeline.readers.reader import Reader, Row


@dataclass(frozen=True)
class Stored(Reader):
    """Image files with the values that are stored: one channel for grey, three or four for colours, of 8, 16
    or 32 bits. Nothing is turned or laid over white.

    Attributes
    ----------
    pages : whether the pages of a file are its channels; otherwise a file of several is refused.
    """

    pages: bool = False

    def read(self, row: Row) -> np.ndarray:
        """See Reader."""
        with Image.open(row["path"]) as image:
            count = getattr(image, "n_frames", 1)
            if count > 1 and not self.pages:
                raise ValueError(f"it has {count} pages, which Stored(pages=True) takes for channels")
            found = []
            for page in range(count):
                image.seek(page)
                found.append(_page(image, str(row["path"]), page))
        return np.concatenate(found, axis=2) if len(found) > 1 else found[0]


def _page(image: Image.Image, path: str, page: int) -> np.ndarray:
    if page and image.mode not in ("1", "L", "P", "RGB", "RGBA", "F") and not image.mode.startswith("I"):
        raise ValueError(f"its page {page} has the mode {image.mode}")
    values = stored_values(image, path) if page == 0 or image.mode[0] in "IF" else None
    if values is None:
        if image.mode == "1":
            image = image.convert("L")
        elif image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
            image = image.convert("RGB")
        values = np.asarray(image)
    return as_channels(values)


@dataclass(frozen=True)
class Several(Reader):
    """The files of several columns as one image: their channels one after another.

    Attributes
    ----------
    paths : columns of paths, such as ``("path", "infrared")``.
    each : reads one of them.
    """

    paths: tuple[str, ...] = ("path",)
    each: Reader = field(default_factory=Stored)

    @property
    def columns(self) -> tuple[str, ...]:
        """See Reader."""
        others = (name for name in (*self.paths, *self.each.columns) if name not in ("image_id", "path"))
        return tuple(dict.fromkeys(others))

    @property
    def path_columns(self) -> tuple[str, ...]:
        """See Reader."""
        others = (name for name in (*self.paths, *self.each.path_columns) if name != "path")
        return tuple(dict.fromkeys(others))

    def read(self, row: Row) -> np.ndarray:
        """See Reader. Raises ValueError where the files have other heights or widths."""
        parts = [as_channels(np.asarray(self.each.read({**row, "path": row[name]}))) for name in self.paths]
        sizes = {part.shape[:2] for part in parts}
        if len(sizes) > 1:
            raise ValueError(f"its files have {len(sizes)} sizes: {sorted(sizes)}")
        return np.concatenate(parts, axis=2)

    def files(self, row: Row) -> tuple[str, ...]:
        """See Reader."""
        return tuple(file for name in self.paths for file in self.each.files({**row, "path": row[name]}))
