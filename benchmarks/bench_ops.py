"""Our operators against torchvision's (ensemble-boxes' for box fusion), on the CPU: ``make bench-ops``.

Prints a Markdown table and exits with status 1 where a ratio misses its target by more than a fifth. Ours run
with ``validate=False``, because torchvision checks no values either; but small sizes as they are called,
checks and all, on one thread. ``--small`` times those alone.
"""

import argparse
import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torchvision
from torchvision.ops import boxes as tv_boxes

from benchmarks.compare import HEAD, Case, measure
from ops import (
    batched_nms,
    box_area,
    box_giou,
    box_iou,
    box_iou_rotated,
    deform_conv2d,
    nms,
    ps_roi_align,
    roi_align,
    roi_pool,
    weighted_boxes_fusion,
)

PEERS = Path(__file__).parents[1] / "build" / "peers"
"""Where ``make bench-ops`` puts ensemble-boxes."""


def random_boxes(count: int, clustered: bool, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """xyxy boxes (N, 4) and distinct scores (N,): spread over an image, or crowded around N/50 objects."""
    generator = torch.Generator().manual_seed(seed)
    if clustered:
        objects = torch.rand(max(1, count // 50), 2, generator=generator) * 1000
        centers = objects[torch.randint(0, len(objects), (count,), generator=generator)]
        centers = centers + torch.randn(count, 2, generator=generator) * 4
        size = 40 + torch.randn(count, 2, generator=generator) * 4
    else:
        centers = torch.rand(count, 2, generator=generator) * 1000
        size = 5 + torch.rand(count, 2, generator=generator) * 40
    size = size.clamp(min=1)
    scores = torch.randperm(count, generator=generator).float() / count
    return torch.cat([centers - size / 2, centers + size / 2], dim=1), scores


def nms_cases() -> Iterator[Case]:
    """nms and batched_nms."""
    for clustered, targets in ((False, (20, 40, 100)), (True, (8, 20, 40))):
        kind = "clustered" if clustered else "uniform"
        for count, target in zip((1_000, 10_000, 100_000), targets, strict=True):
            box, score = random_boxes(count, clustered)
            yield Case(
                f"nms {kind} {count:,}, t 0.5",
                lambda box=box, score=score: nms(box, score, 0.5, validate=False),
                lambda box=box, score=score: torchvision.ops.nms(box, score, 0.5),
                target,
                repeats=3 if count == 100_000 else 9,
            )
    for count, target in ((1_000, 20), (10_000, 30), (100_000, 30)):
        box, score = random_boxes(count, clustered=False)
        label = torch.randint(0, 80, (count,), generator=torch.Generator().manual_seed(1))
        yield Case(
            f"batched_nms 80 classes {count:,}",
            lambda box=box, score=score, label=label: batched_nms(box, score, label, 0.5, validate=False),
            lambda box=box, score=score, label=label: torchvision.ops.batched_nms(box, score, label, 0.5),
            target,
        )


def roi_cases() -> Iterator[Case]:
    """roi_align forward and backward, roi_pool."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 256, 100, 152, generator=generator)
    rois = random_rois(512, features, 0.25, generator)
    for name, ratio in (("sampling ratio 2", 2), ("adaptive", -1)):
        yield Case(
            f"roi_align forward (2,256,100,152), 512 rois, 7x7, {name}",
            lambda ratio=ratio: roi_align(features, rois, 7, 0.25, ratio, validate=False),
            lambda ratio=ratio: torchvision.ops.roi_align(features, rois, 7, 0.25, ratio),
            15,
        )
    leaf = features.clone().requires_grad_()
    mine = roi_align(leaf, rois, 7, 0.25, 2, validate=False)
    theirs = torchvision.ops.roi_align(leaf, rois, 7, 0.25, 2)
    gradient = torch.randn(mine.shape, generator=generator)
    yield Case(
        "roi_align backward",
        lambda: torch.autograd.grad(mine, leaf, gradient, retain_graph=True),
        lambda: torch.autograd.grad(theirs, leaf, gradient, retain_graph=True),
        15,
    )
    pooled = torch.randn(1, 256, 50, 68, generator=generator)
    pooled_rois = random_rois(512, pooled, 0.0625, generator)
    yield Case(
        "roi_pool (1,256,50,68), 512 rois, 7x7",
        lambda: roi_pool(pooled, pooled_rois, 7, 0.0625, validate=False),
        lambda: torchvision.ops.roi_pool(pooled, pooled_rois, 7, 0.0625),
        10,
    )


def random_rois(count: int, features: torch.Tensor, scale: float, generator: torch.Generator) -> torch.Tensor:
    batch, _, height, width = features.shape
    limits = torch.tensor([width, height]) / scale
    start = torch.rand(count, 2, generator=generator) * limits * 0.8
    size = 16 + torch.rand(count, 2, generator=generator) * limits * 0.3
    index = torch.randint(0, batch, (count, 1), generator=generator).float()
    return torch.cat([index, start, torch.minimum(start + size, limits)], dim=1)


def box_cases() -> Iterator[Case]:
    """box_iou, rotated IoU and box fusion."""
    box, _ = random_boxes(2_000, clustered=False)
    yield Case(
        "box_iou 2000 x 2000",
        lambda: box_iou(box, box, validate=False),
        lambda: torchvision.ops.box_iou(box, box),
        8,
    )
    generator = torch.Generator().manual_seed(0)
    turned = torch.rand(500, 5, generator=generator) * torch.tensor([100, 100, 40, 40, 180])
    turned[:, 2:4] += 5
    yield Case(
        "rotated iou 500 x 500",
        lambda: box_iou_rotated(turned, turned, validate=False),
        lambda: tv_boxes.box_iou(turned, turned, fmt="cxcywhr"),
        5,
    )
    peer = _load_ensemble_boxes()
    parts = [random_boxes(1_000, clustered=True, seed=seed) for seed in range(5)]
    parts = [((part / 1100 + 0.05).clamp(0, 1), score) for part, score in parts]
    label = torch.randint(0, 10, (1_000,), generator=generator)
    lists = [[part for part, _ in parts], [score for _, score in parts], [label] * 5]
    plain = [[value.numpy() for value in values] for values in lists]
    yield Case(
        "weighted_boxes_fusion 5 models x 1,000 boxes",
        lambda: weighted_boxes_fusion(*lists, iou_threshold=0.55, validate=False),
        lambda: peer.weighted_boxes_fusion(*plain, iou_thr=0.55),
        50,
        repeats=3,
        against="ensemble-boxes",
    )


def convolution_cases() -> Iterator[Case]:
    """deform_conv2d, forward, and with its gradients."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    input, weight = noise(2, 64, 32, 32), noise(64, 64, 3, 3)
    given = (input, noise(2, 18, 32, 32), weight, noise(64))
    mask, sides = noise(2, 9, 32, 32).sigmoid(), (deform_conv2d, torchvision.ops.deform_conv2d)
    name = "deform_conv2d with a mask (2,64,32,32), 3x3"
    yield Case(name, *(lambda side=side: side(*given, 1, 1, mask=mask) for side in sides), 1)
    leaves = [one.clone().requires_grad_() for one in (*given, mask)]

    def with_gradients(side: Callable) -> None:
        torch.autograd.grad(side(*leaves[:4], 1, 1, mask=leaves[4]).sum(), leaves)

    yield Case(f"{name}, and gradients", *(lambda side=side: with_gradients(side) for side in sides), 1)


def small_cases() -> Iterator[Case]:
    """Few boxes and RoIs, where the calls themselves count."""
    theirs = torchvision.ops
    for count, target in ((0, 1), (1, 1), (10, 1), (300, 5)):
        box, score = random_boxes(count, clustered=False)
        label = torch.randint(0, 5, (count,), generator=torch.Generator().manual_seed(1))
        for name, ours, peer, given in (
            ("box_area", box_area, theirs.box_area, (box,)),
            ("box_iou", box_iou, theirs.box_iou, (box, box)),
            ("box_giou", box_giou, theirs.generalized_box_iou, (box, box)),
            ("nms", nms, theirs.nms, (box, score, 0.5)),
            ("batched_nms", batched_nms, theirs.batched_nms, (box, score, label, 0.5)),
        ):
            aim = min(target, 3) if name == "box_area" else target
            both = [lambda side=side, given=given: side(*given) for side in (ours, peer)]
            yield Case(f"{name} of {count}, one thread", *both, aim)
    features = torch.randn(1, 16, 20, 20, generator=torch.Generator().manual_seed(0))
    for count in (0, 1, 4, 32, 300):
        rois = random_rois(count, features, 1.0, torch.Generator().manual_seed(1))
        for name, ours, peer, how in (
            ("roi_align", roi_align, theirs.roi_align, (7, 1.0, 2)),
            ("roi_pool", roi_pool, theirs.roi_pool, (7, 1.0)),
            ("ps_roi_align", ps_roi_align, theirs.ps_roi_align, (2, 1.0, 2)),
        ):
            both = [lambda side=side, rois=rois, how=how: side(features, rois, *how) for side in (ours, peer)]
            yield Case(f"{name} (1,16,20,20), {count} rois, one thread", *both, 1)
    large = torch.randn(1, 256, 200, 304, generator=torch.Generator().manual_seed(0))
    roi = torch.tensor([[0, 10, 10, 800, 600.0]])
    both = [lambda side=side: side(large, roi, 7, 0.25, 2) for side in (roi_align, theirs.roi_align)]
    yield Case("roi_align (1,256,200,304), 1 roi of most of it, one thread", *both, 1)
    same = torch.tensor([[0, 0, 10, 10.0]]).repeat(10_000, 1)
    score = torch.rand(10_000, generator=torch.Generator().manual_seed(0))
    both = [lambda side=side: side(same, score, 1.0) for side in (nms, theirs.nms)]
    yield Case("nms 10,000 identical boxes, t 1, one thread", *both, 5, repeats=3)


def _load_ensemble_boxes():
    """The one module that is needed; the package's __init__ would also import numba."""
    path = PEERS / "ensemble_boxes" / "ensemble_boxes_wbf.py"
    spec = importlib.util.spec_from_file_location("ensemble_boxes_wbf", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def large_cases() -> Iterator[Case]:
    """What takes as long as the work does."""
    for cases in (nms_cases, roi_cases, box_cases, convolution_cases):
        yield from cases()


def main() -> None:
    """Print the table; exit with status 1 where a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_ops", description=__doc__)
    parser.add_argument("--small", action="store_true", help="time small sizes only")
    large = () if parser.parse_args().small else (nms_cases, roi_cases, box_cases, convolution_cases)
    print(
        f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"torchvision {torchvision.__version__}; medians of interleaved calls\n"
    )
    print(HEAD, flush=True)
    missed = 0
    for cases in (*large, small_cases):
        if cases is small_cases:
            torch.set_num_threads(1)
        for case in cases():
            result = measure(case)
            print(result.row(), flush=True)
            missed += result.missed
    if missed:
        print(f"\n{missed} ratio(s) miss their target by more than a fifth", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
