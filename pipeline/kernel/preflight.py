"""The first thing a kernel does: look at what it runs on, say so, and stop where it cannot work."""

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.base.device import amp_dtype, pick_device
from pipeline.base.errors import UserError, name_some
from pipeline.base.paths import KAGGLE_INPUT, KAGGLE_TEMPORARY, KAGGLE_WORKING, mounted_input, on_kaggle
from pipeline.base.progress import say

LIBRARY_VARIABLE = "PODIUM_LIBRARY_DIR"
LIBRARY_TIMEOUT_S = 300
"""Importing torch from a cold disk takes a minute of it."""


@dataclass(frozen=True)
class Mounts:
    """Folders a kernel reads.

    Attributes
    ----------
    bundle : the dataset with this project's wheels.
    raw : the competition's raw files.
    """

    bundle: Path
    raw: Path


def preflight(
    bundle: str,
    data: str,
    hours: float,
    root: Path = KAGGLE_INPUT,
    working: Path = KAGGLE_WORKING,
) -> Mounts:
    """Check the accelerator, the operators, the disk, the time limit and the mounts, and print each finding.

    Parameters
    ----------
    bundle : slug of the dataset with the wheels.
    data : Kaggle's slug of the competition, or of the dataset, with the raw files.
    hours : time limit of the session as the bundle was told; Kaggle does not reveal it from inside.

    Raises
    ------
    UserError : one of the mounts is missing; names what is mounted.
    """
    mounts = Mounts(find_mount(bundle, root), find_mount(data, root))
    found = {
        "kernel": f"{'yes' if on_kaggle() else 'no'}, Python {platform.python_version()}",
        "accelerator": describe_accelerator(),
        "operators": use_operators(mounts.bundle),
        "processor": f"{os.cpu_count()} threads, {_memory_gb():.0f} GB of memory",
        "disk": describe_disk(working),
        "time limit": f"{hours:g} h, as the bundle was told",
        "bundle": str(mounts.bundle),
        "raw files": str(mounts.raw),
    }
    for name, value in found.items():
        print(f"{name:<12} {value}", flush=True)
    return mounts


def find_mount(slug: str, root: Path = KAGGLE_INPUT) -> Path:
    """The folder where the competition or dataset `slug` is mounted, in any of the known layouts.

    Raises UserError where it is not; names what is mounted.
    """
    datasets = sorted(root.glob(f"datasets/*/{slug}"))
    found = mounted_input(slug, root) or (datasets[0] if datasets else None)
    if found is None:
        there = sorted(str(path.relative_to(root)) for path in _mounts(root))
        raise UserError(
            f"{slug} is not mounted under {root}, which holds {name_some(there) or 'nothing'}: add it to the "
            "kernel's inputs"
        )
    return found


def _mounts(root: Path) -> list[Path]:
    groups = {"competitions": "*", "datasets": "*/*"}
    nested = [path for group, pattern in groups.items() for path in (root / group).glob(pattern)]
    return nested + [path for path in root.glob("*") if path.name not in groups]


def describe_accelerator() -> str:
    """The device that ran an operation, and the precision it trains in."""
    device = pick_device()
    precision = str(amp_dtype(device) or torch.float32).removeprefix("torch.")
    if device.type != "cuda":
        broken = " (a GPU is there and fails)" if torch.cuda.is_available() else ""
        return f"none, the CPU computes in {precision}{broken}"
    cards = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    names = ", ".join(f"{card.name} with {card.total_memory / 2**30:.0f} GiB" for card in cards)
    return f"{names}; an operation ran, computes in {precision}"


def use_operators(bundle: Path) -> str:
    """Choose the bundle's compiled operators where they load here, for this process and its children.

    Tried in a child, because a library that does not load makes the import of `ops` raise.
    """
    library = next(bundle.rglob("podium_cpu.so"), None)
    if library is None:
        return "not in the bundle; plain torch stands in"
    variables = {**os.environ, LIBRARY_VARIABLE: str(library.parent)}
    command = [sys.executable, "-c", "import ops"]
    tried = subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=LIBRARY_TIMEOUT_S, check=False
    )
    if tried.returncode:
        say(tried.stderr.strip())
        return "the bundle's do not load here; plain torch stands in"
    os.environ[LIBRARY_VARIABLE] = str(library.parent)
    return "compiled, from the bundle"


def describe_disk(working: Path = KAGGLE_WORKING) -> str:
    """Free space of the working folder, whose content is kept, and of the temporary one."""
    free = shutil.disk_usage(working).free / 1e9
    parent = next(folder for folder in (KAGGLE_TEMPORARY, *KAGGLE_TEMPORARY.parents) if folder.is_dir())
    return f"{free:.1f} GB free in {working}, {shutil.disk_usage(parent).free / 1e9:.1f} GB in {parent}"


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def run_stage(comp: str, stage: str, *arguments: str) -> None:
    """Run a stage of a competition in a process of its own, its output in the notebook.

    Raises RuntimeError where it fails, so that the kernel counts as failed.
    """
    command = [sys.executable, "-u", "-m", f"competitions.{comp}", stage, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None  # as it is a pipe
    for line in process.stdout:
        print(line, end="", flush=True)
    if process.wait():
        raise RuntimeError(f"{' '.join(command[3:])} failed with exit status {process.returncode}")
