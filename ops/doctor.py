"""What is loaded, for bug reports and for people who wonder why it is slow: ``python -m ops.doctor``."""

import ctypes
import json
import platform
import sys

import torch

from ops._library import BUILD_FOLDER, LIBRARIES, LOADED

LEVEL_NAMES = ("baseline", "AVX2", "AVX-512")


def describe() -> dict[str, str]:
    """Facts about this installation, by name, in the order to print them."""
    facts = {
        "python": platform.python_version(),
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "CPU operators": _cpu(),
        "CUDA operators": _cuda(),
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }
    built = BUILD_FOLDER / "build.json"
    if built.exists():
        facts["built with"] = ", ".join(
            f"{key} {value}" for key, value in json.loads(built.read_text()).items()
        )
    return facts


def _cpu() -> str:
    if not LOADED.cpu:
        return f"not built ({LIBRARIES['cpu']} is absent): the slow reference stands in; run `make ops`"
    level = ctypes.CDLL(str(LIBRARIES["cpu"])).podium_cpu_level()
    return f"{LIBRARIES['cpu']}, {LEVEL_NAMES[level]}"


def _cuda() -> str:
    if LOADED.cuda:
        return str(LIBRARIES["cuda"])
    if not LIBRARIES["cuda"].exists():
        return "not built (needs nvcc when `make ops` runs)"
    return "built, not loaded: this torch has no CUDA"


def main() -> None:
    """Print the facts."""
    for name, fact in describe().items():
        sys.stdout.write(f"{name:<15} {fact}\n")


if __name__ == "__main__":
    main()
