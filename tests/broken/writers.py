"""What all writing goes through, as commands that start quickly."""

import dataclasses
from pathlib import Path

from pipeline.base.errors import told_to_the_user
from pipeline.base.files import atomic_folder, atomic_path, remove_leftovers, write_json
from pipeline.runs.ledger import LedgerRow, record


def _file(text: str) -> None:
    with atomic_path(Path("made/file.txt")) as temporary:
        temporary.write_text(text)


def _folder(text: str) -> None:
    with atomic_folder(Path("made/folder")) as temporary:
        for name in ("a", "b"):
            (temporary / name).write_text(text)
        write_json(temporary / "c.json", text)


def _ledger(text: str) -> None:
    values = {
        field.name: 1 if field.type in ("int", "float") else text for field in dataclasses.fields(LedgerRow)
    }
    record(Path("made/ledger.csv"), LedgerRow(**values))


WRITERS = {"file": _file, "folder": _folder, "ledger": _ledger}


def run(arguments: list[str]) -> None:
    """The name of a writer, and the text that it writes."""
    name, text = arguments
    remove_leftovers(Path("made"))
    with told_to_the_user():
        WRITERS[name](text)
