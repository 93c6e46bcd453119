"""The one exception a user is meant to read."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something outside the program is wrong: a file, a row, an option, an account, a disk.

    The message is one sentence that names the file, row or id and the way out. The command line prints it
    without a traceback and exits with status 2; everything else that is raised is a bug and keeps its
    traceback.
    """


def name_some(items, limit: int = 5) -> str:
    """Name the first few of many things: ``a, b, c and 12 more``. `items` is any sized iterable of
    printables."""
    names = [str(item) for item in list(items)[:limit]]
    rest = len(items) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")


@contextmanager
def told_to_the_user() -> Iterator[None]:
    """Around a command: a UserError inside is printed as one line, and the process exits with status 2."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
