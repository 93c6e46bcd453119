"""Run a notebook as a Kaggle kernel would: /kaggle folders, inputs read-only, no network.

Linux namespaces make it: a mount namespace with a root of its own, so that /kaggle exists for the notebook
alone, and a network namespace that has no interface but its own loopback. No privileges are needed where
unprivileged user namespaces are allowed.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError
from pipeline.kernel.environment import KERNEL

WORKING_LIMIT = 19.5e9
"""Bytes that Kaggle keeps of the working folder."""
POLL_S = 2.0
UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "--net", "--fork", "--kill-child")
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
"""Of sys/ioctl.h and net/if.h."""

SETUP = """
set -eu
root=$1 working=$2 temporary=$3 inputs=$4
shift 4
mount -t tmpfs -o size=16m podium "$root"
for entry in /*; do
    name=${entry#/}
    if [ -L "$entry" ]; then
        cp -P "$entry" "$root/$name"
    elif [ -d "$entry" ] && [ "$name" != kaggle ]; then
        mkdir "$root/$name"
        mount --rbind "$entry" "$root/$name"
    fi
done
mkdir -p "$root/kaggle/working" "$root/kaggle/tmp" "$root/kaggle/input"
mount --bind "$working" "$root/kaggle/working"
mount --bind "$temporary" "$root/kaggle/tmp"
mount -t tmpfs -o size=16m podium "$root/kaggle/input"
while IFS="$(printf '\\t')" read -r source place; do
    mkdir -p "$root/kaggle/input/$place"
    mount --bind "$source" "$root/kaggle/input/$place"
    mount -o remount,bind,ro "$root/kaggle/input/$place"
done < "$inputs"
mount -o remount,ro "$root/kaggle/input"
exec chroot "$root" "$@"
"""
"""Shell script: root, working folder, temporary folder, table of inputs; then the command to run."""


def obstacle() -> str | None:
    """Why namespaces cannot be had here, or None where they can."""
    if shutil.which("unshare") is None:
        return "there is no unshare command (util-linux)"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True)
    return f"unshare is refused: {tried.stderr.strip()}" if tried.returncode else None


@dataclass(frozen=True)
class Sandbox:
    """What a notebook sees.

    Attributes
    ----------
    inputs : place under /kaggle/input -> folder on this machine.
    working, temporary : folders on this machine that stand for /kaggle/working and /kaggle/tmp.
    environment : folder of `pipeline.kernel.environment.make_environment`.
    limit : bytes that the working folder may hold.
    """

    inputs: Mapping[str, Path]
    working: Path
    temporary: Path
    environment: Path
    limit: float = WORKING_LIMIT

    def run(self, notebook: Path, log: Path) -> None:
        """Execute `notebook`, leave it with its outputs in `log`, and print its outputs as cells finish.

        Raises
        ------
        UserError : a cell failed, or the working folder grew over the limit.
        """
        arguments = [str(notebook.absolute()), str(log.absolute())]
        command = [sys.executable, "-m", "pipeline.kernel.sandbox", *arguments]
        with tempfile.TemporaryDirectory() as root, tempfile.NamedTemporaryFile("w", suffix=".tsv") as table:
            for place, folder in self.inputs.items():
                table.write(f"{folder.resolve()}\t{place}\n")
            table.flush()
            folders = [root, str(self.working.resolve()), str(self.temporary.resolve()), table.name]
            whole = [*UNSHARE, "sh", "-c", SETUP, "sandbox", *folders, *command]
            process = subprocess.Popen(whole, env=self._variables(), start_new_session=True)
            try:
                self._watch(process)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        if process.returncode:
            raise UserError(f"the kernel failed: {log} shows where, or the lines above")

    def _variables(self) -> dict[str, str]:
        kept = ("PATH", "LANG", "LC_ALL", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "KAGGLE_KERNEL_RUN_TYPE": "Batch",
            "HOME": "/kaggle/tmp",
            "TMPDIR": "/kaggle/tmp",
            "JUPYTER_PATH": str(self.environment.resolve() / "share" / "jupyter"),
            "NO_ALBUMENTATIONS_UPDATE": "1",
        }

    def _watch(self, process: subprocess.Popen) -> None:
        while process.poll() is None:
            time.sleep(POLL_S)
            self.check_size()

    def check_size(self) -> None:
        """Raise UserError where the working folder holds more than Kaggle keeps."""
        size = folder_size(self.working)
        if size > self.limit:
            raise UserError(
                f"/kaggle/working holds {size / 1e9:.1f} GB and Kaggle keeps {self.limit / 1e9:.1f}: "
                "write less, or to /kaggle/tmp"
            )


def folder_size(folder: Path) -> int:
    """Bytes of all files in `folder`; files that vanish meanwhile do not count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 (called very often)
            except OSError:
                continue
    return total


def _raise_loopback() -> None:
    """Bring the namespace's own loopback up: Jupyter speaks to its kernel over it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh22x", b"lo", IFF_UP | IFF_RUNNING)
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)


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

    client = NotebookClient(
        book, timeout=None, kernel_name=KERNEL, resources=resources, on_cell_executed=show
    )
    try:
        client.execute()
    except (CellExecutionError, DeadKernelError) as error:
        print(error, file=sys.stderr, flush=True)
        return False
    finally:
        log.write_text(nbformat.writes(book))
    return True


def main() -> None:
    """Inside the sandbox: ``python -m pipeline.kernel.sandbox NOTEBOOK LOG``."""
    _raise_loopback()
    notebook, log = map(Path, sys.argv[1:])
    print(json.dumps({"notebook": notebook.name, "network": socket.if_nameindex()}), flush=True)
    sys.exit(0 if execute(notebook, log) else 1)


if __name__ == "__main__":
    main()
