"""A bar for a person at a terminal, plain lines for a log, and stdout for results alone."""

import contextlib
import os
import pty
import re
import threading
import time
from collections.abc import Iterator

import pytest

from pipeline.base import progress as module
from pipeline.base.progress import banner, progress, say


def test_a_log_gets_plain_lines_with_amount_rate_and_time_left(monkeypatch, capsys):
    monkeypatch.setattr(module, "PLAIN_INTERVAL", 0.01)
    with progress("reading", total=4000, unit="images") as advance:
        for _ in range(2):
            time.sleep(0.02)
            advance(1000)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == "" and "\x1b" not in captured.err and "\r" not in captured.err
    pattern = r"reading: {},000/4,000 images, [\d,]+ images/s, \d+ s left"
    assert len(lines) == 2
    for thousands, line in enumerate(lines, start=1):
        assert re.fullmatch(pattern.format(thousands), line)


def test_a_log_is_not_flooded(capsys):
    with progress("reading", total=1000, unit="images") as advance:
        for _ in range(1000):
            advance(1)
    assert capsys.readouterr().err == ""


@contextlib.contextmanager
def terminal(monkeypatch) -> Iterator[bytearray]:
    """stderr is a pseudo-terminal; yields what is shown on it, complete when the block ends."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    for variable in ("NO_COLOR", "TTY_INTERACTIVE", "TTY_COMPATIBLE"):
        monkeypatch.delenv(variable, raising=False)
    master, slave = pty.openpty()
    shown = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):  # how Linux reports that the other side was closed
            while chunk := os.read(master, 4096):
                shown.extend(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with os.fdopen(slave, "w") as stream, contextlib.redirect_stderr(stream):
            yield shown
    finally:
        reader.join(timeout=10)
        os.close(master)


def test_a_terminal_gets_a_bar_that_moves_and_goes(monkeypatch, capsys):
    with terminal(monkeypatch) as shown, progress("reading", total=4000, unit="images") as advance:
        for _ in range(4):
            time.sleep(0.15)
            advance(1000)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "reading" in text and "━" in text
    assert re.search(r"[123],000/4,000 images", text)
    assert re.search(r"[\d,]+ images/s +0:0\d:\d\d", text), "rate and time left"
    assert shown.endswith(b"\x1b[2K"), "the bar is wiped at the end"
    assert capsys.readouterr().out == ""


def test_an_exception_passes_through_and_the_cursor_comes_back(monkeypatch):
    with (
        terminal(monkeypatch) as shown,
        pytest.raises(ZeroDivisionError),
        progress("reading", total=1, unit="images"),
    ):
        raise ZeroDivisionError
    assert shown.rindex(b"\x1b[?25h") > shown.index(b"\x1b[?25l")


def test_say_and_banner_leave_stdout_alone(capsys):
    say("one line")
    banner("a sample run")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["one line", "=" * 16, "  a sample run", "=" * 16]


def test_the_last_note_stays_beside_the_amount(monkeypatch, capsys):
    monkeypatch.setattr(module, "PLAIN_INTERVAL", 0.0)
    with progress("epoch", total=3, unit="images") as advance:
        advance(1, "loss 0.5")
        advance(1)
    assert [line.endswith("s left, loss 0.5") for line in capsys.readouterr().err.splitlines()] == [
        True,
        True,
    ]
