"""What is in a folder: images, folders, and what is only named like an image."""

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.base.errors import UserError, name_some

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def is_visible(name: str) -> bool:
    """Whether a file is content: not hidden, and not what macOS adds to archives."""
    return not name.startswith((".", "__MACOSX"))


def composed(name: str) -> str:
    """The name with its accents composed (NFC): macOS stores them apart (NFD), and both look the same."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def is_text(name: str) -> bool:
    """Whether a file's name is UTF-8; others hold lone surrogates in Python, which no table takes."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def holds(kind: Callable[[], bool]) -> bool:
    """What an entry's own test says; False for a link that leads back to itself."""
    try:
        return kind()
    except OSError:
        return False


@contextmanager
def listed(folder: Path) -> Iterator[Iterator[os.DirEntry]]:
    """The entries of a folder. Raises UserError where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            yield entries
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be read ({error.strerror}): make it readable") from error


def image_names(folder: Path, suffixes: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Names of the images and of the folders in a folder. Links that lead nowhere count as images: whoever
    decodes them names them all.

    Raises
    ------
    UserError : a folder, a pipe or a device that is named like an image, or a name that is not UTF-8.
    """
    names, folders, strange = [], [], []
    with listed(folder) as entries:
        for entry in entries:
            if not is_visible(entry.name):
                continue
            named = entry.name.lower().endswith(suffixes)
            if holds(entry.is_dir):
                folders.append(entry.name)
            elif named:
                names.append(entry.name)
            if named and not holds(entry.is_file) and Path(entry).exists():
                strange.append(entry.name)
    if strange:
        raise UserError(
            f"{folder} has {len(strange):,} folder(s), pipe(s) or device(s) that are named like images: "
            f"{name_some(sorted(strange))}; move them away"
        )
    odd = sorted(name for name in names if not is_text(name))
    if odd:
        raise UserError(
            f"{folder} has {len(odd):,} file name(s) that are not UTF-8: "
            f"{name_some([ascii(name) for name in odd])}; rename them (convmv -f <encoding> -t utf-8 does)"
        )
    return names, sorted(folders)


def has_images(folder: Path, suffixes: Sequence[str]) -> bool:
    """Whether there is an image in a folder, at any depth."""
    return any(
        name.lower().endswith(tuple(suffixes)) and is_visible(name)
        for _, _, names in os.walk(folder)
        for name in names
    )
