"""Which device to compute on, and in which precision. Both are tried, not assumed."""

from pathlib import Path

import torch

from pipeline.progress import say


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
    return torch.bfloat16 if cpu_computes_bf16() else None


def cpu_computes_bf16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies in bf16. Without it bf16 is emulated, and slower than float32."""
    try:
        text = cpuinfo.read_text()
    except OSError:
        return False
    flags = next((line.split() for line in text.splitlines() if line.startswith("flags")), [])
    return "avx512_bf16" in flags or "amx_bf16" in flags


def make_deterministic(device: torch.device) -> None:
    """Ask for kernels that give the same bits every time. CPU kernels already do for a fixed number of
    threads."""
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)
