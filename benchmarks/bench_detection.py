"""Detectors with our operators and with torchvision's, trained and used on the CPU: ``make bench-detection``.

One network is timed with either library's operators behind the names that `pipeline.networks` uses, in turn.
Prints a Markdown table of images per second, and of the share of the time that each library's operators take.
What both have in common, such as torchvision's losses, counts as the network's.
"""

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

import torch
import torchvision
from torch.profiler import ProfilerActivity, profile, record_function
from torchvision.ops.poolers import LevelMapper

import ops
from benchmarks.compare import Case, measure
from pipeline.config.groups import ModelConfig
from pipeline.networks.detection import faster_rcnn, masks_in_boxes, parts, retinanet
from pipeline.networks.detection.detector import build_detector

USERS: tuple[ModuleType, ...] = (parts, faster_rcnn, masks_in_boxes, retinanet)
"""Modules that call operators by the name ``ops``."""
BACKBONE, CLASSES = "mobilenetv2_050", 80
DETECTORS = (("faster_rcnn", 256), ("faster_rcnn", 320), ("fcos", 256), ("fcos", 320))
"""With the side of the input in pixels."""
BATCH, OBJECTS = 4, 8
"""Images in a batch, and true boxes of each."""
REPEATS = 7
LABEL = "detector operators"


def nms_padded(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    labels: torch.Tensor,
    iou_threshold: float,
    max_out: int,
    *,
    min_score: float = float("-inf"),
    validate: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`ops.nms_padded` as torchvision's detectors do it: image by image."""
    kept = boxes.new_full((len(boxes), max_out), -1, dtype=torch.int64)
    counts = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)
    for i, (box, score, label) in enumerate(zip(boxes, scores, labels, strict=True)):
        rows = ((label >= 0) & (score > min_score)).nonzero()[:, 0]
        best = torchvision.ops.batched_nms(box[rows], score[rows], label[rows], iou_threshold)[:max_out]
        kept[i, : len(best)] = rows[best]
        counts[i] = len(best)
    return kept, counts


def multiscale_roi_align(
    features: list[torch.Tensor],
    boxes: list[torch.Tensor],
    output_size: int,
    scales: list[float],
    sampling_ratio: int,
    aligned: bool,
    canonical_scale: float,
    validate: bool = True,
) -> torch.Tensor:
    """`ops.multiscale_roi_align` as torchvision's MultiScaleRoIAlign does it, level by level, but aligned."""
    levels = [round(-torch.tensor(scale).log2().item()) for scale in scales]
    level_of = LevelMapper(levels[0], levels[-1], int(canonical_scale))(boxes)
    images = torch.cat([torch.full_like(part[:, :1], i) for i, part in enumerate(boxes)])
    rois = torch.cat((images, torch.cat(boxes)), dim=1)
    pooled = features[0].new_zeros(len(rois), features[0].shape[1], output_size, output_size)
    for level, (feature, scale) in enumerate(zip(features, scales, strict=True)):
        rows = (level_of == level).nonzero()[:, 0]
        pooled[rows] = torchvision.ops.roi_align(
            feature, rois[rows], output_size, scale, sampling_ratio, aligned
        )
    return pooled


def roi_align(*args, validate: bool = True, **options) -> torch.Tensor:
    """torchvision's."""
    return torchvision.ops.roi_align(*args, **options)


def box_iou(boxes1: torch.Tensor, boxes2: torch.Tensor, validate: bool = True) -> torch.Tensor:
    """torchvision's."""
    return torchvision.ops.box_iou(boxes1, boxes2)


def clip_boxes(boxes: torch.Tensor, size: tuple[int, int], validate: bool = True) -> torch.Tensor:
    """torchvision's."""
    return torchvision.ops.clip_boxes_to_image(boxes, size)


PEERS: dict[str, Callable] = {
    function.__name__: function
    for function in (nms_padded, multiscale_roi_align, roi_align, box_iou, clip_boxes)
}
OURS: dict[str, Callable] = {name: getattr(ops, name) for name in PEERS}


@contextmanager
def operators(chosen: dict[str, Callable]) -> Iterator[None]:
    """The detectors with these operators, each call marked for the profiler, which costs next to nothing
    without one."""
    functions = {name: _labelled(function) for name, function in chosen.items()}
    patches = [patch.object(module, "ops", SimpleNamespace(**functions)) for module in USERS]
    for one in patches:
        one.start()
    try:
        yield
    finally:
        for one in patches:
            one.stop()


def _labelled(function: Callable) -> Callable:
    def call(*args, **options):
        with record_function(LABEL):
            return function(*args, **options)

    return call


def operator_share(work: Callable[[], object]) -> float:
    """Share of the time of `work` that its operators take, forward and backward, measured in calls of its
    own: the profiler slows everything a little."""
    work()
    with profile(activities=[ProfilerActivity.CPU]) as profiler, record_function("whole"):
        for _ in range(3):
            work()
    times = {event.key: event.cpu_time_total for event in profiler.key_averages()}
    backward = [
        time
        for key, time in times.items()
        if key.startswith(("podium::", "torchvision::")) and key.endswith("_backward")
    ]
    return (times.get(LABEL, 0) + sum(backward)) / times["whole"]


def random_batch(side: int) -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
    """Normalised images and targets of all sizes from an eighth to half of the side."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, 3, side, side, generator=generator)
    targets = []
    for _ in range(BATCH):
        size = side * (0.125 + 0.375 * torch.rand(OBJECTS, 2, generator=generator))
        corner = torch.rand(OBJECTS, 2, generator=generator) * (side - size)
        labels = torch.randint(0, CLASSES, (OBJECTS,), generator=generator)
        targets.append({"boxes": torch.cat((corner, corner + size), dim=1), "labels": labels})
    return images.contiguous(memory_format=torch.channels_last), targets


def cases(kind: str, side: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Names, and the training step and the prediction of one batch."""
    torch.manual_seed(0)
    config = ModelConfig(name=BACKBONE, image_size=side)
    model = build_detector(config, detector=kind, num_classes=CLASSES, mask_head=False)
    model = model.to(memory_format=torch.channels_last)
    images, targets = random_batch(side)

    def train() -> None:
        model.train()
        model.zero_grad()
        sum(model(images, targets).values()).backward()

    def predict() -> list[dict[str, torch.Tensor]]:
        model.eval()
        # A network that has learnt nothing gives every class a score of about 0.01: all boxes take part.
        return model.detect(images, score_threshold=0.001, iou_threshold=0.6)

    yield "training step", train
    yield "prediction", predict


def check_same(predict: Callable[[], list[dict[str, torch.Tensor]]]) -> None:
    """Raise AssertionError where the two libraries find other boxes."""
    found = []
    for chosen in (OURS, PEERS):
        with operators(chosen):
            found.append(predict())
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one["boxes"], other["boxes"], atol=0.01, rtol=1e-3)
        torch.testing.assert_close(one["scores"], other["scores"], atol=1e-4, rtol=1e-3)


def all_cases() -> Iterator[Case]:
    """Every detector's training step and prediction, with either library's operators."""
    for kind, side in DETECTORS:
        for name, work in cases(kind, side):
            if name == "prediction":
                check_same(work)
            sides = [lambda chosen=chosen, work=work: _with(chosen, work) for chosen in (OURS, PEERS)]
            yield Case(f"{kind} {side} px, {name}", *sides, None, REPEATS, "torchvision's operators")


def _with(chosen: dict[str, Callable], work: Callable[[], object]) -> None:
    with operators(chosen):
        work()


def main() -> None:
    """Print the table."""
    print(
        f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, torchvision "
        f"{torchvision.__version__}; {BACKBONE}, batches of {BATCH}; medians of interleaved calls\n"
    )
    print("| case | ours, img/s | torchvision's, img/s | ratio | in our operators | in torchvision's |")
    print("|---|---|---|---|---|---|", flush=True)
    for case in all_cases():
        result = measure(case)
        rates = [1000 * BATCH / taken for taken in (result.ours_ms, result.peer_ms)]
        shares = [operator_share(side) for side in (case.ours, case.peer)]
        print(
            f"| {case.name} | {rates[0]:.1f} | {rates[1]:.1f} | {result.ratio:.2f}x | "
            f"{shares[0]:.1%} | {shares[1]:.1%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
