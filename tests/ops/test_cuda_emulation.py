"""The CUDA kernels run on the CPU, thread by thread, so that their logic is tested where there is no GPU."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops import build

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a library with the CUDA kernels, compiled as C++ over cuda_emulation, in the CPU's place."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++")
    folder = tmp_path_factory.mktemp("emulated")
    objects = []
    for source in sorted((build.SOURCES / "cuda").glob("*.cu")):
        objects.append(str(folder / f"{source.stem}.o"))
        flags = ["-std=c++20", "-O1", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off"]
        includes = [f"-I{HERE / 'cuda_emulation'}", *build.torch_include()]
        defines = ["-Wno-unknown-pragmas", f"-DTORCH_TARGET_VERSION={build.STABLE_ABI}"]
        files = ["-x", "c++", "-c", str(source), "-o", objects[-1]]
        command = [compiler, *flags, *defines, *includes, *files]
        subprocess.run(command, check=True)
    link = [compiler, "-shared", *objects, "-o", str(folder / "podium_cpu.so")]
    subprocess.run([*link, f"-L{build.torch_library_folder()}", "-ltorch_cpu", "-ldl"], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("order", ["forward", "reverse"])
def test_the_cuda_suite(emulated, order):
    """`order`: of the threads of a block, so that a result that depends on it is found."""
    environment = os.environ | {
        "PODIUM_LIBRARY_DIR": str(emulated), "PODIUM_CUDA_EMULATION": "1", "EMULATION_ORDER": order
    }  # fmt: skip
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "test_cuda.py")]
    result = subprocess.run(command, env=environment, cwd=HERE.parents[1], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-5000:]
