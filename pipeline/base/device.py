"""Which device to compute on, and in which precision. Both are tried, not assumed."""

import ctypes
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pipeline.base.errors import UserError
from pipeline.base.progress import say

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of malloc.h."""


def named_device(name: str) -> torch.device:
    """The device of this name, such as ``cpu``, ``cuda:1`` or ``mps``; ``auto`` is `pick_device`'s.

    Raises
    ------
    UserError : no such device, or one that fails an operation; names those there are.
    """
    if name == "auto":
        return pick_device()
    there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    there += ["mps"] if torch.backends.mps.is_available() else []
    try:
        device = torch.device(name)
        torch.ones(8, device=device).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"--device {name} cannot compute ({reason}): there is {', '.join(there)}, or leave it out"
        ) from error
    if device.type not in ("cpu", "cuda", "mps"):
        raise UserError(f"--device {name} does not compute: there is {', '.join(there)}, or leave it out")
    return device


def pick_device() -> torch.device:
    """CUDA if one operation succeeds on it, else the CPU.

    A GPU too old for the installed torch (Kaggle's P100, for one) reports itself available and then fails
    every operation, so one is run.
    """
    if torch.cuda.is_available():
        try:
            torch.ones(8, device="cuda").sum().item()
            return torch.device("cuda")
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            say(f"warning: the GPU fails every operation ({reason}); using the CPU")
    return torch.device("cpu")


def amp_dtype(device: torch.device) -> torch.dtype | None:
    """The type worth computing in on `device`, or None for float32."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if device.type == "cpu" and cpu_computes_bf16() else None


def cpu_computes_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies in bf16. Without it bf16 is emulated, and slower than float32."""
    try:
        text = cpuinfo.read_text()
    except OSError:
        return False
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    return "avx512_bf16" in flags or "amx_bf16" in flags


def make_deterministic(device: torch.device, wanted: bool) -> None:
    """Ask for kernels that give the same bits every time, or for the fastest. CPU kernels already do for a
    fixed number of threads."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(wanted, warn_only=True)
        # Else every new tensor is filled before it is written, 2,000 times a step of a detector.
        torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]


def keep_freed_memory() -> None:
    """Let glibc reuse the memory of freed tensors, where it would give it back to the system each time.

    Every large activation otherwise costs fresh, zeroed pages: a fifth of the time of a MobileNetV2 training
    step on two cores.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return  # another C library
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, -1)


def channels_last(model: nn.Module, device: torch.device) -> nn.Module:
    """`model` itself, on `device`, with the channels of its kernels last in memory."""
    layout = torch.channels_last
    return model.to(device, memory_format=layout)  # pyright: ignore[reportCallIssue]  # torch documents it


def to_device(value: Any, device: torch.device) -> Any:
    """Tensors, alone or in tuples, lists and dictionaries, on `device`."""
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, dict):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_device(item, device) for item in value]
    return value
