"""Compile the operators into the tree, or where they are looked for: ``python -m ops.build``.

Sources use torch's stable ABI (LibTorch 2.10's), so one build serves later torch releases too, and CUDA
sources compile beside a CPU-only torch. A file is compiled again only when it, a header or the command
changed.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from ops._library import BUILD_FOLDER as OUTPUT

SOURCES = Path(__file__).parent / "csrc"
STABLE_ABI = "0x020a000000000000"
"""TORCH_TARGET_VERSION: torch 2.10."""
LEVELS = {
    "baseline": (),
    "avx2": ("-mavx2", "-mfma", "-mf16c"),
    "avx512": (
        "-mavx2",
        "-mfma",
        "-mf16c",
        "-mavx512f",
        "-mavx512bw",
        "-mavx512dq",
        "-mavx512vl",
        "-mprefer-vector-width=512",
    ),
}
ARCHITECTURES = (75, 80, 86, 89, 90, 100)
"""Compute capabilities to compile for, where nvcc knows them; the last also as PTX for newer cards."""


@dataclass(frozen=True)
class Unit:
    """One compilation: a source, the object it becomes, and the command."""

    source: Path
    target: Path
    command: tuple[str, ...]


def torch_include() -> list[str]:
    """Include flags of the installed torch."""
    return [f"-I{Path(torch.__file__).parent / 'include'}"]


def torch_library_folder() -> Path:
    """Where torch's shared libraries lie."""
    return Path(torch.__file__).parent / "lib"


def cpu_units(compiler: str, sanitize: bool) -> list[Unit]:
    """Compilations of the CPU library: kernels once for each instruction set, bindings once."""
    common = [
        compiler,
        "-std=c++20",
        "-O3",
        "-g0",
        "-fPIC",
        "-fvisibility=hidden",
        "-ffp-contract=off",
        "-Wall",
        "-fno-math-errno",
        f"-DTORCH_TARGET_VERSION={STABLE_ABI}",
        *torch_include(),
    ]
    if sanitize:
        common += ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g1"]
    levels = LEVELS if platform.machine() in ("x86_64", "AMD64") else {"baseline": ()}
    units = []
    for source in sorted((SOURCES / "cpu").glob("*.cpp")):
        variants = levels if source.stem.endswith("_kernels") else {"": ()}
        for level, flags in variants.items():
            suffix = f".{level}" if level else ""
            define = (f"-DPODIUM_ISA={level}",) if level else ()
            target = OUTPUT / ("sanitized" if sanitize else "cpu") / f"{source.stem}{suffix}.o"
            units.append(
                Unit(source, target, (*common, *flags, *define, "-c", str(source), "-o", str(target)))
            )
    return units


def cuda_architectures(nvcc: str) -> list[int]:
    """Those of ARCHITECTURES that this nvcc knows."""
    known = subprocess.run(
        [nvcc, "--list-gpu-arch"], capture_output=True, text=True, check=True
    ).stdout.split()
    wanted = [number for number in ARCHITECTURES if f"compute_{number}" in known]
    if not wanted:
        raise SystemExit(
            f"error: {nvcc} knows none of the architectures {ARCHITECTURES}: only {' '.join(known)}"
        )
    return wanted


def cuda_units(nvcc: str) -> list[Unit]:
    """Compilations of the CUDA library, for every architecture this nvcc knows."""
    wanted = cuda_architectures(nvcc)
    codes = [f"-gencode=arch=compute_{number},code=sm_{number}" for number in wanted]
    codes.append(f"-gencode=arch=compute_{wanted[-1]},code=compute_{wanted[-1]}")
    common = [
        nvcc,
        "-std=c++20",
        "-O3",
        "--threads",
        "0",
        "--expt-relaxed-constexpr",
        "--expt-extended-lambda",
        "-fmad=false",
        "-Xcompiler",
        "-fPIC,-fvisibility=hidden",
        "-DUSE_CUDA",
        f"-DTORCH_TARGET_VERSION={STABLE_ABI}",
        *torch_include(),
        *codes,
    ]
    return [
        Unit(
            source,
            target := OUTPUT / "cuda" / f"{source.stem}.o",
            (*common, "-c", str(source), "-o", str(target)),
        )
        for source in sorted((SOURCES / "cuda").glob("*.cu"))
    ]


def build(units: list[Unit], library: Path, linker: list[str], force: bool) -> bool:
    """Compile what changed and link; returns whether anything was done. Raises SystemExit with the compiler's
    words."""
    stale = [unit for unit in units if force or not is_fresh(unit)]
    if not stale and library.exists():
        return False
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        for unit, failure in zip(stale, pool.map(_compile, stale), strict=True):
            if failure:
                raise SystemExit(f"error: {unit.source} does not compile:\n{failure}")
    # Linked beside and renamed: a process keeps the old library it has mapped, and none sees half of one.
    temporary = library.with_suffix(f".{os.getpid()}")
    # The linker keeps the first copy of a template that several objects hold: it must run on every CPU.
    objects = sorted((str(unit.target) for unit in units), key=lambda name: ".avx" in name)
    folder = torch_library_folder()
    command = [*linker, "-shared", *objects, "-o", str(temporary), f"-L{folder}", "-ltorch_cpu"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"error: {library.name} does not link:\n{result.stderr}")
    temporary.replace(library)
    return True


def _compile(unit: Unit) -> str:
    unit.target.parent.mkdir(parents=True, exist_ok=True)
    result = subprocess.run(unit.command, capture_output=True, text=True)
    if result.returncode:
        return result.stderr
    unit.target.with_suffix(".stamp").write_text(_stamp(unit))
    return ""


def is_fresh(unit: Unit) -> bool:
    """Whether the object is there and was made from these sources by this command."""
    stamp = unit.target.with_suffix(".stamp")
    return unit.target.exists() and stamp.exists() and stamp.read_text() == _stamp(unit)


def _stamp(unit: Unit) -> str:
    content = hashlib.sha256(" ".join(unit.command).encode())
    for path in [unit.source, *sorted(SOURCES.rglob("*.h")), *sorted(SOURCES.rglob("*.cuh"))]:
        content.update(path.read_bytes())
    return content.hexdigest()


def find_nvcc() -> str | None:
    """nvcc on the PATH or under CUDA_HOME; None where there is none or USE_CUDA=0 says so. No GPU is looked
    for."""
    if os.environ.get("USE_CUDA") == "0":
        return None
    home = os.environ.get("CUDA_HOME")
    return shutil.which("nvcc", path=f"{home}/bin" if home else None) or shutil.which("nvcc")


def cuda_obstacle(nvcc: str | None) -> str | None:
    """Why the CUDA operators cannot be compiled here, or None where they can.

    Another major version of CUDA than torch's would link against a runtime that is not there when the library
    is loaded, and that would raise. Beside a torch without CUDA they are compiled, and not loaded.
    """
    if nvcc is None:
        return "USE_CUDA=0" if os.environ.get("USE_CUDA") == "0" else "no nvcc on the PATH or under CUDA_HOME"
    said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    compiler = re.search(r"release (\d+)", said)
    runtime = torch.version.cuda and torch.version.cuda.partition(".")[0]
    if compiler and runtime and compiler[1] != runtime:
        return f"{nvcc} is of CUDA {compiler[1]} and torch of CUDA {runtime}: install a matching toolkit"
    return None


def main() -> None:
    """Build the CPU library, and the CUDA library where nvcc is there."""
    parser = argparse.ArgumentParser(prog="python -m ops.build", description=__doc__)
    parser.add_argument("--force", action="store_true", help="compile everything again")
    parser.add_argument(
        "--sanitize", action="store_true", help="build the CPU library with ASan and UBSan instead"
    )
    options = parser.parse_args()
    compiler = shutil.which(os.environ.get("CXX", "g++")) or shutil.which("clang++")
    if compiler is None:
        print(
            "warning: no C++ compiler: the operators stay uncompiled and run as slow plain torch",
            file=sys.stderr,
        )
        return
    if options.sanitize:
        library = OUTPUT / "sanitized" / "podium_cpu.so"
        linker = [compiler, "-fsanitize=address,undefined"]
        build(cpu_units(compiler, sanitize=True), library, linker, options.force)
        print(library)
        return
    done = build(cpu_units(compiler, sanitize=False), OUTPUT / "podium_cpu.so", [compiler], options.force)
    print(f"CPU operators: {'built' if done else 'up to date'}")
    _record(compiler, [])
    nvcc = find_nvcc()
    reason = cuda_obstacle(nvcc)
    if nvcc is None or reason:
        print(f"CUDA operators: not built ({reason})")
        return
    linker = [nvcc, "-Xcompiler", "-fPIC", "--cudart", "shared"]
    done = build(cuda_units(nvcc), OUTPUT / "podium_cuda.so", linker, options.force)
    print(f"CUDA operators: {'built' if done else 'up to date'}")
    _record(compiler, cuda_architectures(nvcc))


def _record(compiler: str, architectures: list[int]) -> None:
    """Leave what `ops.doctor` says about the build."""
    version = subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True).stdout.strip()
    facts = {Path(compiler).name: version, "torch": importlib.metadata.version("torch")}
    if architectures:
        facts["CUDA for"] = " ".join(f"sm_{number}" for number in architectures)
    (OUTPUT / "build.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
