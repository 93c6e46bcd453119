"""Everything that is faster than something, as ratios measured in one run: ``make bench``.

Writes RESULTS.md beside this file. With --check it compares the ratios with those recorded there instead, and
exits with status 1 where one is a fifth below; a machine of another kind may differ, so record there first.
"""

import argparse
import datetime
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torchvision

from benchmarks import bench_detection, bench_end_to_end, bench_ops, bench_reading, bench_training
from benchmarks.compare import HEAD, Case, Result, measure
from pipeline.base.files import atomic_path

RESULTS = Path(__file__).with_name("RESULTS.md")
PEERS = bench_ops.PEERS
"""Where ``make bench`` puts what we compare with and nothing else needs."""
SLACK = 0.8
"""A ratio below this share of the recorded one is slower, and no noise."""
ROW = re.compile(r"^\| (?P<name>[^|]+) \|(?:[^|]*\|){3} (?P<ratio>[\d.]+)x \|", re.MULTILINE)

SECTIONS: dict[str, Callable[[Path], Iterator[Case]]] = {
    "reading": bench_reading.cases,
    "training": bench_training.cases,
    "end-to-end": bench_end_to_end.cases,
    "detectors": lambda folder: bench_detection.all_cases(),
    "operators": lambda folder: bench_ops.large_cases(),
    "small": lambda folder: bench_ops.small_cases(),
}
"""What is timed, by name. ``small`` runs on one thread."""


def main() -> None:
    """Print the tables; write or check RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=[*SECTIONS], help="parts to time")
    parser.add_argument("--check", action="store_true", help="compare with RESULTS.md, write nothing")
    options = parser.parse_args()
    if not options.check and len(options.only) < len(SECTIONS):
        print("parts alone are printed and not written to RESULTS.md", file=sys.stderr)
    sys.path.append(str(PEERS))
    recorded = recorded_ratios(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if options.check and not recorded:
        sys.exit(f"{RESULTS} has no ratios to compare with: run make bench first")
    print(machine(), flush=True)
    results = {}
    for section in options.only:
        print(f"\n{HEAD}", flush=True)
        results[section] = list(_measured(section))
    if options.check:
        found = slower([result for part in results.values() for result in part], recorded)
        if found:
            sys.exit("slower than recorded:\n" + "\n".join(found))
    elif len(options.only) == len(SECTIONS):
        with atomic_path(RESULTS) as path:
            path.write_text(page(results), encoding="utf-8")


def _measured(section: str) -> Iterator[Result]:
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        if section == "small":
            torch.set_num_threads(1)
        try:
            for case in SECTIONS[section](Path(folder)):
                result = measure(case)
                print(result.row(), flush=True)
                yield result
        finally:
            torch.set_num_threads(threads)


def machine() -> str:
    """What the figures hold for, in a line."""
    cpu = re.search(r"model name\s*: (.*)", _text(Path("/proc/cpuinfo")))
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    return ", ".join(
        (
            cpu[1] if cpu else platform.processor() or platform.machine(),
            f"{torch.get_num_threads()} threads",
            *(f"{name} {version}" for name, version in versions.items()),
            f"Python {platform.python_version()}",
            datetime.date.today().isoformat(),
        )
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def page(results: dict[str, list[Result]]) -> str:
    """RESULTS.md."""
    parts = [
        "# What is faster than what\n\nWritten by `make bench`. Medians of interleaved calls: ratios hold on "
        f"a noisy machine, and times on this one alone:\n{machine()}"
    ]
    for section, rows in results.items():
        parts.append(f"## {section.capitalize()}\n\n{HEAD}\n" + "\n".join(result.row() for result in rows))
    return "\n\n".join(parts) + "\n"


def recorded_ratios(text: str) -> dict[str, float]:
    """Ratios of a page by the name of the case."""
    return {match["name"]: float(match["ratio"]) for match in ROW.finditer(text)}


def slower(results: list[Result], recorded: dict[str, float]) -> list[str]:
    """A line for every case that is slower than it was."""
    return [
        f"{result.case.name}: {result.ratio:.2f}x, recorded {recorded[result.case.name]:.2f}x"
        for result in results
        if result.ratio < SLACK * recorded.get(result.case.name, 0.0)
    ]


if __name__ == "__main__":
    main()
