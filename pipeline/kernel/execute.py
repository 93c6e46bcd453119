"""Execute a notebook inside the sandbox: ``python -m pipeline.kernel.execute NOTEBOOK LOG``."""

import fcntl
import json
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from pipeline.base.files import atomic_path
from pipeline.kernel.environment import KERNEL

SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
"""Of sys/ioctl.h and net/if.h."""


def _raise_loopback() -> None:
    """Bring the namespace's own loopback up: Jupyter speaks to its kernel over it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", IFF_UP | IFF_RUNNING)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)


def _when_stopped(leave: Callable[..., None]) -> None:
    """Call `leave` once stdin is closed; in this thread, which changes the notebook, so not half-way."""
    main = threading.main_thread().ident
    assert main is not None  # it has started

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)  # not buffered: that would hold a lock on the way out
        signal.pthread_kill(main, signal.SIGUSR1)

    signal.signal(signal.SIGUSR1, leave)
    threading.Thread(target=wait, daemon=True).start()


def execute(notebook: Path, log: Path) -> bool:
    """Execute a notebook in /kaggle/working with the rehearsal's kernel; returns whether all cells passed."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    book = nbformat.read(notebook, as_version=4)
    resources = {"metadata": {"path": "/kaggle/working"}}

    def show(cell: nbformat.NotebookNode, **_: object) -> None:
        for output in cell.get("outputs", ()):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            print(text, end="" if text.endswith("\n") else "\n", flush=True)

    def keep() -> None:
        with atomic_path(log) as temporary:
            temporary.write_text(nbformat.writes(book), encoding="utf-8")

    def leave(*_: object) -> None:
        keep()
        os._exit(1)  # and with the first process of the namespace all others

    _when_stopped(leave)
    client = NotebookClient(
        book, timeout=None, kernel_name=KERNEL, resources=resources, on_cell_executed=show
    )
    try:
        client.execute()
    except (CellExecutionError, DeadKernelError) as error:
        print(error, file=sys.stderr, flush=True)
        return False
    finally:
        keep()
    return True


def main() -> None:
    """Inside the sandbox: ``python -m pipeline.kernel.execute NOTEBOOK LOG``."""
    _raise_loopback()
    notebook, log = map(Path, sys.argv[1:])
    print(json.dumps({"notebook": notebook.name, "network": socket.if_nameindex()}), flush=True)
    sys.exit(0 if execute(notebook, log) else 1)


if __name__ == "__main__":
    main()
