"""Being told to stop: Ctrl-C, SIGTERM, SIGHUP, at any moment. Imports nothing that takes time."""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE_S = 7.0
"""For a tidy end; Kaggle, SLURM and Kubernetes wait longer before they kill."""
SHOW_CURSOR = "\x1b[?25h"


class Stopped(KeyboardInterrupt):
    """The process was told to stop, by the signal `number`."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Around a command and its imports.

    A signal raises `Stopped`, which gives up locks and temporary files on its way; one sentence is printed
    and the process exits with 128 + its number. Where that takes longer than `PATIENCE_S`, or a second signal
    comes, helper processes are killed and the process ends at once: all that is kept was written atomically.
    Signals that are ignored, as SIGHUP under nohup, stay so. Inside another one it does nothing more.
    """
    if threading.current_thread() is not threading.main_thread() or _watched():
        yield
        return
    with _Watch() as watch:
        try:
            yield
        except BaseException as error:
            # A library that is interrupted may raise its own: numpy's import does.
            number = watch.raised or (signal.SIGINT if isinstance(error, KeyboardInterrupt) else None)
            if number is None:
                raise
            _tell(number)
            sys.exit(128 + number)


def _watched() -> bool:
    return any(isinstance(signal.getsignal(number), _Watch) for number in SIGNALS)


def _tell(number: int) -> None:
    """Say it, and show the cursor that a bar may have hidden. A terminal that is gone hears nothing."""
    cause = "interrupted" if number == signal.SIGINT else f"interrupted by {signal.Signals(number).name}"
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr.isatty():
            sys.stderr.write(SHOW_CURSOR)
        print(f"{cause}: the same command goes on from the last finished epoch", file=sys.stderr, flush=True)


class _Watch:
    """The handler of the signals, and a thread that ends the process where raising in the main one does not:
    it may be inside a library for minutes, or the library may swallow the exception."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.raised: int | None = None
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.writer, False)

    def __enter__(self) -> "_Watch":
        self.before = {number: signal.getsignal(number) for number in SIGNALS}
        taken = [number for number, handler in self.before.items() if handler is not signal.SIG_IGN]
        for number in taken:
            signal.signal(number, self)
        self.fd = signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
        os.register_at_fork(after_in_child=self._in_child)
        self.thread = threading.Thread(target=self._wait, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.raised:  # the thread goes on watching until the process is gone
            return
        signal.set_wakeup_fd(self.fd)
        for number, handler in self.before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        os.write(self.writer, b"\0")
        self.thread.join()
        self.process = 0
        os.close(self.reader)
        os.close(self.writer)

    def _in_child(self) -> None:
        """A forked helper process is not watched: it ends as by default, without a word to its parent."""
        if self.process != os.getppid():
            return
        signal.set_wakeup_fd(-1)
        for number, handler in self.before.items():
            if signal.getsignal(number) is self:
                signal.signal(number, handler if number == signal.SIGINT else signal.SIG_DFL)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.raised:
            return  # the thread decides
        self.raised = number
        # Helpers that end by the same signal are no errors any more; torch's handler would raise one.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        raise Stopped(number)

    def _wait(self) -> None:
        number = self._next_signal(None)
        if number is None:
            return
        began = time.monotonic()
        while (left := began + PATIENCE_S - time.monotonic()) > 0:
            # `timeout` and terminals send theirs twice within a moment.
            if self._next_signal(left) is not None and time.monotonic() > began + 1:
                break
        _leave(number)

    def _next_signal(self, seconds: float | None) -> int | None:
        """The next of our signals, or None after so many seconds, or when the watch ends."""
        while select.select([self.reader], [], [], seconds)[0]:
            number = os.read(self.reader, 1)[0]
            if number == 0 or number in SIGNALS:
                return number or None
        return None


def _leave(number: int) -> NoReturn:
    for helper in _descendants(os.getpid()):
        with contextlib.suppress(OSError):
            os.kill(helper, signal.SIGKILL)
    _tell(number)
    os._exit(128 + number)


def _descendants(process: int) -> list[int]:
    """All processes that `process` and those started; none where the system does not list them in /proc."""
    found = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in path.read_text().split()]
    return found + [one for child in found for one in _descendants(child)]
