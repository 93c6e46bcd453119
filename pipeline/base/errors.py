"""The one exception a user is meant to read."""

import datetime
import errno
import os
import re
import shlex
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

LOG = "podium-error.log"
"""The file that tracebacks of unexpected errors are added to."""
LOG_FOLDER = "podium_log_folder"
"""Attribute of an exception that `logged_in` has seen."""


class UserError(Exception):
    """Something outside the program is wrong: a file, a row, an option, an account, a disk.

    The message is one sentence that names the file, row or id and the way out. The command line prints it
    without a traceback and exits with status 2; everything else that is raised is a bug.
    """


def name_some(items, limit: int = 5) -> str:
    """Name the first few of many things: ``a, b, c and 12 more``. `items` is any sized iterable of
    printables."""
    names = [str(item) for item in list(items)[:limit]]
    rest = len(items) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")


WAYS_OUT = {
    errno.ENOSPC: "free some space there, or remove files where there are too many, and run again",
    errno.EDQUOT: "free some space of this user's quota and run again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) and run again",
    errno.EROFS: "choose a folder on a file system that can be written, and run again",
    errno.EACCES: "give this user the permission, or choose another folder, and run again",
    errno.EPERM: "give this user the permission, or choose another folder, and run again",
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.ENOTDIR: "a file stands where a folder is needed: move it away or choose another path",
    errno.EEXIST: "a file stands where a folder is needed: move it away or choose another path",
    errno.EISDIR: "a folder stands where a file is needed: move it away or choose another path",
    errno.ELOOP: "its links lead in a circle: remove them",
    errno.EIO: "check the disk, or choose another one, and run again",
    errno.EMFILE: "raise the number of open files (ulimit -n) and run again",
}
"""What a user can do about faults of disks, folders and names, by their number."""
NO_TEMPORARY = "No usable temporary directory"
"""How Python begins to say that every such folder is full or read-only."""


def disk_fault(error: BaseException, path: Path | None = None) -> OSError | None:
    """`error` with its number and its file, where a disk, a folder or a name is at fault; None where not.

    Libraries hide such faults: torch raises a RuntimeError while it handles the OSError, numpy forgets the
    number, and what another process raised has it in its text only.

    Parameters
    ----------
    path : what was being written; None where only `error` can know.
    """
    number = _number(error)
    behind = error.__context__ if isinstance(error, RuntimeError) else None
    while number is None and behind is not None:
        number, behind = _number(behind), behind.__context__
    if number not in WAYS_OUT:
        return None
    return OSError(number, os.strerror(number), str(path or getattr(error, "filename", None) or _fullest()))


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if type(error) not in (OSError, RuntimeError):  # a refused connection and the like are no disk's fault
        return None
    text = str(error)
    if re.fullmatch(r"\d+ requested and \d+ written", text):  # numpy's, where a disk is full
        return errno.ENOSPC
    return next((number for number in WAYS_OUT if os.strerror(number) in text), None)


def _fullest() -> Path:
    """Of the folders that are written to without a word, the one with the least space."""
    folders = [folder for folder in (Path(), Path("/tmp"), Path("/dev/shm")) if folder.is_dir()]
    return min(folders, key=lambda folder: shutil.disk_usage(folder).free).absolute()


@contextmanager
def logged_in(folder: Path) -> Iterator[None]:
    """Around work on `folder`: the traceback of an unexpected error inside is kept there."""
    try:
        yield
    except Exception as error:
        if not hasattr(error, LOG_FOLDER):
            setattr(error, LOG_FOLDER, folder)
        raise


@contextmanager
def told_to_the_user() -> Iterator[None]:
    """Around a command: a UserError inside, or a fault of a disk, is printed as one line, and the process
    exits with status 2. Anything else is a bug: its traceback goes to a file, which one line names, and the
    status is 1."""
    try:
        yield
    except UserError as error:
        _exit(str(error), 2)
    except Exception as error:
        fault = disk_fault(error)
        if fault:
            _exit(f"{fault.filename} cannot be used ({fault.strerror}): {WAYS_OUT[fault.errno or 0]}", 2)
        if NO_TEMPORARY in str(error):
            _exit("no folder for temporary files can be written: free some space in /tmp, or set TMPDIR", 2)
        if isinstance(error, MemoryError):
            _exit("there is not enough memory: lower --train.batch-size or --train.workers", 2)
        _exit(_report(error), 1)


def _exit(sentence: str, status: int) -> NoReturn:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(status)


def _report(error: Exception) -> str:
    """Keep the traceback of a bug and say where; on stderr where no file can be written."""
    text = "".join(traceback.format_exception(error))
    reason = (str(error).strip().splitlines() or [""])[0]
    said = f"unexpected {type(error).__name__}{': ' if reason else ''}{reason}"
    for folder in dict.fromkeys((getattr(error, LOG_FOLDER, Path()), Path())):
        path = folder / LOG
        with suppress(OSError), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S} {shlex.join(sys.argv)}\n{text}\n")
            return f"{said}; this is a bug: report it with {path.absolute()}"
    print(text, file=sys.stderr)
    return f"{said}; this is a bug: report it with the lines above"
