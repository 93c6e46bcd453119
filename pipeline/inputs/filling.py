"""Filling the folder of smaller copies, before images are read from it again and again."""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipeline.base.errors import disk_fault
from pipeline.base.files import locked, remove_leftovers
from pipeline.base.parallel import map_ahead
from pipeline.base.progress import progress, say
from pipeline.inputs.batches import Images
from pipeline.inputs.copies import Copies, encoded, write

SHARE = 0.5
"""Of the disk that is free, the most that copies take where nobody says how much."""
GB = 1e9


def fill_copies(images: Sequence[Images], copies: Copies, most_gb: float | None) -> None:
    """Make the copies that these images lack, as far as there is room, and say how large they are.

    What was made before a process was killed is taken. Copies that these images do not need make room, the
    oldest first.

    Parameters
    ----------
    most_gb : bound of all copies in the folder, those of other sizes included; None: `SHARE` of the disk.
    """
    wanted: dict[Path, tuple[Images, int]] = {}
    for split in images:
        for row in range(len(split)):
            path = split.copy(row)
            if path is not None:
                wanted.setdefault(path, (split, row))
    if not wanted:
        return
    with locked(copies.folder):
        remove_leftovers(copies.folder, deep=True)
        shelf = _Shelf(copies.folder, most_gb, wanted)
        missing = [path for path in wanted if path not in shelf.sizes]
        if missing and shelf.bound:
            _make(shelf, [(path, *wanted[path]) for path in missing])
    there = [shelf.sizes[path] for path in wanted if path in shelf.sizes]
    said = f"smaller copies of {len(there):,} images, {sum(there) / GB:.3g} GB, in {copies.folder}"
    if len(there) < len(wanted):
        said += (
            f"; {len(wanted) - len(there):,} more are made smaller each time they are read, for there is "
            f"room for {shelf.bound / GB:.3g} GB: raise --cache-gb"
        )
    say(said)


def _make(shelf: "_Shelf", missing: Sequence[tuple[Path, Images, int]]) -> None:
    """Make copies until there is no room left."""

    def make(one: tuple[Path, Images, int]) -> tuple[Path, bytes]:
        path, images, row = one
        return path, encoded(images.smaller(row))

    with progress("make images smaller", len(missing), "images") as advance:
        for path, content in map_ahead(make, missing):
            if not shelf.put(path, content):
                return
            advance(1)


class _Shelf:
    """The copies in a folder, no more of them than fit.

    Attributes
    ----------
    sizes : bytes of each.
    bound : bytes of all that there may be.
    others : those that nobody asks for now, the oldest last.
    """

    def __init__(self, folder: Path, most_gb: float | None, wanted: Iterable[Path]) -> None:
        found = [path for place, _, names in os.walk(folder) for path in _copies(Path(place), names)]
        states = {path: path.stat() for path in found}
        self.sizes = {path: state.st_size for path, state in states.items() if state.st_size}
        self.total = sum(self.sizes.values())
        free = shutil.disk_usage(folder).free + self.total
        self.bound = int(free * SHARE if most_gb is None else most_gb * GB)
        kept = set(wanted)
        others = [path for path in found if path not in kept]
        self.others = sorted(others, key=lambda path: states[path].st_mtime_ns, reverse=True)

    def put(self, path: Path, content: bytes) -> bool:
        """Whether a copy is on the shelf now."""
        while self.total + len(content) > self.bound and self.others:
            old = self.others.pop()
            old.unlink(missing_ok=True)
            self.total -= self.sizes.pop(old, 0)
        if self.total + len(content) > self.bound:
            return False
        try:
            write(path, content)
        except OSError as error:
            if disk_fault(error, path) is None:
                raise
            return False
        self.sizes[path] = len(content)
        self.total += len(content)
        return True


def _copies(place: Path, names: Iterable[str]) -> list[Path]:
    return [place / name for name in names if name.endswith(".copy")]
