"""``python -m competitions``: the competitions there are, and the nearest to a name that is none of them."""

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str], folder: Path = Path(__file__).parent) -> int:
    """Print the list; returns the exit status, 2 where a name was given.

    Parameters
    ----------
    arguments : a name, and what else was typed after it.
    """
    slugs = sorted(path.parent.name for path in folder.glob("*/__main__.py"))
    listed = f"there are {', '.join(slugs)}; make new COMP=<slug> TASK=<task> adds one"
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: python -m competitions.COMP STAGE [options]\n{listed}")
        return 0
    name = arguments[0]
    if name in slugs:
        print(f"error: the command of {name} is python -m competitions.{name}", file=sys.stderr)
        return 2
    close = difflib.get_close_matches(name.lower().replace("-", "_"), slugs, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    print(f"error: no competition is called {name!r}: {hint}{listed}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
