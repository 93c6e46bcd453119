"""Whichever system call fails, and wherever the process is killed: one sentence that names a place, nothing
that a later command takes for whole, and then the same bytes as without a fault."""

import errno
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.broken.worlds import WORLDS
from tests.broken.writers import WRITERS
from tests.helpers import REPOSITORY

KILL = -1
FAULTS = {
    "a full disk": (errno.ENOSPC, True),
    "an error of the disk": (errno.EIO, False),
    "a disk that becomes read-only": (errno.EROFS, True),
    "too many open files": (errno.EMFILE, True),
    "SIGKILL": (KILL, False),
}
"""By name: the number that calls fail with, and whether all do from then on."""


class Faulty:
    """A process of `tests.broken.faulty`."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process

    def run(self, folder: Path, *arguments: str, at: int = 0, fault: str = "SIGKILL") -> dict[str, Any]:
        """Do a command in a folder, with a fault at its call `at`, counted from 1; 0: without."""
        assert self.process.stdin is not None and self.process.stdout is not None
        number, sticky = FAULTS[fault]
        command = {"folder": str(folder), "arguments": arguments, "at": at, "fault": number, "sticky": sticky}
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """`faults.c`, compiled."""
    if shutil.which("gcc") is None or not sys.platform.startswith("linux"):
        pytest.skip("needs gcc and Linux")
    target = tmp_path_factory.mktemp("faults") / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", target, source, "-ldl"], check=True)
    return target


@contextmanager
def started(module: str, library: Path) -> Iterator[Faulty]:
    variables = {"LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "tests.broken.faulty", module, str(library.with_suffix(".txt"))]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | variables,
    ) as process:
        yield Faulty(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def writing(library) -> Iterator[Faulty]:
    with started("tests.broken.writers", library) as faulty:
        yield faulty


@pytest.fixture(scope="module")
def stages(library) -> Iterator[Faulty]:
    with started("tests.broken.small", library) as faulty:
        yield faulty


def contents(folder: Path) -> dict[str, bytes]:
    """All files but locks."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(".lock")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def plain(call: str) -> str:
    """A call without the digits that are drawn at random."""
    return re.sub(r"(\.podium-tmp-[^/]*?)[.]?[0-9a-z_]{8}(?=[./]|$)", r"\1", call)


def places(calls: list[str]) -> list[int]:
    """The first and the last of each run of equal calls, such as the writes to one file."""
    found, number = [], 1
    for _, group in itertools.groupby(calls, key=plain):
        count = len(list(group))
        found += sorted({number, number + count - 1})
        number += count
    return found


def check_told(answer: dict[str, Any], fault: str, at: str) -> None:
    """A fault is one sentence with a place that has a name; or it did no harm, as in removing a thing."""
    if fault == "SIGKILL":
        assert answer["status"] == -9, (at, answer)
    elif answer["status"] != 0:
        *_, line = answer["told"].splitlines() or [""]
        assert answer["status"] == 2 and line.startswith("error: "), (at, answer["told"])
        assert "Traceback" not in answer["told"] and ".podium-tmp-" not in line, (at, answer["told"])
        assert "cannot be used (" in line or "cannot be locked" in line, (at, line)


QUICK = {("file", "an error of the disk"), ("folder", "a full disk"), ("folder", "SIGKILL")}


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        pytest.param(*pair, marks=() if pair in QUICK else pytest.mark.slow)
        for pair in itertools.product(WRITERS, FAULTS)
    ],
)
def test_a_writer_leaves_the_old_or_the_new(name, fault, writing, tmp_path):
    made = tmp_path / "made"
    assert writing.run(tmp_path, name, "old")["status"] == 0
    old = contents(made)
    answer = writing.run(tmp_path, name, "new")
    new = contents(made)
    assert answer["status"] == 0 and new != old and len(answer["calls"]) >= 5
    for number in places(answer["calls"]):
        shutil.rmtree(made)
        writing.run(tmp_path, name, "old")
        told = writing.run(tmp_path, name, "new", at=number, fault=fault)
        check_told(told, fault, answer["calls"][number - 1])
        kept = {path: text for path, text in contents(made).items() if ".podium-tmp-" not in path}
        assert kept == new if told["status"] == 0 else kept in (old, new)
        if fault in ("a full disk", "too many open files") and told["status"]:
            assert contents(made) == old
        assert writing.run(tmp_path, name, "new")["status"] == 0
        assert contents(made) == new


RAW = ("--raw", "raw")
FAST = (*RAW, "--config", "fast")
STAGES: dict[str, tuple[tuple[str, ...], ...]] = {
    "data": (("data", *RAW),),
    "train": (("data", *RAW), ("train", *FAST)),
    "submit": (("train", *FAST), ("submit", *FAST)),
    "audit": (("data", *RAW), ("audit", *RAW)),
    "export": (("data", *RAW), ("export", *RAW, "--out", "made")),
    "preview": (("data", *RAW), ("preview", *FAST)),
    "blend": (
        ("submit", *FAST),
        ("submit", *RAW, "--config", "other"),
        ("blend", *RAW, "--runs", "fast", "other"),
    ),
}
"""Of each stage, the commands before it, and its own."""
OF_TIME = re.compile(
    r"history\.csv|ledger\.csv|summary\.json|submissions/.*\.json|last\.pt|trained\.json|report\.html|"
    r"curves\.png|decoded\.parquet|levels\.json|podium-error\.log|\.podium-tmp-"
)
"""Files that tell times, or the times of raw files, or that only a fault leaves."""


def differing(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return [
        name
        for name in sorted(one.keys() | other.keys())
        if not OF_TIME.search(name) and one.get(name) != other.get(name)
    ]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_goes_on_to_the_same_bytes(stage, fault, stages, tmp_path):
    before, run = tmp_path / "before", tmp_path / "run"
    (before / "raw").mkdir(parents=True)
    WORLDS["cifar10"](before / "raw")
    *earlier, command = STAGES[stage]
    for arguments in earlier:
        answer = stages.run(before, *_named(before, arguments))
        assert answer["status"] == 0, answer["told"]
    command = _named(before, command)
    sound = tmp_path / "sound"
    shutil.copytree(before, sound)
    answer = stages.run(sound, *command)
    assert answer["status"] == 0, answer["told"]
    wanted = contents(sound)
    every = int(os.environ.get("PODIUM_FAULT_STEP", "1"))
    for number in places(answer["calls"])[::every]:
        at = f"{number}: {answer['calls'][number - 1]}"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(before, run)
        told = stages.run(run, *command, at=number, fault=fault)
        check_told(told, fault, at)
        assert list(run.rglob("podium-error.log")) == [], at
        if told["status"] == 0:
            assert differing(contents(run), wanted) == [], at
        again = stages.run(run, *command)
        assert again["status"] == 0, (at, again["told"])
        assert differing(contents(run), wanted) == [], at


def _named(folder: Path, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """With the names of runs in place of those of their configs, after --runs."""
    if "--runs" not in arguments:
        return arguments
    start = arguments.index("--runs") + 1
    found = [next(folder.glob(f"runs/cifar10/{name}-*")).name for name in arguments[start:]]
    return (*arguments[:start], *found)
