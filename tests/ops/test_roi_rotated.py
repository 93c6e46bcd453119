"""RoIAlign of rotated boxes: loops as detectron2 writes them, roi_align, and what an operator must do."""

import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from ops import RoIAlignRotated, reference_deform, roi_align, roi_align_rotated

OPS = torch.ops.podium
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)]


def sample(device="cpu", dtype=torch.float64, count=12, channels=5, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    input = torch.randn(2, channels, 9, 11, generator=generator, dtype=torch.float64)
    image = torch.randint(0, 2, (count, 1), generator=generator).double()
    centre, size = uniform(count, 2) * 26 - 3, uniform(count, 2) ** 2 * 25
    boxes = torch.cat([image, centre, size, uniform(count, 1) * 400 - 200], dim=1)
    boxes[0, 3], boxes[1, 3:5], boxes[2, 5] = 0, 0, 90  # empty in one and in both directions; a right angle
    return input.to(device, dtype), boxes.to(device, dtype if dtype == torch.float64 else torch.float32)


def slowly(input, boxes, height, width, scale, ratio):
    """As ROIAlignRotated_cpu.cpp does, one sample at a time."""
    out = torch.zeros(len(boxes), input.shape[1], height, width, dtype=input.dtype)
    rows, columns = input.shape[2:]
    for k, (image, cx, cy, w, h, degrees) in enumerate(boxes.tolist()):
        theta = math.radians(degrees)
        w, h, cx, cy = w * scale, h * scale, cx * scale - 0.5, cy * scale - 0.5
        down = ratio if ratio > 0 else math.ceil(h / height)
        across = ratio if ratio > 0 else math.ceil(w / width)
        for p, q, i, j in (
            (p, q, i, j)
            for p in range(height)
            for q in range(width)
            for i in range(down)
            for j in range(across)
        ):
            yy = -h / 2 + p * h / height + (i + 0.5) * h / height / down
            xx = -w / 2 + q * w / width + (j + 0.5) * w / width / across
            y = yy * math.cos(theta) - xx * math.sin(theta) + cy
            x = yy * math.sin(theta) + xx * math.cos(theta) + cx
            if y < -1 or y > rows or x < -1 or x > columns:
                continue
            y, x = min(max(y, 0), rows - 1), min(max(x, 0), columns - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            plane = input[int(image)]
            value = (1 - (y - top)) * (
                (1 - (x - left)) * plane[:, top, left] + (x - left) * plane[:, top, right]
            )
            value = value + (y - top) * (
                (1 - (x - left)) * plane[:, bottom, left] + (x - left) * plane[:, bottom, right]
            )
            out[k, :, p, q] += value / (down * across)
    return out


@pytest.mark.parametrize("ratio", [1, 2, -1])
@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_equals_loops(ratio, scale) -> None:
    input, boxes = sample()
    expected = slowly(input, boxes, 3, 2, scale, ratio)
    torch.testing.assert_close(roi_align_rotated(input, boxes, (3, 2), scale, ratio), expected)
    again = reference_deform.roi_align_rotated(input, boxes, scale, 3, 2, ratio)
    torch.testing.assert_close(again, expected)
    module = RoIAlignRotated((3, 2), scale, ratio)
    torch.testing.assert_close(module(input, boxes), expected)
    assert "sampling_ratio" in repr(module)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("ratio", [2, -1])
def test_not_turned_it_is_roi_align(ratio, device) -> None:
    input, boxes = sample(device)
    boxes = boxes[3:]
    corners = torch.cat(
        [boxes[:, :1], boxes[:, 1:3] - boxes[:, 3:5] / 2, boxes[:, 1:3] + boxes[:, 3:5] / 2], dim=1
    )
    expected = roi_align(input, corners, (3, 4), 0.5, ratio, aligned=True)
    for turn, turned in ((0, expected), (360, expected), (180, expected.flip(2, 3))):
        boxes[:, 5] = turn
        torch.testing.assert_close(roi_align_rotated(input, boxes, (3, 4), 0.5, ratio), turned)
    # Turned by a quarter, counter-clockwise, the box's right is the image's up.
    boxes[:, 5] = 90
    found = roi_align_rotated(input, boxes[:, [0, 1, 2, 4, 3, 5]], (4, 3), 0.5, ratio)
    torch.testing.assert_close(found, expected.flip(2).transpose(2, 3))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_types_and_strides(dtype, device) -> None:
    input, boxes = sample(device, dtype, count=70, channels=33)
    tolerance = {torch.float16: 4e-3, torch.bfloat16: 3e-2, torch.float32: 2e-5, torch.float64: 1e-9}[dtype]
    expected = reference_deform.roi_align_rotated(input.double(), boxes.double(), 0.5, 3, 2, 2).to(dtype)
    for one in (
        input,
        input.contiguous(memory_format=torch.channels_last),
        input.repeat(1, 1, 1, 2)[..., :11],
    ):
        found = roi_align_rotated(one, boxes, (3, 2), 0.5, 2)
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)
    with torch.autocast(device, dtype=torch.bfloat16):
        half = input.to(torch.bfloat16)
        assert roi_align_rotated(half, boxes, 2, 0.5, 2).dtype == torch.float32


@pytest.mark.parametrize("ratio", [2, -1])
def test_derivatives(ratio) -> None:
    input, boxes = sample()
    leaf = input.requires_grad_()

    def pool(leaf):
        return roi_align_rotated(leaf, boxes, (3, 2), 0.5, ratio)

    assert gradcheck(pool, (leaf,), check_forward_ad=True, nondet_tol=1e-9)
    assert gradgradcheck(pool, (leaf,), nondet_tol=1e-9, fast_mode=True)
    out = pool(leaf)
    weight = torch.randn_like(out)
    (found,) = torch.autograd.grad(out, leaf, weight)
    (expected,) = torch.autograd.grad(
        reference_deform.roi_align_rotated(leaf, boxes, 0.5, 3, 2, ratio), leaf, weight
    )
    torch.testing.assert_close(found, expected)
    with pytest.raises(NotImplementedError, match="no derivative but with respect to its first argument"):
        torch.func.jvp(lambda boxes: roi_align_rotated(input, boxes, 2), (boxes,), (boxes,))


def test_opcheck_compile_and_export() -> None:
    input, boxes = sample(dtype=torch.float32)
    leaf = input.requires_grad_()
    grad = torch.randn(12, 5, 3, 2, requires_grad=True)
    torch.library.opcheck(OPS.roi_align_rotated.default, (leaf, boxes, 0.5, 3, 2, 2))
    torch.library.opcheck(OPS.roi_align_rotated_backward.default, (grad, boxes, 0.5, 3, 2, -1, 2, 5, 9, 11))

    def pool(input, boxes):
        return roi_align_rotated(input, boxes, (3, 2), 0.5, 2)

    expected = pool(leaf, boxes)
    torch._dynamo.reset()
    actual = torch.compile(pool, fullgraph=True, backend="aot_eager")(leaf, boxes)
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(
        torch.autograd.grad(actual.square().sum(), leaf), torch.autograd.grad(expected.square().sum(), leaf)
    )

    class Module(torch.nn.Module):
        def forward(self, input, boxes):
            return pool(input, boxes)

    count = torch.export.Dim("count", min=2, max=1000)
    exported = torch.export.export(Module(), (input, boxes), dynamic_shapes=({}, {0: count}))
    more = torch.cat([boxes, boxes])
    torch.testing.assert_close(exported.module()(input, more), pool(input, more))


@pytest.mark.parametrize("threads", [1, 3])
def test_any_number_of_threads(threads) -> None:
    input, boxes = sample(dtype=torch.float32, count=90, channels=40)
    leaf = input.requires_grad_()

    def both():
        out = roi_align_rotated(leaf, boxes, 3, 0.5, 2)
        return out, torch.autograd.grad(out.square().sum(), leaf)[0]

    before, expected = torch.get_num_threads(), both()
    try:
        torch.set_num_threads(threads)
        assert all(torch.equal(one, other) for one, other in zip(both(), expected, strict=True))
    finally:
        torch.set_num_threads(before)


def test_strange_boxes_give_zeros_without_checks() -> None:
    input, boxes = sample(dtype=torch.float32)
    nan, infinity = float("nan"), float("inf")
    bad = torch.tensor(
        [[2, 5, 5, 4, 4, 0], [-1, 5, 5, 4, 4, 0], [nan, 5, 5, 4, 4, 0], [0, nan, 5, 4, 4, 0],
         [0, 5, infinity, 4, 4, 0], [0, 5, 5, -4, 4, 0], [0, 5, 5, 4, 4, nan], [0, 5, 5, infinity, 4, 0]]
    )  # fmt: skip
    leaf = input.requires_grad_()
    for ratio in (2, -1):
        out = roi_align_rotated(leaf, bad, 2, 1.0, ratio, validate=False)
        assert not out.any()
        assert not torch.autograd.grad(out.sum(), leaf)[0].any()
        assert not reference_deform.roi_align_rotated(input, bad, 1.0, 2, 2, ratio).any()
    huge = torch.tensor([[0, 5, 5, 1e6, 3, 20.0]])
    assert roi_align_rotated(input, huge, 2).isfinite().all()
    for shape in ((0, 5, 9, 11), (2, 0, 9, 11), (2, 5, 0, 11)):
        assert roi_align_rotated(torch.zeros(shape), boxes, 2, validate=False).shape == (12, shape[1], 2, 2)
    assert roi_align_rotated(input, boxes[:0], 2).shape == (0, 5, 2, 2)


def test_errors() -> None:
    input, boxes = sample()
    bad, beyond, negative = boxes.clone(), boxes.clone(), boxes.clone()
    bad[4, 2], beyond[1, 0], negative[3, 4] = float("nan"), 2, -1
    for call, words in (
        (lambda: roi_align_rotated(input, bad, 2), "boxes holds NaN or infinity, first in row 4"),
        (lambda: roi_align_rotated(input, beyond, 2), "boxes name images 0 to 2, but input has 2"),
        (
            lambda: roi_align_rotated(input, negative, 2),
            "boxes has a negative width or height, first in row 3",
        ),
        (lambda: roi_align_rotated(input, boxes[:, :5], 2), r"boxes must have shape \(any, 6\)"),
        (lambda: roi_align_rotated(input[0], boxes, 2), "input must have shape"),
        (lambda: roi_align_rotated(input, boxes, 0), "output height must be from 1"),
        (lambda: roi_align_rotated(input, boxes, 2, -1.0), "spatial_scale must be from"),
        (lambda: roi_align_rotated(input, boxes, 2, 1.0, 5000), "sampling_ratio must be from 0 to 4096"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises((RuntimeError, IndexError)):
        OPS.roi_align_rotated(input, boxes[:, :5], 1.0, 2, 2, 2)
