"""Run a notebook as a Kaggle kernel would: /kaggle folders, inputs read-only, no network.

Linux namespaces make it: a mount namespace with a root of its own, so that /kaggle exists for the notebook
alone, a network namespace that has no interface but its own loopback, and a process namespace, which ends
every process that the notebook has started. No privileges are needed where unprivileged user namespaces are
allowed.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.base.errors import UserError

WORKING_LIMIT = 19.5e9
"""Bytes that Kaggle keeps of the working folder."""
POLL_S = 2.0
END_S = 15.0
"""How long a sandbox that is stopped may take to leave its log."""
UNSHARE = ("unshare", "--user", "--map-root-user", "--mount", "--net", "--pid", "--fork", "--kill-child")

SETUP = """
set -eu
root=$1 working=$2 temporary=$3 inputs=$4
shift 4
mount -t tmpfs -o size=16m podium "$root"
for entry in /*; do
    name=${entry#/}
    if [ -L "$entry" ]; then
        cp -P "$entry" "$root/$name"
    elif [ "$entry" = /proc ]; then
        mkdir "$root/proc"
        # Its own processes; in some containers the kernel allows only the outer ones to be seen.
        mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc"
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

        However this ends, `log` holds what there was, and no process of the notebook is left.

        Raises
        ------
        UserError : a cell failed, or the working folder grew over the limit.
        """
        arguments = [str(notebook.absolute()), str(log.absolute())]
        command = [sys.executable, "-m", "pipeline.kernel.execute", *arguments]
        with tempfile.TemporaryDirectory() as root, tempfile.NamedTemporaryFile("w", suffix=".tsv") as table:
            for place, folder in self.inputs.items():
                table.write(f"{folder.resolve()}\t{place}\n")
            table.flush()
            folders = [root, str(self.working.resolve()), str(self.temporary.resolve()), table.name]
            whole = [*UNSHARE, "sh", "-c", SETUP, "sandbox", *folders, *command]
            # The sandbox ends when its stdin is closed, which also happens where this process is killed.
            process = subprocess.Popen(
                whole, env=self._variables(), start_new_session=True, stdin=subprocess.PIPE
            )
            try:
                self._watch(process)
            finally:
                _end(process)
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


def _end(process: subprocess.Popen) -> None:
    """End the sandbox, which may leave its log first."""
    assert process.stdin is not None  # as it is a pipe
    process.stdin.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


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
