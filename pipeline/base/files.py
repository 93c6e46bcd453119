"""Writing files so that a reader never sees half of one, keeping processes apart, and digests of content."""

import ctypes
import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.base.errors import TEMPORARY, UserError, disk_fault
from pipeline.base.progress import say

AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Of fcntl.h and linux/fs.h."""
MANY = 100
"""Files from which on one sync of all disks is quicker than one of each file."""


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success it replaces `target`, on failure it is removed.

    The temporary file is synced before the rename, so that after a power cut `target` is the old file or the
    new one, and whole.

    Raises
    ------
    OSError : the disk, the folder or the name does not allow it; has its number and names `target`.
    """
    # Beside the target, because a rename is atomic within one file system only; the suffix stays last,
    # because numpy and pandas choose the format by it; short, because `target` may be as long as names go.
    temporary = target.with_name(f"{TEMPORARY}{target.stem[:20]}.{uuid.uuid4().hex[:8]}{target.suffix}")
    with _faults_of(target, temporary):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(target)
        finally:
            # The fault itself is told, not that nothing can be removed on the same disk.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def _faults_of(target: Path, temporary: Path) -> Iterator[None]:
    """Around writing: faults of the disk, however a library tells them, are OSErrors that name `target`,
    which a user knows, and not `temporary`."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        name = str(getattr(error, "filename", None) or temporary)
        fault = disk_fault(error, target if name.startswith(str(temporary)) else None)
        if fault is None:
            raise
        raise fault from error


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `target`; on success it replaces `target`, on failure it is
    removed.

    A process killed at any moment, and a power cut, leave the old folder or the new one (none, where the
    system cannot exchange the two in one step), but never a part of one.

    Raises
    ------
    OSError : the disk, the folder or the name does not allow it; has its number and names `target`.
    """
    temporary = target.with_name(f"{TEMPORARY}{target.name[:40]}.{uuid.uuid4().hex[:8]}")
    with _faults_of(target, temporary):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        try:
            yield temporary
            _sync(temporary)
            # Not removed in place: killed half-way, that would leave half a folder.
            old = temporary.with_name(f"{temporary.name}.old")
            if not target.exists():
                temporary.rename(target)
            elif not _exchanged(temporary, target):
                target.rename(old)
                temporary.rename(target)
            _sync_entries(target.parent)
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _exchanged(one: Path, other: Path) -> bool:
    """Give each of two folders the other's name, in one step; False where this system cannot.

    Linux has it (renameat2(2)), and most of its file systems.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def _sync(folder: Path) -> None:
    """Bring a folder's files to the disk, before a name says that they are whole."""
    files = [Path(at) / name for at, _, names in os.walk(folder) for name in names]
    if len(files) > MANY:
        os.sync()
        return
    for file in files:
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as written:
                os.fsync(written.fileno())


def _sync_entries(folder: Path) -> None:
    """Bring a folder's names to the disk; file systems that cannot are left alone."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically. NaN is refused: it is not JSON."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")


def digest(value: Any, length: int = 8) -> str:
    """Short hexadecimal digest of any JSON value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """Hexadecimal hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock on `folder`, which is made if need be; a second process waits. Ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        say(f"waiting for another run that is filling {folder}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def remove_leftovers(folder: Path, deep: bool = False) -> None:
    """Remove the temporary files and folders that killed processes left in `folder`, and nothing else.

    Safe only while no other process writes there: where it is `locked`, or its run is.

    Parameters
    ----------
    deep : in its folders, too.
    """
    for leftover in list((folder.rglob if deep else folder.glob)(f"{TEMPORARY}*")):
        if leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raise UserError when the disk that holds `folder` has fewer than `needed` bytes free for `what`."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{what} needs {needed / 1e9:,.2f} GB and the disk with {folder} has {free / 1e9:,.2f} GB free: "
            "free some space and run again"
        )
