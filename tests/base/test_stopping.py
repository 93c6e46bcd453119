"""Signals end a command within seconds, with one sentence, whatever it is doing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.base.stopping import PATIENCE_S, SIGNALS, Stopped, stoppable
from tests.helpers import REPOSITORY

BUSY = "while True: time.sleep(0.01)"
"""Python code that can be interrupted."""
STUBBORN = """
while True:
    try:
        time.sleep(0.01)
    except BaseException:
        pass
"""
"""What a library may do to an exception."""


def _as_in_a_terminal() -> None:
    """Signals that these tests' own process ignores, as in the background, would stay ignored in a child."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _started(body: str, tmp_path: Path, before: str = "") -> subprocess.Popen:
    """A process that says when it is inside, and is there by now."""
    indented = "\n".join(f"    {line}" for line in body.strip().splitlines())
    script = (
        f"import os, signal, subprocess, sys, time\nfrom pipeline.base.stopping import stoppable\n{before}\n"
        f"with stoppable():\n    print('inside', flush=True)\n{indented}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        preexec_fn=_as_in_a_terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    return process


def _end_of(process: subprocess.Popen) -> tuple[int, str, float]:
    """Exit status, stderr, and the seconds that it took from now on."""
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    return process.returncode, said, time.monotonic() - began


@pytest.mark.parametrize(("number", "cause"), [(2, ""), (15, " by SIGTERM"), (1, " by SIGHUP")])
def test_each_signal_has_its_exit_status_and_one_sentence(tmp_path, number, cause):
    held = f"print('held', flush=True)\n    {BUSY}"
    process = _started(f"try:\n    {held}\nfinally:\n    open('tidied', 'w').close()", tmp_path)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    process.send_signal(number)
    status, said, _ = _end_of(process)
    assert status == 128 + number
    assert said == f"interrupted{cause}: the same command goes on from the last finished epoch\n"
    assert (tmp_path / "tidied").exists(), "what was held is given up"


def test_imports_are_interrupted_like_all_else(tmp_path):
    process = _started("import torch, timm, albumentations\n" + BUSY, tmp_path)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    status, said, seconds = _end_of(process)
    assert (status, len(said.splitlines())) == (143, 1) and seconds < 10


@pytest.mark.slow
def test_a_library_that_swallows_it_is_left_with_its_helpers_in_time(tmp_path):
    helper = "helper = subprocess.Popen(['sleep', '600'])\nopen('helper', 'w').write(str(helper.pid))\n"
    process = _started(helper + STUBBORN, tmp_path)
    while not (tmp_path / "helper").exists() or not (tmp_path / "helper").read_text():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    status, said, seconds = _end_of(process)
    assert (status, len(said.splitlines())) == (143, 1)
    assert PATIENCE_S - 1 < seconds < 10
    assert not _lives(int((tmp_path / "helper").read_text()))


def _lives(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_a_second_signal_ends_it_at_once(tmp_path):
    process = _started(STUBBORN, tmp_path)
    process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    process.send_signal(signal.SIGINT)
    status, _, seconds = _end_of(process)
    assert status == 130 and seconds < PATIENCE_S - 2


def test_a_forked_helper_is_not_watched(tmp_path):
    """It dies of the signal as by default, and its parent goes on."""
    body = (
        "child = os.fork()\n"
        "if not child: time.sleep(60); os._exit(0)\n"
        "time.sleep(0.1)\n"
        "os.kill(child, signal.SIGTERM)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr)"
    )
    status, said, _ = _end_of(_started(body, tmp_path))
    assert (status, said) == (0, "-15\n")


def test_a_signal_that_was_ignored_stays_so(tmp_path):
    """As under nohup."""
    before = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    process = _started("time.sleep(0.5)", tmp_path, before)
    process.send_signal(signal.SIGHUP)
    assert _end_of(process)[:2] == (0, "")


def test_afterwards_all_is_as_before_and_inside_another_it_does_nothing(capfd):
    before = [signal.getsignal(number) for number in SIGNALS]
    with stoppable():
        taken = [signal.getsignal(number) for number in SIGNALS]
        with stoppable():
            assert [signal.getsignal(number) for number in SIGNALS] == taken
        with pytest.raises(Stopped), stoppable():
            raise Stopped(signal.SIGTERM)
    assert capfd.readouterr().err == ""
    assert [signal.getsignal(number) for number in SIGNALS] == before
    with pytest.raises(SystemExit) as end, stoppable():
        raise KeyboardInterrupt
    assert end.value.code == 130 and "interrupted: " in capfd.readouterr().err
