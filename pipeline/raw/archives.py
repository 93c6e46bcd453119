"""Extraction of zip, tar and 7z archives: no member leaves the target, and the target is whole or absent."""

import errno
import gzip
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tarfile import (
    EOFHeaderError,  # pyright: ignore[reportAttributeAccessIssue]  # typeshed leaves it out
    HeaderError,
    ReadError,
)
from typing import IO, NoReturn

from pipeline.base.errors import UserError, disk_fault, fault_sentence
from pipeline.base.files import atomic_folder, require_space
from pipeline.base.progress import progress

CHUNK = 1 << 20
"""Bytes read at once."""

BLOCK = 4096
"""Bytes a small file takes on the usual file systems: 50,000 images of 900 bytes fill 200 MB, not 45."""

UTF_8_FLAG = 0x800
"""Of a zip member: its name is UTF-8."""

BY_HAND = "extract it by hand and pass the folder as RAW=<folder>"


def extract(archive: Path, target: Path) -> None:
    """Extract `archive` into the folder `target`, which appears only once it is complete.

    An existing `target` is replaced. Members keep their content and relative path; permissions, owners and
    times are not restored, and members that are neither a file nor a folder (links, devices) are refused.

    Raises
    ------
    UserError : a member that would leave `target`, a damaged, truncated or password-protected archive, a full
        disk. Nothing is left behind.
    """
    suffix = _suffix(archive.name)
    if suffix is None:
        raise UserError(f"{archive} is not a zip, tar, tar.gz or 7z archive: {BY_HAND}")
    with _one_sentence(archive, target), atomic_folder(target) as folder:
        _READERS[suffix](archive, _Members(archive, folder))


def archive_stem(name: str) -> str | None:
    """The name of an archive without its suffix (``train`` of ``train.tar.gz``); None if it is no archive."""
    suffix = _suffix(name)
    return name[: -len(suffix)] if suffix else None


class _Members:
    """Where the members of one archive go: checks each name and makes each parent folder once.

    Paths are strings here, because pathlib would take a third of the time of extracting small files.
    """

    def __init__(self, archive: Path, folder: Path) -> None:
        self.archive = archive
        self.folder = str(folder.absolute())
        self.made: set[str] = set()

    def path(self, name: str) -> str:
        """The path a member is written to; UserError if its name leads, or could lead, out of the folder."""
        # Some Windows tools store backslashes; taken for separators they hide no way out on any system.
        unified = name.replace("\\", "/")
        parts = [part for part in unified.split("/") if part not in ("", ".")]
        if unified.startswith("/") or re.match("[A-Za-z]:", name) or ".." in parts or "\0" in name:
            raise UserError(
                f"{self.archive} holds the member {name!r}, which would land outside the target folder: "
                "nothing was extracted; get the archive from a source you trust"
            )
        return "/".join((self.folder, *parts))

    def create(self, path: str) -> IO[bytes]:
        """Open a new file at what `path` returned, in a folder that is made if need be."""
        self.make(path.rpartition("/")[0])
        return open(path, "wb")  # noqa: PTH123 - a string, see above

    def write(self, source: IO[bytes], path: str) -> None:
        with self.create(path) as file:
            while chunk := source.read(CHUNK):
                file.write(chunk)

    def make(self, folder: str) -> None:
        if folder not in self.made:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.made.add(folder)

    def refuse(self, name: str) -> NoReturn:
        """Raise UserError. A link is refused wherever it points: later members can change where it leads."""
        raise UserError(
            f"{self.archive} holds the member {name!r}, which is a link or a device and not a file: "
            f"nothing was extracted; if you trust the archive, {BY_HAND}"
        )

    def refuse_password(self) -> NoReturn:
        raise UserError(f"{self.archive} is protected by a password: {BY_HAND}")

    def require_space(self, sizes: list[int]) -> None:
        needed = sum(-(-size // BLOCK) * BLOCK for size in sizes)
        require_space(Path(self.folder), needed, f"extracting {self.archive}")


def _extract_zip(archive: Path, members: _Members) -> None:
    with zipfile.ZipFile(archive) as opened:
        infos = opened.infolist()
        paths = [members.path(_zip_name(info)) for info in infos]
        for info in infos:
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                members.refuse(info.filename)
            if info.flag_bits & 1:
                members.refuse_password()
        members.require_space([info.file_size for info in infos])
        with progress(f"extracting {archive.name}", len(infos), "files") as advance:
            for info, path in zip(infos, paths, strict=True):
                if info.filename.endswith(("/", "\\")):
                    members.make(path)
                else:
                    with opened.open(info) as source:
                        members.write(source, path)
                advance(1)


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name. Many programs write UTF-8 without the flag that says so, and zipfile takes it for
    cp437; other encodings do not pass for UTF-8."""
    if info.flag_bits & UTF_8_FLAG or info.filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _extract_tar(archive: Path, members: _Members) -> None:
    size = archive.stat().st_size
    with (
        archive.open("rb") as packed,
        nullcontext(packed) if archive.suffix.lower() == ".tar" else gzip.GzipFile(fileobj=packed) as stream,
        # As a stream: tarfile's random access may seek one byte back, for which gzip starts over.
        tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK, tarinfo=_StrictHeader) as opened,
        progress(f"extracting {archive.name}", size // 1000, "kB") as advance,
    ):
        done = 0
        for member in opened:
            path = members.path(member.name)
            if member.isdir():
                members.make(path)
            elif member.isreg():
                source = opened.extractfile(member)
                assert source is not None  # of a file there is
                members.write(source, path)
            else:
                members.refuse(member.name)
            advance(packed.tell() // 1000 - done)
            done = packed.tell() // 1000
        while stream.read(CHUNK):  # gzip compares its checksum at the very end only
            pass


class _StrictHeader(tarfile.TarInfo):
    """tarfile takes a missing, cut or damaged header for the archive's end; the true end is a zero block."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:
            raise
        except HeaderError as error:
            raise ReadError(str(error)) from error


def _extract_7z(archive: Path, members: _Members) -> None:
    # Imported here, because Kaggle's image lacks it, and there the data is mounted extracted.
    import py7zr
    from py7zr.exceptions import ArchiveError, PasswordRequired

    try:
        with py7zr.SevenZipFile(archive) as opened:
            if opened.needs_password():
                members.refuse_password()
            infos = opened.list()
            for info in infos:
                path = members.path(info.filename)
                if info.is_directory:
                    members.make(path)
                elif not info.is_file:
                    members.refuse(info.filename)
            members.require_space([info.uncompressed for info in infos])
            with progress(f"extracting {archive.name}", len(infos), "files") as advance:
                opened.extractall(
                    Path(members.folder),
                    # No subclass of py7zr's class: the module must load where py7zr is not installed.
                    factory=_Writers(members, advance),  # pyright: ignore[reportArgumentType]  # duck-typed
                )
    except PasswordRequired:
        members.refuse_password()
    except ArchiveError as error:
        raise _DamagedError(error) from error


class _DamagedError(Exception):
    """What a library says about an archive it cannot read."""


@dataclass(frozen=True)
class _Writers:
    """py7zr's WriterFactory, to write through `_Members`; its own writing resolves every path once more."""

    members: _Members
    advance: Callable[[int], None]

    def create(self, filename: str) -> "_Writer":
        path = self.members.path(filename.removeprefix(f"{self.members.folder}/"))
        return _Writer(self.members.create(path), self.advance)


@dataclass(frozen=True)
class _Writer:
    """py7zr's Py7zIO: one file, written from start to end."""

    file: IO[bytes]
    advance: Callable[[int], None]

    def write(self, data: bytes) -> int:
        return self.file.write(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """py7zr rewinds a finished member for a reader; there is none."""
        return offset

    def close(self) -> None:
        self.file.close()
        self.advance(1)


_READERS: dict[str, Callable[[Path, _Members], None]] = {
    ".zip": _extract_zip,
    ".tar": _extract_tar,
    ".tar.gz": _extract_tar,
    ".tgz": _extract_tar,
    ".7z": _extract_7z,
}


def _suffix(name: str) -> str | None:
    return next((suffix for suffix in _READERS if name.lower().endswith(suffix)), None)


_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    _DamagedError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
)


@contextmanager
def _one_sentence(archive: Path, target: Path) -> Iterator[None]:
    """Turn what the archive libraries and the disk raise into a UserError."""
    try:
        yield
    except _DAMAGED as error:
        raise UserError(
            f"{archive} is damaged, incomplete or of an unknown kind ({error}): "
            f"delete it and get it again, or {BY_HAND}"
        ) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(
                f"the disk with {target.parent} is full: free some space and run again to extract {archive}"
            ) from error
        fault = disk_fault(error)
        raise UserError(
            f"cannot extract {archive} into {target}: "
            + (fault_sentence(fault) if fault else f"{error.strerror or error}; {BY_HAND}")
        ) from error
