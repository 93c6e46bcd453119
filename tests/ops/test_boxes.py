import os
import subprocess
import sys

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.library import opcheck

from ops import box_area, box_convert, clip_boxes
from ops import boxes as ob
from ops.box_formats import FORMATS
from ops.reference_boxes import pairwise_iou

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)]
FUNCTIONS = {"iou": ob.box_iou, "giou": ob.box_giou, "diou": ob.box_diou, "ciou": ob.box_ciou}
THEIRS = {
    "iou": torchvision.ops.box_iou,
    "giou": torchvision.ops.generalized_box_iou,
    "diou": torchvision.ops.distance_box_iou,
    "ciou": torchvision.ops.complete_box_iou,
}


def random_boxes(count: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Boxes on a half-integer grid around the origin: many touch, coincide, or are empty."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.randint(-20, 20, (count, 2, 2), generator=generator) / 2
    low, high = corners.amin(dim=1), corners.amax(dim=1)
    return torch.cat((low, high), dim=1).to(dtype)


def proper_boxes(count: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator, dtype=dtype) * 10 - 5
    return torch.cat((low, low + 0.5 + 5 * torch.rand(count, 2, generator=generator, dtype=dtype)), dim=1)


@pytest.mark.parametrize("device", DEVICES)
def test_fixture(device):
    boxes = torch.tensor([[0, 0, 100, 100], [0, 0, 50, 50], [200, 200, 300, 300.0]], device=device)
    expected = torch.tensor([[1, 0.25, 0], [0.25, 1, 0], [0, 0, 1]], device=device)
    torch.testing.assert_close(ob.box_iou(boxes, boxes), expected)
    giou = ob.box_giou(boxes, boxes)
    off = torch.stack((giou[0, 1], giou[0, 2], giou[1, 2]))
    torch.testing.assert_close(off.cpu(), torch.tensor([0.25, -0.7778, -0.8611]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 4097])
def test_equals_reference(device, kind, n):
    one, two = random_boxes(n, 1).to(device), random_boxes(65, 2).to(device)
    torch.testing.assert_close(FUNCTIONS[kind](one, two), pairwise_iou(one, two, ob.KINDS[kind]))
    torch.testing.assert_close(FUNCTIONS[kind](two, one), pairwise_iou(two, one, ob.KINDS[kind]))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_types_and_strides(device, dtype):
    one, two = random_boxes(20, 3, dtype).to(device), random_boxes(30, 4, dtype).to(device)
    result = ob.box_iou(one, two)
    assert result.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(result, pairwise_iou(one, two, 0))
    strided = torch.zeros(20, 8, dtype=dtype, device=device)[:, ::2]
    strided.copy_(one)
    assert torch.equal(ob.box_iou(strided, two), result)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_equals_torchvision(kind):
    for seed in range(200):
        one, two = proper_boxes(seed % 40 + 1, seed), proper_boxes(20, seed + 1000)
        torch.testing.assert_close(FUNCTIONS[kind](one, two), THEIRS[kind](one, two), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_values_are_survived(device, data):
    numbers = st.floats(width=32, allow_nan=True, allow_infinity=True)
    rows = data.draw(st.lists(st.lists(numbers, min_size=4, max_size=4), max_size=6))
    boxes = torch.tensor(rows, dtype=torch.float32, device=device).reshape(-1, 4)
    for kind in FUNCTIONS:
        assert FUNCTIONS[kind](boxes, boxes, validate=False).shape == (len(rows), len(rows))


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_gradients(kind):
    one, two = proper_boxes(3, 5).requires_grad_(), proper_boxes(4, 6).requires_grad_()
    assert torch.autograd.gradcheck(FUNCTIONS[kind], (one, two))
    assert torch.autograd.gradgradcheck(FUNCTIONS[kind], (one, two))


@pytest.mark.parametrize("kind", ["iou", "giou", "diou"])
def test_gradients_are_those_of_torchvision(kind):
    gradients = []
    for function in (FUNCTIONS[kind], THEIRS[kind]):
        one, two = proper_boxes(9, 7).requires_grad_(), proper_boxes(8, 8).requires_grad_()
        function(one, two).square().sum().backward()
        gradients.append((one.grad, two.grad))
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_gradients_of_degenerate_boxes_are_finite(kind):
    boxes = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 3, 1], [1, 1, 3, 3.0]]).requires_grad_()
    FUNCTIONS[kind](boxes, boxes).sum().backward()
    assert torch.isfinite(boxes.grad).all()


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_compiled_and_exported(kind):
    function = FUNCTIONS[kind]
    one, two = proper_boxes(5, 9), proper_boxes(6, 10)
    expected = function(one, two)
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(one, two), expected)
    leaf = one.clone().requires_grad_()
    other = one.clone().requires_grad_()
    compiled(leaf, two).sum().backward()
    function(other, two).sum().backward()
    torch.testing.assert_close(leaf.grad, other.grad)

    class Module(torch.nn.Module):
        def forward(self, one, two):
            return function(one, two)

    torch.testing.assert_close(torch.export.export(Module(), (one, two)).module()(one, two), expected)


@pytest.mark.parametrize("device", DEVICES)
def test_opcheck(device):
    one, two = proper_boxes(5, 11).to(device), proper_boxes(6, 12).to(device)
    for kind in range(4):
        opcheck(torch.ops.podium.pairwise_iou.default, (one, two, kind))
    opcheck(torch.ops.podium.pairwise_iou.default, (one.clone().requires_grad_(), two, 1))


@pytest.mark.parametrize("device", DEVICES)
def test_autocast(device):
    boxes = proper_boxes(5, 13, torch.float32).to(device)
    with torch.autocast(device, torch.bfloat16):
        assert torch.equal(ob.box_iou(boxes, boxes), pairwise_iou(boxes, boxes, 0))
        half = boxes.bfloat16()
        assert ob.box_iou(half, half).dtype == torch.float32


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_same_for_any_number_of_threads(threads):
    one, two = proper_boxes(300, 14, torch.float32), proper_boxes(500, 15, torch.float32)
    before, expected = torch.get_num_threads(), ob.box_ciou(one, two)
    try:
        torch.set_num_threads(threads)
        assert torch.equal(ob.box_ciou(one, two), expected)
    finally:
        torch.set_num_threads(before)


CHECK = """
import torch
from ops.boxes import box_ciou
from ops.reference_boxes import pairwise_iou
from ops.reference_rotated import box_iou_rotated as rotated_reference
from ops.rotated import box_iou_rotated, nms_rotated
from ops.reference_wbf import weighted_boxes_fusion
for dtype in (torch.float32, torch.float64):
    one, two = (torch.rand(n, 4, dtype=dtype).cumsum(dim=1) for n in (37, 141))
    torch.testing.assert_close(box_ciou(one, two, validate=False), pairwise_iou(one, two, 3))
    one, two = (torch.rand(n, 5, dtype=dtype) * torch.tensor([9, 9, 5, 5, 360]) for n in (37, 341))
    one, two = one.to(dtype), two.to(dtype)
    torch.testing.assert_close(box_iou_rotated(one, two), rotated_reference(one, two), atol=1e-5, rtol=1e-5)
    scores, above = torch.arange(341, 0, -1, dtype=dtype), box_iou_rotated(two, two) > 0.3
    kept = []
    for rank in range(341):
        if not any(above[rank, earlier] for earlier in kept):
            kept.append(rank)
    assert nms_rotated(two, scores, 0.3).tolist() == kept
    boxes = torch.rand(200, 4, dtype=dtype).cumsum(dim=1)
    boxes = torch.cat((boxes[:, :2], boxes[:, :2] + 1), dim=1)
    labels = torch.arange(200) // 100
    arguments = (boxes, torch.rand(200, dtype=dtype), labels, labels, torch.ones(2), 0.5, 0.0, 2, False)
    found, expected = torch.ops.podium.weighted_boxes_fusion(*arguments), weighted_boxes_fusion(*arguments)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
"""


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_every_instruction_set(level):
    """Of boxes, rotated boxes and weighted box fusion."""
    setup = "import torch, ops.wbf; torch.manual_seed(0)"
    environment = os.environ | {"PODIUM_CPU": level, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", setup + CHECK], env=environment, check=True)


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_convert(source, target):
    boxes = torchvision.ops.box_convert(proper_boxes(10, 16), "xyxy", source)
    result = box_convert(boxes, source, target)
    torch.testing.assert_close(result, torchvision.ops.box_convert(boxes, source, target))
    assert result.data_ptr() != boxes.data_ptr()
    assert box_convert(boxes.reshape(2, 5, 4), source, target).shape == (2, 5, 4)
    assert torch.autograd.gradcheck(lambda b: box_convert(b, source, target), boxes.requires_grad_())


def test_area_and_clip():
    boxes = random_boxes(50, 17)
    torch.testing.assert_close(box_area(boxes), torchvision.ops.box_area(boxes))
    assert box_area(boxes.half()).dtype == torch.float32
    clipped = clip_boxes(boxes, (5, 3))
    torch.testing.assert_close(clipped, torchvision.ops.clip_boxes_to_image(boxes, (5, 3)))
    assert clip_boxes(boxes.reshape(5, 10, 4), (5, 3)).shape == (5, 10, 4)
    assert clip_boxes(boxes[:0], (5, 3)).shape == (0, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: ob.box_iou(b[:, :3], b), "boxes1 must have shape"),
        (lambda b: ob.box_iou(b, b.bool()), "boxes2 must be float16"),
        (lambda b: ob.box_giou(b, b.flip(1)), "boxes2 has x2 < x1"),
        (lambda b: ob.box_diou(b / 0, b), "boxes1 holds NaN or infinity"),
        (lambda b: ob.box_ciou([1], b), "must be a tensor"),
        (lambda b: box_area(b.bool()), "must be a float16"),
        (lambda b: box_area(b[:, :2]), "must have shape"),
        (lambda b: box_convert(b, "xyxy", "yxyx"), "out_format must be one of"),
        (lambda b: box_convert(-b, "xywh", "xyxy"), "negative width or height, first in row 0"),
        (lambda b: clip_boxes(b, (-1, 2)), "size must be"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.tensor([[0.0, 1, 2, 3], [1, 2, 3, 4]]))
