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


LONG_WORD = re.compile(r"([^\s/]{60})[^\s/]{240,}")
TEMPORARY = ".podium-tmp-"
"""What the names of temporary files and folders begin with, and no name that anybody else gives."""


class UserError(Exception):
    """Something outside the program is wrong: a file, a row, an option, an account, a disk.

    The message is one sentence that names the file, row or id and the way out. The command line prints it
    without a traceback and exits with status 2; everything else that is raised is a bug. Words of a file
    that are longer than any file's name are cut.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(LONG_WORD.sub(r"\1...", sentence))


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
    errno.ENFILE: "raise the number of open files of this machine (sysctl fs.file-max) and run again",
    errno.ESTALE: "mount the network's folder again and run again",
    errno.ETIMEDOUT: "check the network's folder, or choose another one, and run again",
}
"""What a user can do about faults of disks, folders and names, by their number."""
MEMORY = (
    (
        (
            "CUDA out of memory",
            "error: out of memory",
            "CUBLAS_STATUS_ALLOC_FAILED",
            "CUDNN_STATUS_ALLOC",
        ),
        "the GPU has too little memory: lower --train.batch-size (with --train.accumulate raised by as much, "
        "the steps stay as large), --predict.batch-size or --model.image-size, or give "
        "--model.grad-checkpointing",
    ),
    (
        ("shared memory", "bus error", "unable to allocate shared memory", "/torch_"),
        "/dev/shm, through which workers hand over images, has no space left: give --train.workers 0, a "
        "smaller --train.batch-size, or a larger /dev/shm (docker run --shm-size=8g)",
    ),
    (
        ("DefaultCPUAllocator", "not enough memory", "Insufficient memory", "Cannot allocate memory"),
        "there is too little memory: lower --train.batch-size (with --train.accumulate raised by as much, "
        "the steps stay as large), --predict.batch-size, --model.image-size or --train.workers",
    ),
    (
        ("killed by signal: Killed", "exited unexpectedly"),
        "a process that loads images has ended, as happens where there is too little memory: lower "
        "--train.workers or --train.batch-size",
    ),
)
"""How libraries say that there is no memory, and what a user can do."""
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
    name = Path(str(path or getattr(error, "filename", None) or _fullest()))
    hidden = next((place for place, part in enumerate(name.parts) if part.startswith(TEMPORARY)), None)
    # The folder of what has a name for a moment only.
    return OSError(number, os.strerror(number), str(Path(*name.parts[:hidden]) if hidden else name))


def fault_sentence(fault: OSError) -> str:
    """What a user is told of what `disk_fault` returned."""
    return f"{fault.filename} cannot be used ({fault.strerror}): {WAYS_OUT[fault.errno or 0]}"


def memory_fault(error: BaseException) -> str | None:
    """What a user can do where memory is at fault, however a library tells it; None where it is not."""
    text = str(error)
    if isinstance(error, MemoryError):
        return MEMORY[2][1]
    if not isinstance(error, (RuntimeError, OSError)) and type(error).__module__ != "cv2":
        return None
    return next((said for signs, said in MEMORY if any(sign.lower() in text.lower() for sign in signs)), None)


def printable(text: str, keep: str = "") -> str:
    """A text with its line breaks, and whatever a terminal would take for a command, escaped: names of files
    and cells of tables may hold anything.

    Parameters
    ----------
    keep : letters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in keep else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


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
        if said := memory_fault(error):
            _exit(said, 2)
        if fault := disk_fault(error):
            _exit(fault_sentence(fault), 2)
        if NO_TEMPORARY in str(error):
            _exit("no folder for temporary files can be written: free some space in /tmp, or set TMPDIR", 2)
        _exit(_report(error), 1)


def _exit(sentence: str, status: int) -> NoReturn:
    with suppress(OSError, ValueError):  # nobody listens
        print(f"error: {printable(sentence)}", file=sys.stderr)
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
