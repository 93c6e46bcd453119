"""What a person reads when something fails: one sentence and a status, whatever a library makes of it."""

import errno
import os
import re
import resource
import signal

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.base.errors import TEMPORARY, WAYS_OUT, UserError, logged_in, told_to_the_user
from pipeline.base.files import atomic_folder, atomic_path, write_json
from pipeline.base.progress import say


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Logs land in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def small_files():
    """Inside, no file can grow beyond 20,000 bytes: writes fail half-way, as on a full disk."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def _told(capsys, work) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop, told_to_the_user():
        work()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return stop.value.code, line.removeprefix("error: ")


def _torch(path):
    with path.open("wb") as file:
        torch.save({"weights": torch.rand(9000)}, file)


WRITERS = {
    "bytes": lambda path: path.write_bytes(bytes(30_000)),
    "torch": _torch,
    "numpy": lambda path: np.save(path, np.random.default_rng(0).random(9000)),
    "parquet": lambda path: pd.DataFrame({"x": np.random.default_rng(0).random(9000)}).to_parquet(path),
    "csv": lambda path: pd.DataFrame({"x": np.random.default_rng(0).random(9000)}).to_csv(path),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_write_that_fails_half_way_names_its_file_and_leaves_the_old_one(
    capsys, tmp_path, small_files, writer
):
    path = tmp_path / "file.npy"
    path.write_text("old")

    def write():
        with atomic_path(path) as temporary:
            WRITERS[writer](temporary)

    code, line = _told(capsys, write)
    assert code == 2 and line.startswith(f"{path} cannot be used (")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.npy"] and path.read_text() == "old"


@pytest.mark.parametrize("number", WAYS_OUT)
def test_every_fault_of_a_disk_has_a_way_out(capsys, tmp_path, monkeypatch, number):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    code, line = _told(capsys, lambda: write_json(tmp_path / "a.json", 1))
    assert (code, line) == (
        2,
        f"{tmp_path / 'a.json'} cannot be used ({os.strerror(number)}): {WAYS_OUT[number]}",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_fault_outside_a_writer_is_told_too(capsys, tmp_path):
    (tmp_path / "runs").touch()
    code, line = _told(capsys, lambda: (tmp_path / "runs" / "cifar10").mkdir())
    assert code == 2 and line.startswith(
        f"{tmp_path / 'runs' / 'cifar10'} cannot be used (Not a directory): "
    )
    code, line = _told(capsys, lambda: (tmp_path / ("x" * 300)).touch())
    assert code == 2 and line.endswith("cannot be used (File name too long): give it a shorter name")


def _torch_allocates():
    torch.empty(2**60, dtype=torch.uint8)


def _numpy_allocates():
    np.empty(2**60, dtype=np.uint8)


def _raises(error: Exception):
    def fail():
        raise error

    return fail


TOO_LITTLE = {
    "torch on the CPU": (_torch_allocates, "--train.accumulate"),
    "numpy": (_numpy_allocates, "--train.workers"),
    "torch on a GPU": (
        _raises(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")),
        "the GPU has too little memory: lower --train.batch-size",
    ),
    "cuBLAS": (_raises(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling ...")), "the GPU"),
    "a killed worker": (
        _raises(RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")),
        "--train.workers",
    ),
    "a small /dev/shm": (
        _raises(
            RuntimeError(
                "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's "
                "workers are out of shared memory. Please try to raise your shared memory limit."
            )
        ),
        "/dev/shm",
    ),
    "a full /dev/shm": (
        _raises(RuntimeError(f"unable to write to file </torch_1>: {os.strerror(errno.ENOSPC)} (28)")),
        "/dev/shm, through which workers hand over images, has no space left: give --train.workers 0",
    ),
    "no memory to fork": (_raises(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))), "too little memory"),
    "a worker's": (
        _raises(MemoryError("Caught MemoryError in DataLoader worker process 0.\nOriginal Traceback ...")),
        "too little memory",
    ),
}


@pytest.mark.parametrize("kind", TOO_LITTLE)
def test_too_little_memory_has_a_way_out(capsys, tmp_path, kind):
    fail, words = TOO_LITTLE[kind]
    code, line = _told(capsys, fail)
    assert code == 2 and words in line
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_what_has_a_name_for_a_moment_names_its_folder(capsys, tmp_path):
    hidden = tmp_path / f"{TEMPORARY}x1" / "train.npy"
    error = OSError(errno.EIO, os.strerror(errno.EIO), str(hidden))
    assert _told(capsys, _raises(error))[1].startswith(f"{tmp_path} cannot be used (Input/output error): ")


def test_a_word_without_end_is_cut_and_a_path_is_not(capsys):
    path = "/".join(["x" * 255] * 8)
    told = _told(capsys, _raises(UserError(f"{path} has the class {'9' * 5000!r}: correct it")))
    assert told == (2, f"{path} has the class '{'9' * 59}... correct it")


def test_what_a_terminal_would_obey_is_escaped(capsys):
    told = _told(capsys, _raises(UserError("the id a\nb\x1b[31m is twice")))
    assert told == (2, r"the id a\nb\x1b[31m is twice")
    say("first\nsecond \x1b]0;title\x07")
    assert capsys.readouterr().err == "first\nsecond \\x1b]0;title\\x07\n"


def test_a_file_that_is_read_meanwhile_is_named_itself(capsys, tmp_path):
    (tmp_path / "source").mkdir()

    def copy():
        with atomic_path(tmp_path / "copy") as temporary:
            temporary.write_bytes((tmp_path / "source").read_bytes())

    assert _told(capsys, copy)[1].startswith(f"{tmp_path / 'source'} cannot be used (Is a directory)")


def test_names_as_long_as_the_file_system_allows_are_written(tmp_path):
    write_json(tmp_path / f"{'x' * 250}.json", 1)
    with atomic_folder(tmp_path / ("y" * 255)):
        pass
    assert len(list(tmp_path.iterdir())) == 2


def test_a_bug_is_one_line_and_its_traceback_lies_in_the_folder_worked_on(capsys, tmp_path):
    code, line = _told(capsys, lambda: {}["surprise"])
    log = tmp_path / "podium-error.log"
    assert code == 1 and line == f"unexpected KeyError: 'surprise'; this is a bug: report it with {log}"
    assert re.search(r"Traceback.*KeyError: 'surprise'", log.read_text(), re.DOTALL)
    (tmp_path / "run").mkdir()

    def inside():
        with logged_in(tmp_path / "run"):
            {}["other"]

    code, line = _told(capsys, inside)
    assert line.endswith(str(tmp_path / "run" / "podium-error.log"))
    assert "KeyError: 'other'" in (tmp_path / "run" / "podium-error.log").read_text()


def test_where_no_log_can_be_written_the_traceback_is_shown(capsys, tmp_path):
    (tmp_path / "podium-error.log").mkdir()
    with pytest.raises(SystemExit) as stop, told_to_the_user():
        {}["surprise"]
    err = capsys.readouterr().err
    assert stop.value.code == 1 and "Traceback" in err and "report it with the lines above" in err


def test_a_users_error_keeps_its_sentence_and_an_interrupt_passes(capsys):
    def fail():
        raise UserError("the file x is empty: fetch it again")

    assert _told(capsys, fail) == (2, "the file x is empty: fetch it again")
    with pytest.raises(KeyboardInterrupt), told_to_the_user():
        raise KeyboardInterrupt
