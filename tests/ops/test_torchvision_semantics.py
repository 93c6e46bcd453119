"""What torchvision takes and does, beyond the usual: integers, masks of -infinity, no boxes, torch.fx."""

import numpy as np
import pytest
import torch
import torchvision
import torchvision.tv_tensors
from torch import nn
from torch.fx import symbolic_trace

import ops

GENERATOR = torch.Generator().manual_seed(0)
CORNERS = torch.randint(0, 60, (40, 2, 2), generator=GENERATOR)
BOXES = torch.cat([CORNERS.amin(dim=1), CORNERS.amax(dim=1) + 1], dim=1)
SCORES = torch.rand(40, generator=GENERATOR)
LABELS = torch.randint(0, 3, (40,), generator=GENERATOR)
FEATURES = torch.randn(1, 8, 32, 32, generator=GENERATOR)
ROIS = torch.cat([torch.zeros(40, 1), BOXES.float()], dim=1)
INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
PAIRS = [
    (ops.box_iou, torchvision.ops.box_iou),
    (ops.box_giou, torchvision.ops.generalized_box_iou),
    (ops.box_diou, torchvision.ops.distance_box_iou),
    (ops.box_ciou, torchvision.ops.complete_box_iou),
]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_boxes(dtype) -> None:
    boxes = BOXES.to(dtype)
    for ours, theirs in PAIRS:
        expected = theirs(BOXES, BOXES)
        torch.testing.assert_close(ours(boxes, boxes), expected)
        torch.testing.assert_close(ours(boxes, BOXES.float()), expected)
        torch.testing.assert_close(ours(BOXES.double(), boxes), theirs(BOXES.double(), BOXES))
    area = torchvision.ops.box_area(boxes)
    assert torch.equal(ops.box_area(boxes), area) and ops.box_area(boxes).dtype == area.dtype
    for forms in (("xyxy", "xywh"), ("xyxy", "cxcywh"), ("xyxy", "xyxy")):
        expected = torchvision.ops.box_convert(boxes, *forms)
        converted = ops.box_convert(boxes, *forms)
        assert torch.equal(converted, expected) and converted.dtype == expected.dtype
    assert torch.equal(ops.clip_boxes(boxes, (20, 30)), torchvision.ops.clip_boxes_to_image(boxes, (20, 30)))
    with pytest.raises(ValueError, match="x2 < x1"):
        ops.box_area(boxes.flip(1))
    with pytest.raises(ValueError, match="boxes2 has x2 < x1"):
        ops.box_iou(boxes, boxes.flip(1))


def test_boxes_of_two_floating_types() -> None:
    for one, other in ((BOXES.float(), BOXES.double()), (BOXES.half(), BOXES.float())):
        expected = torchvision.ops.box_iou(one, other)
        found = ops.box_iou(one, other)
        torch.testing.assert_close(found, expected)


def test_scores_of_minus_infinity() -> None:
    boxes, masked = BOXES.float(), SCORES.clone()
    masked[::3] = float("-inf")
    assert torch.equal(ops.nms(boxes, masked, 0.3), torchvision.ops.nms(boxes, masked, 0.3))
    kept = ops.batched_nms(boxes, masked, LABELS, 0.3)
    theirs = torchvision.ops.boxes._batched_nms_vanilla(boxes, masked, LABELS, 0.3)
    assert sorted(kept.tolist()) == sorted(theirs.tolist())  # equal scores are in no order in theirs
    assert torch.equal(masked[kept], masked[theirs])
    indices, counts = ops.nms_padded(boxes[None], masked[None], None, 0.3, 40)
    kept = ops.nms(boxes, masked, 0.3)
    real = kept[masked[kept] > float("-inf")]
    assert indices[0, : counts[0]].tolist() == real.tolist()
    selected, _ = ops.soft_nms(boxes, masked)
    assert len(selected) and masked[selected].isfinite().all()
    for kernel in ("linear", "gaussian"):
        lowered = ops.matrix_nms(boxes.repeat(2, 1), masked.repeat(2), kernel=kernel)
        assert torch.equal(lowered == float("-inf"), masked.repeat(2) == float("-inf"))
        assert not lowered.isnan().any()
    turned = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], torch.zeros(40, 1)], dim=1)
    assert set(ops.nms_rotated(turned, masked, 1.0).tolist()) == set(range(40))
    for score in (float("nan"), float("inf")):
        wrong = torch.where(SCORES > 0.5, score, SCORES)
        for call in (ops.nms, ops.nms_rotated):
            with pytest.raises(ValueError, match="scores holds NaN or infinity"):
                call(turned if call is ops.nms_rotated else boxes, wrong, 0.5)


@pytest.mark.parametrize("threshold", [1.0, 1.5, float("inf"), np.float32(0.5), np.float64(0.25)])
def test_any_threshold(threshold) -> None:
    boxes = torch.cat([BOXES.float(), BOXES[:9].float(), BOXES[:9].float() * (1 + 1e-7)])
    scores = torch.cat([SCORES, SCORES[:18]])
    assert torch.equal(ops.nms(boxes, scores, threshold), torchvision.ops.nms(boxes, scores, threshold))
    labels = LABELS.new_zeros(58)
    assert torch.equal(ops.batched_nms(boxes, scores, labels, threshold), ops.nms(boxes, scores, threshold))


def test_no_iou_is_above_one() -> None:
    # Boxes that differ in their last bits, of every size: rounding must not take an IoU above 1.
    generator = torch.Generator().manual_seed(3)
    size = torch.exp2(torch.rand(400, 2, generator=generator) * 40 - 20)
    steps = torch.randint(-3, 4, (400, 2), generator=generator)
    nearly = (size.view(torch.int32) + steps.int()).view(torch.float32)
    boxes = torch.cat([torch.zeros(800, 2), torch.cat([size, nearly])], dim=1)
    scores = torch.rand(800, generator=generator)
    assert len(ops.nms(boxes, scores, 1.0)) == 800
    assert len(torchvision.ops.nms(boxes, scores, 1.0)) == 800
    assert ops.box_iou(boxes, boxes).max() <= 1


@pytest.mark.parametrize("size", [np.int64(3), (np.int32(3), np.int64(2)), np.array([3, 2]), [3, 2], 3])
def test_sizes_of_numpy(size) -> None:
    ratio = np.int64(2)
    torch.testing.assert_close(
        ops.roi_align(FEATURES, ROIS, size, 0.5, ratio),
        torchvision.ops.roi_align(FEATURES, ROIS, size, 0.5, 2),
        atol=1e-5,
        rtol=1e-5,
    )
    torch.testing.assert_close(
        ops.roi_pool(FEATURES, ROIS, size, np.float32(0.5)),
        torchvision.ops.roi_pool(FEATURES, ROIS, size, 0.5),
    )
    leaf = FEATURES.clone().requires_grad_()
    assert ops.roi_align(leaf, ROIS, size, 0.5, ratio).requires_grad
    assert ops.multiscale_roi_align([FEATURES], ROIS, size, [0.5], ratio).shape[2] == 3
    assert ops.ps_roi_align(FEATURES, ROIS, np.int64(2), 0.5, ratio).shape == (40, 2, 2, 2)
    assert len(ops.nms(BOXES.float(), SCORES, 0.9, max_out=np.int64(4))) == 4


def test_no_boxes_without_columns() -> None:
    none, labels = torch.zeros(0), torch.zeros(0, dtype=torch.int64)
    found = ops.batched_nms(none, none, labels, 0.5)
    assert found.shape == (0,) and found.dtype == torch.int64
    assert ops.clip_boxes(none, (4, 5)).shape == torchvision.ops.clip_boxes_to_image(none, (4, 5)).shape
    with pytest.raises(ValueError, match="must have shape"):
        ops.batched_nms(torch.zeros(4), torch.zeros(4), torch.zeros(4, dtype=torch.int64), 0.5)


class Detector(nn.Module):
    """Every kind of operator, as a model would call it."""

    def __init__(self) -> None:
        super().__init__()
        self.align = ops.RoIAlign(3, 0.5, 2)
        self.pool = ops.RoIPool((2, 2), 0.5)
        self.levels = ops.MultiScaleRoIAlign(["0", "1"], 2, 2)

    def forward(self, features: torch.Tensor, boxes: torch.Tensor, scores: torch.Tensor, rois: torch.Tensor):
        boxes = ops.clip_boxes(boxes, (50, 50))
        kept = ops.nms(boxes, scores, 0.5)
        kept = kept[ops.batched_nms(boxes[kept], scores[kept], kept % 2, 0.4, max_out=9)]
        padded = ops.nms_padded(boxes[None], scores[None], None, iou_threshold=0.5, max_out=4)
        maps = {"0": features, "1": features[:, :, ::2, ::2]}
        return (
            kept,
            padded[0],
            self.align(features, rois[kept]),
            self.pool(features, rois),
            ops.roi_align(features, [boxes[kept]], 2, 0.5),
            ops.ps_roi_align(features, rois, 2, 0.5, 2),
            ops.ps_roi_pool(features, rois, 2, 0.5),
            self.levels(maps, [boxes], [(64, 64)]),
            ops.multiscale_roi_align([features], rois, 2, [0.5]),
            ops.box_iou(boxes, boxes[:3]) + ops.box_giou(boxes, boxes[:3]),
            ops.box_area(ops.box_convert(boxes, "xyxy", "xyxy")),
            ops.soft_nms(boxes, scores)[0],
            ops.matrix_nms(boxes, scores),
            ops.box_iou_rotated(rois.abs(), rois.abs()),
        )


def test_symbolic_trace() -> None:
    model, inputs = Detector().eval(), (FEATURES, BOXES.float(), SCORES, ROIS)
    graph = symbolic_trace(model)
    called = {node.target for node in graph.graph.nodes if node.op == "call_function"}
    assert {ops.nms, ops.batched_nms, ops.roi_align, ops.roi_pool, ops.box_iou, ops.box_area} <= called
    torch.testing.assert_close(graph(*inputs), model(*inputs))
    fewer = (FEATURES, BOXES[:7].float(), SCORES[:7], ROIS[:7])
    torch.testing.assert_close(graph(*fewer), model(*fewer))


def test_subclasses_of_tensors() -> None:
    boxes = torchvision.tv_tensors.BoundingBoxes(BOXES.float(), format="XYXY", canvas_size=(64, 64))
    assert torch.equal(ops.nms(boxes, SCORES, 0.5), ops.nms(BOXES.float(), SCORES, 0.5))
    assert torch.equal(ops.box_iou(boxes, boxes), ops.box_iou(BOXES.float(), BOXES.float()))
    image = nn.Parameter(FEATURES)
    assert torch.equal(ops.roi_align(image, ROIS, 2), ops.roi_align(FEATURES, ROIS, 2))
