"""Devices and precisions are tried or read off the hardware, not assumed."""

import pytest
import torch

from pipeline.base.device import amp_dtype, cpu_computes_bf16, make_deterministic, pick_device

INTEL_2015 = "fpu vme sse4_2 avx avx2 fma"
INTEL_2020 = f"{INTEL_2015} avx512f avx512bw avx512_vnni"
COOPER_LAKE = f"{INTEL_2020} avx512_bf16"
SAPPHIRE_RAPIDS = f"{COOPER_LAKE} amx_bf16 amx_tile amx_int8"
ONLY_AMX = f"{INTEL_2020} amx_bf16 amx_tile"
LOOKALIKE = f"{INTEL_2020} xavx512_bf16 amx_bf16x"


def cpuinfo(flags: str, cores: int = 2) -> str:
    """The layout of /proc/cpuinfo on x86."""
    return "".join(
        f"processor\t: {core}\nmodel name\t: no avx512_bf16 here\nflags\t\t: {flags}\nbugs\t\t:\n\n"
        for core in range(cores)
    )


@pytest.mark.parametrize(
    "text, expected",
    [
        (cpuinfo(INTEL_2015), False),
        (cpuinfo(INTEL_2020), False),
        (cpuinfo(COOPER_LAKE), True),
        (cpuinfo(SAPPHIRE_RAPIDS), True),
        (cpuinfo(ONLY_AMX), True),
        (cpuinfo(LOOKALIKE), False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", False),  # an ARM CPU has no such line
        ("", False),
    ],
)
def test_bf16_is_for_cpus_that_compute_in_it(tmp_path, text, expected):
    path = tmp_path / "cpuinfo"
    path.write_text(text)
    assert cpu_computes_bf16(path) is expected


def test_without_cpuinfo_bf16_is_off(tmp_path):
    assert cpu_computes_bf16(tmp_path / "missing") is False


def test_the_cpus_amp_type_is_bf16_or_none():
    assert amp_dtype(torch.device("cpu")) is (torch.bfloat16 if cpu_computes_bf16() else None)


def test_the_picked_device_computes():
    device = pick_device()
    assert torch.ones(3, device=device).sum().item() == 3


@pytest.mark.skipif(
    torch.cuda.is_available() or torch.version.cuda is None,
    reason="needs a CUDA build of torch without a GPU",
)
def test_a_gpu_that_is_reported_and_fails_is_passed_over_with_a_warning(monkeypatch, capsys):
    """What a GPU too old for this torch does: it is there, and the first operation raises."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device() == torch.device("cpu")
    assert capsys.readouterr().err.startswith("warning: the GPU fails every operation (")


def test_determinism_leaves_the_cpu_as_it_is():
    before = torch.are_deterministic_algorithms_enabled()
    make_deterministic(torch.device("cpu"), wanted=True)
    assert torch.are_deterministic_algorithms_enabled() == before
