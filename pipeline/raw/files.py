"""Raw files as the organiser published them: found by name, never written, extracted elsewhere."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.files import digest, locked, remove_leftovers
from pipeline.raw.archives import archive_stem, extract
from pipeline.raw.listing import IMAGE_SUFFIXES, composed, has_images, holds, image_names, is_visible, listed
from pipeline.raw.tables import parse_csv, plain_text

MANY = 1000
"""Entries after which a folder holds images, not other folders and archives: it is not read any further."""


@dataclass(frozen=True)
class RawFiles:
    """Read access to raw files.

    Parameters
    ----------
    roots : the folder of raw files, followed by the folders its archives were extracted into.
    """

    roots: tuple[Path, ...]

    def find(self, *names: str) -> Path:
        """The first file or non-empty folder that has one of these names.

        A name is relative, such as ``train`` or ``annotations/train.json``. It is looked for in each root in
        turn, and in the one folder that wraps the root's content, if there is one. ``train`` is also all of
        what a ``train.zip`` held if its members are not in a folder ``train``.

        Raises
        ------
        UserError : there is none; names what was looked for and where.
        """
        found = self._look_for(names)
        if found is not None:
            return found
        raise UserError(
            f"found no {' or '.join(names)} in {self.roots[0]}, nor in a folder or archive directly in it: "
            "check that the raw files are complete, or name another folder with RAW=<folder>"
        )

    def first_of(self, *names: str) -> str | None:
        """The first of the names that `find` would find, or None."""
        return next((name for name in names if self._look_for([name]) is not None), None)

    def _look_for(self, names: Sequence[str]) -> Path | None:
        for position, root in enumerate(self.roots):
            for folder in _levels(root):
                for name in names:
                    if _holds_something(folder / name):
                        return folder / name
            for name in names if position else ():
                first, _, rest = name.partition("/")
                if first == _extracted_stem(root) and _holds_something(root / rest):
                    return root / rest
        return None

    def images(
        self, folder_name: str, suffixes: Sequence[str] = IMAGE_SUFFIXES, skip: Sequence[str] = ()
    ) -> pd.DataFrame:
        """List the images directly in a folder, in no particular order; other files are ignored.

        Parameters
        ----------
        skip : names of folders in it whose images are not meant.

        Returns
        -------
        DataFrame with image_id (the file's name without its suffix, in Unicode's composed form) and path,
        both str.

        Raises
        ------
        UserError : no such folder, no image in it, two images with the same id, images in a folder in it, a
            folder or a pipe that is named like an image, or a name that is not UTF-8.
        """
        folder = self.find(folder_name)
        if not folder.is_dir():
            raise UserError(f"{folder} is a file, and a folder of images is expected: move it away")
        names, folders = image_names(folder, tuple(suffixes))
        nested = [name for name in folders if name not in skip and has_images(folder / name, suffixes)]
        if nested:
            raise UserError(
                f"{folder} has images in folders ({name_some(nested)}), which would be missed: list each, as "
                f'with raw.images("{folder_name}/{nested[0]}"), or where they are not meant, move them '
                "away or name them in skip="
            )
        if not names:
            raise UserError(
                f"{folder} has no images ({', '.join(suffixes)}): check that the raw files are complete"
            )
        stems = [composed(name.rpartition(".")[0]) for name in names]
        frame = pd.DataFrame({"image_id": stems, "path": names}, dtype="str")
        twice = frame[frame["image_id"].duplicated(keep=False)].sort_values(["image_id", "path"])
        if len(twice):
            raise UserError(
                f"{folder} has more than one image for {twice['image_id'].nunique()} id(s): "
                f"{name_some(twice['path'])}; keep one file for each id"
            )
        return frame.assign(path=f"{folder}{os.sep}" + frame["path"])

    def read_csv(self, name: str, columns: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
        """Read a CSV file, every column as text.

        Parameters
        ----------
        columns : what the file must have at least, with a value in every row. Blanks around their values are
            taken off, and said, and their accents are composed (NFC).
        optional : further columns that the file must have, and whose cells may be blank.

        Raises
        ------
        UserError : no such file, not a CSV file, no rows, a column that is missing or a value that is blank.
        """
        path = self.find(name)
        frame = parse_csv(path)
        missing = [column for column in (*columns, *optional) if column not in frame]
        if missing:
            found = ", ".join(map(repr, frame.columns))
            raise UserError(f"{path} lacks the column(s) {name_some(missing)}: its first line names {found}")
        if frame.empty:
            raise UserError(f"{path} has a header and no rows: get the file again")
        for column in columns:
            blank = frame.index[frame[column].fillna("").str.strip() == ""]
            if len(blank):
                rows = name_some([str(row + 1) for row in blank])
                raise UserError(f"{path} has no {column} in data row(s) {rows}: complete or remove them")
            frame[column] = plain_text(frame[column], path)
        return frame


def open_raw(raw: Path, extracted: Path) -> RawFiles:
    """Make the raw files in `raw` readable: its archives, and archives in these, are extracted where needed.

    `raw` is only read. Each archive goes into a folder of its own in `extracted`, once; an archive beside a
    folder of the same name counts as extracted. Two runs at once extract one after the other.

    Raises
    ------
    UserError : an archive that cannot be extracted; see `pipeline.raw.archives.extract`.
    """
    roots = [raw]
    stems: set[str] = set()
    for root in roots:  # grows below, as archives turn up in extracted ones
        for archive, stem in _archives(root):
            beside = [folder / stem for folder in (archive.parent, *_levels(raw))]
            if stem not in stems and not any(map(_holds_something, beside)):
                stems.add(stem)
                roots.append(_extraction(archive, stem, extracted))
    return RawFiles(tuple(roots))


def _extraction(archive: Path, stem: str, extracted: Path) -> Path:
    """The folder with the content of `archive`, extracted now if it is not there."""
    state = archive.stat()
    target = extracted / f"{stem}-{digest([archive.name, state.st_size, state.st_mtime_ns])}"
    if not target.exists():
        with locked(extracted):
            remove_leftovers(extracted)
            if not target.exists():
                extract(archive, target)
    return target


def _extracted_stem(root: Path) -> str:
    return root.name.rpartition("-")[0]


def _levels(root: Path) -> list[Path]:
    """The folder itself and, where it holds one single folder, that one."""
    folders = [Path(entry) for entry in _entries(root) if holds(entry.is_dir)]
    return [root, *folders] if len(folders) == 1 else [root]


def _archives(root: Path) -> list[tuple[Path, str]]:
    """Each archive and its name without the suffix."""
    entries = [entry for folder in _levels(root) for entry in _entries(folder)]
    named = ((entry, archive_stem(entry.name)) for entry in entries)
    return sorted((Path(entry), stem) for entry, stem in named if stem and holds(entry.is_file))


def _entries(folder: Path) -> list[os.DirEntry]:
    """What is directly in a small folder; nothing for one with more than MANY entries."""
    with listed(folder) as entries:
        some = list(islice((entry for entry in entries if is_visible(entry.name)), MANY + 1))
    return some if len(some) <= MANY else []


def _holds_something(path: Path) -> bool:
    """Whether `path` is a file or a folder with any content: an empty folder is as good as none, and so is a
    pipe, which would never end."""
    if not path.is_dir():
        return path.is_file()
    with listed(path) as entries:
        return any(is_visible(entry.name) for entry in entries)
