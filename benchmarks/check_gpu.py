"""What only a GPU can show, in one page to paste: ``make check-gpu``. At most ten minutes.

The CUDA operators' tests, the operators against torchvision's, some training of each competition's ``base``
on generated data (images per second, share of the time spent waiting for data, peak memory, precision), and
the seconds that CIFAR-10 takes to an accuracy of .90 where ``--raw`` names its files. Without a GPU it says
what it left out and ends with status 0.
"""

import argparse
import importlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torchvision

import ops
from benchmarks.__main__ import machine
from benchmarks.bench_ops import random_boxes, random_rois
from benchmarks.compare import HEAD, Case, measure
from pipeline.base.device import pick_device
from pipeline.base.paths import Paths
from pipeline.competition.prepare import prepare
from pipeline.competition.sources import find_source
from pipeline.config.config import Config
from pipeline.experiment.experiment import Experiment
from pipeline.training.job import FoldJob
from pipeline.training.loop import start

ROOT = Path(__file__).parents[1]
LIMIT = 540
"""Seconds after which no further part is begun."""
SECONDS = 20
"""Of training each ``base``."""
WARM = 3
"""Batches that do not count: they choose kernels and start workers."""
ACCURACY = 0.90


@dataclass(frozen=True, kw_only=True)
class EpochFigures:
    """How a part of an epoch went."""

    images_per_second: float
    waiting: float
    peak_gb: float
    precision: str

    def row(self, name: str) -> str:
        """As a row of a Markdown table."""
        return (
            f"| {name} | {self.images_per_second:,.0f} | {self.waiting:.0%} | {self.peak_gb:.1f} | "
            f"{self.precision} |"
        )


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(prog="make check-gpu", description=__doc__)
    parser.add_argument("--raw", type=Path, help="CIFAR-10's raw files, for the seconds to .90")
    raw, began, device = parser.parse_args().raw, time.monotonic(), pick_device()
    print(f"# GPU check\n\n{machine()}\n\n{describe(device)}", flush=True)
    for title, part in (
        ("CUDA operators' tests", lambda: tests()),
        ("Operators against torchvision's", lambda: operators(device)),
        ("Training `base` on generated data", lambda: competitions(device)),
        (f"CIFAR-10 to {ACCURACY:.2f}", lambda: cifar10(raw)),
    ):
        print(f"\n## {title}\n", flush=True)
        if device.type != "cuda":
            print("Skipped: no GPU.")
        elif time.monotonic() - began > LIMIT:
            print("Skipped: the ten minutes are over.")
        else:
            for line in part():
                print(line, flush=True)
    print(f"\n{time.monotonic() - began:.0f} s in all.")


def describe(device: torch.device) -> str:
    """The card and what was built for it."""
    if device.type != "cuda":
        return "No GPU that torch can use was found: nothing below was measured."
    card = torch.cuda.get_device_properties(device)
    built = json.loads((ROOT / "ops" / "_build" / "build.json").read_text(encoding="utf-8"))
    return (
        f"{card.name}, {card.total_memory / 2**30:.0f} GiB, compute capability {card.major}.{card.minor}, "
        f"CUDA {torch.version.cuda}; the operators' build: {built}"
    )


def tests() -> Iterator[str]:
    """The last line of the operators' test suite, and what failed."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-m",
        "needs_cuda",
        "tests",
        "-p",
        "no:cacheprovider",
    ]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    except subprocess.TimeoutExpired:
        yield "They did not end within 240 s."
        return
    yield from (line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR")))
    yield done.stdout.strip().splitlines()[-1]


def operators(device: torch.device) -> Iterator[str]:
    """Rows of ours against torchvision's on the card."""
    yield HEAD
    for case in operator_cases(device):
        yield measure(case).row()


def operator_cases(device: torch.device) -> Iterator[Case]:
    """NMS, IoU and RoI operators on tensors of `device`; each call waits for the card."""
    theirs = torchvision.ops

    def case(name: str, ours: Callable[[], object], peer: Callable[[], object]) -> Case:
        return Case(f"{name}, {device.type}", _waiting(ours, device), _waiting(peer, device), None)

    for count in (1_000, 10_000, 100_000):
        boxes, scores = (part.to(device) for part in random_boxes(count, clustered=False))
        labels = torch.randint(0, 80, (count,), generator=torch.Generator().manual_seed(1)).to(device)
        yield case(
            f"nms {count:,}",
            lambda boxes=boxes, scores=scores: ops.nms(boxes, scores, 0.5),
            lambda boxes=boxes, scores=scores: theirs.nms(boxes, scores, 0.5),
        )
        given = (boxes, scores, labels, 0.5)
        yield case(
            f"batched_nms {count:,}",
            lambda given=given: ops.batched_nms(*given),
            lambda given=given: theirs.batched_nms(*given),
        )
    boxes, _ = random_boxes(5_000, clustered=False)
    boxes = boxes.to(device)
    yield case("box_iou 5000 x 5000", lambda: ops.box_iou(boxes, boxes), lambda: theirs.box_iou(boxes, boxes))
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 256, 100, 152, generator=generator)
    rois = random_rois(512, features, 0.25, generator).to(device)
    features = features.to(device)
    yield case(
        "roi_align 512",
        lambda: ops.roi_align(features, rois, 7, 0.25, 2),
        lambda: theirs.roi_align(features, rois, 7, 0.25, 2),
    )
    leaf = features.clone().requires_grad_()

    def backward(operator: Callable[..., torch.Tensor]) -> torch.Tensor:
        return torch.autograd.grad(operator(leaf, rois, 7, 0.25, 2).sum(), leaf)[0]

    yield case(
        "roi_align 512, and its gradient", lambda: backward(ops.roi_align), lambda: backward(theirs.roi_align)
    )
    image, offset, weight, mask = (
        torch.randn(shape, generator=generator).to(device).requires_grad_()
        for shape in ((4, 256, 64, 64), (4, 18, 64, 64), (256, 256, 3, 3), (4, 9, 64, 64))
    )

    def convolved(operator: Callable[..., torch.Tensor], gradients: bool) -> object:
        out = operator(image, offset, weight, None, 1, 1, mask=mask)
        return torch.autograd.grad(out.sum(), (image, offset, weight, mask)) if gradients else out

    for gradients in (False, True):
        yield case(
            "deform_conv2d of 256 channels" + ", and its gradients" * gradients,
            lambda gradients=gradients: convolved(ops.deform_conv2d, gradients),
            lambda gradients=gradients: convolved(theirs.deform_conv2d, gradients),
        )


def _waiting(function: Callable[[], object], device: torch.device) -> Callable[[], object]:
    def call() -> object:
        result = function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return result

    return call


def competitions(device: torch.device) -> Iterator[str]:
    """A row for each competition."""
    yield "| base of | images/s | waiting for data | peak, GB | precision |\n|---|---|---|---|---|"
    for path in sorted((ROOT / "competitions").glob("*/competition.py")):
        with tempfile.TemporaryDirectory() as folder:
            try:
                yield train_a_while(job(path.parent.name, "base", Path(folder), device)).row(path.parent.name)
            except RuntimeError as error:  # out of memory, on a small card
                yield f"| {path.parent.name} | {str(error).splitlines()[0]} | | | |"


def job(slug: str, config: str, folder: Path, device: torch.device) -> FoldJob:
    """Training of the first fold of a competition's config on its sample, without published weights."""
    competition = importlib.import_module(f"competitions.{slug}.competition").Competition()
    entry = importlib.import_module(f"competitions.{slug}.configs").CONFIGS[config]
    assert isinstance(entry, Config)
    plain = replace(entry, model=replace(entry.model, pretrained=False))
    paths = Paths(*(folder / name for name in ("data", "runs", "submissions")))
    source = find_source(competition, paths, "sample", None)
    experiment = Experiment(
        competition=competition,
        name=config,
        config=plain,
        source_kind=source.kind,
        data=prepare(competition, source, paths.data / competition.slug),
        paths=paths,
        device=str(device),
    )
    return experiment.job(experiment.fold_numbers[0])


def train_a_while(fold_job: FoldJob, seconds: float = SECONDS) -> EpochFigures:
    """Train epoch after epoch for `seconds`, and measure."""
    fold = start(fold_job)
    session, device, train = fold.session, fold.open.device, fold_job.config.train
    _wait(device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    batches = (batch for epoch in itertools.count(1) for batch in fold.batches.epoch(fold_job.seed(epoch)))
    images, waited, began, ends = 0, 0.0, time.perf_counter(), time.perf_counter() + seconds
    session.model.train()
    for number in itertools.count(1):
        asked = time.perf_counter()
        pixels, targets = next(batches)
        waited += time.perf_counter() - asked
        pixels, targets = fold.mixer(pixels, targets)
        with torch.autocast(device.type, session.dtype, enabled=session.dtype is not None):
            loss = fold.objective(session.model, pixels, targets)
        session.scaler.scale(loss).backward()
        session.step(train, number)
        _wait(device)
        images += len(pixels)
        if number == WARM:
            images, waited, began = 0, 0.0, time.perf_counter()
        elif number > WARM and time.perf_counter() >= ends:
            break
    taken = time.perf_counter() - began
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    dtype = session.dtype or torch.float32
    return EpochFigures(
        images_per_second=images / taken,
        waiting=waited / taken,
        peak_gb=peak / 1e9,
        precision=f"{str(dtype).removeprefix('torch.')} (train.amp={train.amp})",
    )


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def cifar10(raw: Path | None) -> Iterator[str]:
    """How long the whole command takes, and what it scores."""
    if raw is None:
        yield "Skipped: make check-gpu RAW=<folder of CIFAR-10>."
        return
    with tempfile.TemporaryDirectory() as folder:
        words = ["submit", "--raw", str(raw.resolve()), "--config", "base", "--folds.use", "1"]
        command = [sys.executable, "-m", "competitions.cifar10", *words, "--track.wandb", "disabled"]
        began = time.monotonic()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        taken = time.monotonic() - began
        if done.returncode:
            yield f"It failed: {done.stderr.strip().splitlines()[-1]}"
            return
        about = json.loads(next(Path(folder).glob("submissions/cifar10/*.json")).read_text(encoding="utf-8"))
        score = about["cv_accuracy"]
        yield f"{score:.4f} on the fold held out in {taken:.0f} s, data and submission included: " + (
            "reached." if score >= ACCURACY else "not reached."
        )


if __name__ == "__main__":
    main()
