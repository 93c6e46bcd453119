"""What every process that this program starts to work for it does first."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading


def begin_child() -> None:
    """In a new process: it ends when the one that started it does, which alone hears Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
