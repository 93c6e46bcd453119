"""What an earlier command left: damaged files are made again, and never trusted."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.base.errors import TEMPORARY
from tests.broken.case import Break, Case
from tests.broken.images import shows
from tests.broken.tables import SAME
from tests.broken.worlds import picture

PREPARED = "data/cifar10/prepared"


def each(pattern: str, damage: Callable[[Path], object]) -> Break:
    """Damage all files of prepared data with names like this."""

    def spoils(folder: Path) -> None:
        found = list(folder.glob(f"{PREPARED}/{pattern}"))
        assert found
        for path in found:
            damage(path)

    return spoils


def zeroed(path: Path) -> None:
    """As many zeros as there were bytes, as after a power cut."""
    path.write_bytes(bytes(path.stat().st_size))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def flipped(path: Path) -> None:
    """One bit, at the same size and time."""
    state, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def in_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def remade(name: str, spoils: Break) -> Case:
    """Something stored that is damaged, and made again from the raw files."""
    return Case(name=name, world="cifar10", spoils=spoils, holds=lambda data: SAME(data) and right(data))


def stopped(name: str, spoils: Break, *words: str, arguments: tuple[str, ...] = ("data",)) -> Case:
    return Case(name=name, world="cifar10", spoils=spoils, refused=words, arguments=arguments)


right = shows(np.asarray(picture(0)))

DAMAGES = (zeroed, cut, emptied, flipped, Path.unlink)
FILES = (
    "*/meta.json",
    "*/train.parquet",
    "*/test.parquet",
    "*/train.npy",
    "*/sample_submission.parquet",
    "decoded.parquet",
    "levels.json",
)


def replaced_by_file(name: str) -> Break:
    def spoils(folder: Path) -> None:
        shutil.rmtree(folder / name)
        (folder / name).write_bytes(b"")

    return spoils


CASES = [
    *(
        remade(f"{name} {damage.__name__}", each(name, damage))
        for name in FILES
        for damage in DAMAGES
        if (name, damage) != ("decoded.parquet", flipped)
    ),
    remade(
        "a file more in the folder",
        each("*", lambda path: path.is_dir() and (path / "more").write_bytes(b"")),
    ),
    remade(
        "what a killed process left",
        lambda folder: [
            (folder / PREPARED / f"{TEMPORARY}x.{kind}").write_bytes(b"") for kind in ("npy", "parquet")
        ],
    ),
    remade(
        "a folder that a killed process left",
        lambda folder: (folder / PREPARED / f"{TEMPORARY}x/y").mkdir(parents=True),
    ),
    remade("the lock of a killed process", lambda folder: (folder / PREPARED / ".lock").write_bytes(b"1")),
    remade("no prepared data", lambda folder: shutil.rmtree(folder / PREPARED)),
    stopped("a file where the data folder is to be", replaced_by_file("data"), "data/cifar10"),
    stopped("a file where the prepared folder is to be", replaced_by_file(PREPARED), PREPARED),
    stopped(
        "a link in a circle where the data folder is to be",
        lambda folder: (shutil.rmtree(folder / "data"), (folder / "data").symlink_to("data")),
        "data",
    ),
    stopped("a folder where the lock is to be", each(".lock", in_a_folder), PREPARED),
]
