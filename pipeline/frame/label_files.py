"""Annotation files that lie one for each image, named like it."""

from collections import Counter
from pathlib import Path

from pipeline.base.errors import UserError, name_some
from pipeline.raw.files import is_visible

MARKS = {"": 0, "0": 0, "false": 0, "no": 0, "unspecified": 0, "1": 1, "true": 1, "yes": 1}
"""What annotation tools write for no and yes."""


def files_of(folder: Path, suffix: str) -> list[Path]:
    """The files directly in a folder that have this suffix, in letters of either case, sorted.

    Raises
    ------
    UserError : two of them are for one image.
    """
    files = sorted(file for file in folder.iterdir() if is_visible(file.name))
    files = [file for file in files if file.suffix.lower() == suffix]
    twice = [stem for stem, count in Counter(file.stem for file in files).items() if count > 1]
    if twice:
        raise UserError(
            f"{folder} has more than one {suffix} file for {len(twice)} image(s): {name_some(twice)}; keep "
            "one for each"
        )
    return files


def marked(value: object) -> int | None:
    """0 or 1 of what stands where yes or no is expected, as a number, a word or nothing; else None."""
    if value is None:
        return 0
    if isinstance(value, (bool, int, float)):
        return int(value) if value in (0, 1) else None
    return MARKS.get(value.strip().lower()) if isinstance(value, str) else None
