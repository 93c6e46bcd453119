"""A process with its imports done and `faults.c` preloaded, which forks one for each command:
``python -m tests.broken.faulty MODULE``, whose ``run`` does a command.

Reads a JSON line for each command, and answers with one: its status, what it told, and its calls.
"""

import ctypes
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _forked(run: Callable[[list[str]], object], command: dict[str, Any], told: int) -> None:
    """Do a command in this process, which ends."""
    os.chdir(command["folder"])
    os.dup2(told, 1)
    os.dup2(told, 2)
    root = f"{command['folder']}/".encode()
    code: object = 0
    try:
        ctypes.CDLL(None).fault_arm(root, command["at"], command["fault"], command["sticky"])
        run(command["arguments"])
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def main() -> None:
    run = importlib.import_module(sys.argv[1]).run
    library = ctypes.CDLL(None)
    library.fault_log.restype = ctypes.c_char_p
    told = Path(sys.argv[2])
    for line in sys.stdin:
        with told.open("wb") as file:
            child = os.fork()
            if child == 0:
                _forked(run, json.loads(line), file.fileno())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        calls = library.fault_log().decode(errors="replace").splitlines()
        library.fault_disarm()
        print(json.dumps({"status": status, "told": told.read_text(), "calls": calls}), flush=True)


if __name__ == "__main__":
    main()
