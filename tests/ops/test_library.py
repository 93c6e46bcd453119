"""What happens when libraries are missing, broken or present; and what the build and the doctor say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ops import build
from ops._library import LOADED

REPOSITORY = Path(__file__).parents[2]
PROGRAM = """
import torch
from ops.nms import nms
boxes = torch.tensor([[6.0, 3, 8, 7], [3, 6, 9, 11], [3, 7, 10, 12], [1, 4, 13, 7]])
print(nms(boxes, torch.tensor([0.6, 0.9, 0.7, 0.2]), 0.3).tolist())
"""


def _python(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_without_a_library_the_reference_answers_after_one_warning(tmp_path):
    result = _python("-c", PROGRAM, PODIUM_LIBRARY_DIR=str(tmp_path))
    assert result.stdout.strip() == "[1, 0, 3]"
    assert result.stderr.count("run `make ops`") == 1


def test_a_library_that_does_not_load_raises_instead_of_falling_back(tmp_path):
    (tmp_path / "podium_cpu.so").write_bytes(b"this is no library")
    result = _python("-c", PROGRAM, PODIUM_LIBRARY_DIR=str(tmp_path))
    assert result.returncode != 0
    assert "podium_cpu.so exists but does not load" in result.stderr


@pytest.mark.parametrize("content", [None, b"this is no library"])
def test_the_build_starts_in_silence_whatever_is_there_to_mend(tmp_path, content):
    if content is not None:
        (tmp_path / "podium_cpu.so").write_bytes(content)
    result = _python("-m", "ops.build", "--help", PODIUM_LIBRARY_DIR=str(tmp_path))
    assert result.returncode == 0
    assert "--force" in result.stdout
    assert result.stderr == ""


def test_the_build_goes_where_libraries_are_looked_for(tmp_path):
    program = "from ops import _library, build; print(build.OUTPUT, _library.LIBRARIES['cpu'].parent)"
    result = _python("-W", "ignore", "-c", program, PODIUM_LIBRARY_DIR=str(tmp_path))
    assert result.stdout.split() == [str(tmp_path)] * 2


@pytest.mark.skipif(not LOADED.cpu, reason="the operators are not compiled")
def test_the_doctor_says_what_is_loaded():
    result = _python("-m", "ops.doctor")
    assert "podium_cpu.so" in result.stdout
    assert any(level in result.stdout for level in ("baseline", "AVX2", "AVX-512"))


@pytest.mark.skipif(not LOADED.cpu, reason="the operators are not compiled")
def test_a_lower_instruction_set_can_be_asked_for():
    assert "baseline" in _python("-m", "ops.doctor", PODIUM_CPU="baseline").stdout


def test_every_kernel_file_is_compiled_for_every_level_and_bindings_once():
    units = build.cpu_units("g++", sanitize=False)
    names = [unit.target.name for unit in units]
    assert len(names) == len(set(names))
    kernels = {unit.source.name for unit in units if unit.source.stem.endswith("_kernels")}
    levels = len(build.LEVELS) if any("avx2" in name for name in names) else 1
    assert len(names) == len(kernels) * levels + len({unit.source.name for unit in units} - kernels)


def test_nothing_is_compiled_again_when_nothing_changed(tmp_path, monkeypatch):
    source = tmp_path / "one.cpp"
    source.write_text('extern "C" int one() { return 1; }')
    command = ("g++", "-fPIC", "-c", str(source), "-o", str(tmp_path / "one.o"))
    unit = build.Unit(source, tmp_path / "one.o", command)
    assert build.build([unit], tmp_path / "lib.so", ["g++"], force=False)
    assert not build.build([unit], tmp_path / "lib.so", ["g++"], force=False)
    source.write_text('extern "C" int one() { return 2; }')
    assert build.build([unit], tmp_path / "lib.so", ["g++"], force=False)


def test_a_source_that_does_not_compile_is_named_and_the_old_library_stays(tmp_path):
    source = tmp_path / "bad.cpp"
    source.write_text("this is no C++")
    (tmp_path / "lib.so").write_bytes(b"old")
    unit = build.Unit(source, tmp_path / "bad.o", ("g++", "-c", str(source), "-o", str(tmp_path / "bad.o")))
    with pytest.raises(SystemExit, match=r"bad\.cpp does not compile"):
        build.build([unit], tmp_path / "lib.so", ["g++"], force=False)
    assert (tmp_path / "lib.so").read_bytes() == b"old"


def test_the_build_leaves_a_record(tmp_path):
    record = build.OUTPUT / "build.json"
    if not record.exists():
        pytest.skip("the operators are not compiled")
    assert "torch" in json.loads(record.read_text())


@pytest.mark.skipif("PODIUM_LIBRARY_DIR" in os.environ, reason="these libraries were made elsewhere")
def test_cuda_kernels_are_compiled_wherever_nvcc_is():
    nvcc = build.find_nvcc()
    obstacle = build.cuda_obstacle(nvcc)
    if obstacle:
        pytest.skip(f"the CUDA sources were not compiled: {obstacle}")
    units = build.cuda_units(nvcc)
    assert len(units) == len(list((build.SOURCES / "cuda").glob("*.cu"))) > 0
    assert (build.OUTPUT / "podium_cuda.so").exists(), "run `make ops`"
    assert all(build.is_fresh(unit) for unit in units), "the sources changed: run `make ops`"


def test_a_toolkit_of_another_major_version_than_torchs_is_not_used(tmp_path):
    nvcc = tmp_path / "nvcc"
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 9.2, V9.2.88'\n")
    nvcc.chmod(0o755)
    if not torch.version.cuda:
        pytest.skip("this torch is without CUDA: any toolkit will do")
    assert "is of CUDA 9 and torch of CUDA" in build.cuda_obstacle(str(nvcc))
