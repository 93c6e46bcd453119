"""CUDA kernels against the reference on the CPU, and what only matters on a GPU: streams, devices, graphs.

With PODIUM_CUDA_EMULATION set, the kernels under test are those that `test_cuda_emulation` builds for the
CPU.
"""

import os

import pytest
import torch

import ops.deform
import ops.ps_roi
import ops.roi
import ops.roi_pool
import ops.roi_rotated
import ops.rotated
import ops.wbf  # noqa: F401
from ops import (
    reference_boxes,
    reference_deform,
    reference_nms,
    reference_roi,
    reference_rotated,
    reference_wbf,
)
from ops._library import LOADED

EMULATED = "PODIUM_CUDA_EMULATION" in os.environ
DEVICE = "cpu" if EMULATED else "cuda"
OPS = torch.ops.podium
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SIZES = [0, 1, 63, 64, 65, 300]
on_device = pytest.mark.needs_cuda if not EMULATED else pytest.mark.filterwarnings("default")


@pytest.fixture(params=[False, True], ids=["usual", "deterministic"])
def deterministic(request):
    """Both ways to add gradients up."""
    torch.use_deterministic_algorithms(request.param)
    yield request.param
    torch.use_deterministic_algorithms(False)


def random_boxes(n: int, seed: int, crowd: float = 30, dtype=torch.float32) -> torch.Tensor:
    """(n, 4) xyxy with negative coordinates, overlaps, duplicates and boxes without area."""
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(n, 2, generator=generator) * crowd - crowd / 3
    size = torch.rand(n, 2, generator=generator) * 10 * (torch.rand(n, 2, generator=generator) > 0.05)
    boxes = torch.cat([low, low + size], dim=1)
    boxes = torch.where(torch.rand(n, 1, generator=generator) < 0.3, boxes.round(), boxes)
    return boxes.to(dtype)


def random_scores(n: int, seed: int, dtype=torch.float32) -> torch.Tensor:
    """(n,) with ties."""
    generator = torch.Generator().manual_seed(seed + 1)
    return ((torch.rand(n, generator=generator) * 50).round() / 50).to(dtype)


def random_labels(n: int, seed: int, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed + 2)
    values = torch.tensor([-(2**62), 2**62, -1, *range(count)])
    return values[torch.randint(0, len(values), (n,), generator=generator)]


def random_rotated(n: int, seed: int, dtype=torch.float32) -> torch.Tensor:
    boxes = random_boxes(n, seed)
    angle = (torch.rand(n, 1, generator=torch.Generator().manual_seed(seed + 3)) * 40 - 20).round() * 22.5
    return torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2], angle], dim=1).to(dtype)


def random_rois(k: int, images: int, size: float, seed: int, dtype=torch.float32) -> torch.Tensor:
    boxes = random_boxes(k, seed, crowd=size)
    generator = torch.Generator().manual_seed(seed + 4)
    image = torch.randint(-1, images + 1, (k, 1), generator=generator)  # one too many on either side
    return torch.cat([image, boxes * torch.rand(k, 1, generator=generator) * 3], dim=1).to(dtype)


def move(value):
    """Arguments on the device under test."""
    if isinstance(value, torch.Tensor):
        return value.to(DEVICE)
    return [move(item) for item in value] if isinstance(value, list) else value


def check(op, reference, *arguments, **tolerance) -> None:
    """The operator on the device equals the reference on the CPU, in memory order too."""
    actual, expected = op(*map(move, arguments)), reference(*arguments)
    if isinstance(expected, torch.Tensor):
        actual, expected = [actual], [expected]
    for one, other in zip(actual, expected, strict=True):
        assert one.device.type == DEVICE
        torch.testing.assert_close(one.cpu(), other, equal_nan=True, **tolerance)
        significant = [dim for dim in range(other.dim()) if other.shape[dim] > 1]
        if other.numel():
            assert [one.stride(dim) for dim in significant] == [other.stride(dim) for dim in significant]


def nowhere_contiguous(tensor: torch.Tensor) -> torch.Tensor:
    """The same values, strided and at an odd address."""
    room = tensor.new_zeros(tensor.numel() * 2 + 1)
    view = (
        room[1::2].reshape(-1)[: tensor.numel()].as_strided(tensor.shape, [2 * s for s in tensor.stride()], 1)
    )
    return view.copy_(tensor)


@pytest.mark.skipif(not LOADED.cuda, reason="the CUDA library is not built, or torch is without CUDA")
def test_every_operator_has_a_cuda_kernel():
    names = {
        name.split("::")[1].split(".")[0]
        for name in torch._C._dispatch_get_all_op_names()
        if "podium::" in name and "podium::direct_" not in name  # those are the CPU's alone
    }
    assert len(names) >= 22
    for name in sorted(names):
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f"podium::{name}", "CUDA"), name
        assert "podium_cuda" not in name and "Python" not in _kernel_of(name), name


def _kernel_of(name: str) -> str:
    lines = torch._C._dispatch_dump(f"podium::{name}").splitlines()
    return next(line for line in lines if line.startswith("CUDA:"))


@on_device
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_pairwise_iou(n, dtype, kind):
    one, two = random_boxes(n, 1, dtype=dtype), random_boxes(97, 2, dtype=dtype)
    check(OPS.pairwise_iou, reference_boxes.pairwise_iou, one, two, kind, rtol=1e-5, atol=1e-5)
    check(
        OPS.pairwise_iou,
        reference_boxes.pairwise_iou,
        two,
        nowhere_contiguous(one),
        kind,
        rtol=1e-5,
        atol=1e-5,
    )


@on_device
@pytest.mark.parametrize("n", [*SIZES, 4097, 9001])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [0, 1, 2])
def test_nms(n, dtype, kind):
    if n > 4000 and (dtype, kind) not in [(torch.float32, 0), (torch.float64, 2)]:
        pytest.skip("long")
    boxes, scores = random_boxes(n, n, 30 if n < 4000 else 200, dtype), random_scores(n, n, dtype)
    cases = [(0.3, -1), (0.6, n // 3)]
    if n < 4000:
        cases += [(0.0, -1), (0.5, 7), (0.7, 0), (1.0, n // 2)]
    for threshold, limit in cases:
        check(OPS.nms, reference_nms.nms, boxes, nowhere_contiguous(scores), threshold, kind, limit)


@on_device
def test_nms_at_the_threshold():
    boxes = torch.tensor([[0, 0, 10, 1], [0, 0, 1, 1]]).float()
    assert OPS.nms(boxes.to(DEVICE), torch.tensor([0.9, 0.8]).to(DEVICE), 0.1, 0, -1).tolist() == [0]
    boxes = torch.tensor([[0, 0, 2, 1], [0, 0, 1, 1]]).float()
    assert OPS.nms(boxes.to(DEVICE), torch.tensor([0.9, 0.8]).to(DEVICE), 0.5, 0, -1).tolist() == [0, 1]


@on_device
@pytest.mark.parametrize("scale", [1e-22, 1e-15, 1e8, 1e18])
def test_nms_of_tiny_and_huge_boxes(scale):
    boxes, scores = random_boxes(200, 5) * scale, random_scores(200, 5)
    check(OPS.nms, reference_nms.nms, boxes, scores, 0.4, 0, -1)


@on_device
def test_nms_survives_nonsense():
    boxes, scores = random_boxes(300, 6), random_scores(300, 6)
    for row, value in [(3, float("nan")), (50, float("inf")), (99, -float("inf"))]:
        boxes[row, row % 4] = value
        scores[2 * row] = value
    for limit in (-1, 5):
        check(OPS.nms, reference_nms.nms, boxes, scores, 0.4, 0, limit)
    check(OPS.nms, reference_nms.nms, boxes[:, [2, 3, 0, 1]], scores, 0.4, 0, -1)
    assert not OPS.nms_valid(boxes.to(DEVICE), scores.to(DEVICE))
    assert OPS.nms_valid(random_boxes(300, 6).to(DEVICE), random_scores(300, 6).to(DEVICE))


@on_device
@pytest.mark.parametrize("n", [*SIZES, 5000])
@pytest.mark.parametrize("classes", [1, 3, 80])
def test_batched_nms(n, classes):
    boxes, scores, labels = random_boxes(n, n), random_scores(n, n), random_labels(n, n, classes)
    for threshold, limit in [(0.3, -1), (0.5, 10), (0.0, 0)]:
        check(OPS.batched_nms, reference_nms.batched_nms, boxes, scores, labels, threshold, 0, limit)
    check(OPS.batched_nms, reference_nms.batched_nms, boxes, scores.double(), labels, 0.3, 1, -1)


@on_device
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("images", [0, 1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_nms_padded(n, images, dtype):
    boxes = random_boxes(images * n, n, dtype=dtype).reshape(images, n, 4)
    scores = random_scores(images * n, n, dtype).reshape(images, n)
    labels = random_labels(images * n, n, 3).reshape(images, n)
    for limit, least in [(0, 0.2), (5, 0.2), (n + 9, -float("inf"))]:
        check(OPS.nms_padded, reference_nms.nms_padded, boxes, scores, labels, 0.4, least, 0, limit)


@on_device
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gaussian", [0, 1])
def test_soft_and_matrix_nms(n, dtype, gaussian):
    boxes = random_boxes(n, n, dtype=dtype)
    scores = torch.rand(n, generator=torch.Generator().manual_seed(n)).to(dtype)
    labels = random_labels(n, n, 2)
    soft = OPS.soft_nms(move(boxes), move(scores), gaussian, 0.3, 0.5, 0.05)
    expected = reference_nms.soft_nms(boxes, scores, gaussian, 0.3, 0.5, 0.05)
    torch.testing.assert_close(soft[1].cpu(), expected[1], rtol=1e-5, atol=1e-6)
    if dtype.itemsize >= 4:  # others have ties, which rounding decides
        assert soft[0].tolist() == expected[0].tolist()
    check(
        OPS.matrix_nms, reference_nms.matrix_nms, boxes, scores, labels, gaussian, 0.5, rtol=1e-5, atol=1e-6
    )


@on_device
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_rotated(n, dtype):
    one, two = random_rotated(n, n, dtype), random_rotated(70, 3, dtype)
    tolerance = {"rtol": 1e-4, "atol": 1e-4}
    check(OPS.box_iou_rotated, reference_rotated.box_iou_rotated, one, two, **tolerance)
    check(OPS.box_iou_rotated, reference_rotated.box_iou_rotated, two, nowhere_contiguous(one), **tolerance)
    for threshold in (0.013, 0.37):  # no IoU of these boxes is near
        check(OPS.nms_rotated, reference_rotated.nms_rotated, one.double(), random_scores(n, n), threshold)


@on_device
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("score_type", [0, 1, 2])
@pytest.mark.parametrize("overflow", [False, True])
def test_weighted_boxes_fusion(n, score_type, overflow):
    generator = torch.Generator().manual_seed(n)
    boxes, scores = random_boxes(n, n), torch.rand(n, generator=generator)
    labels, models = random_labels(n, n, 2), torch.randint(-1, 71, (n,), generator=generator)
    weights = torch.rand(70, generator=generator)
    for dtype in (torch.float32, torch.float64):
        check(
            OPS.weighted_boxes_fusion, reference_wbf.weighted_boxes_fusion,
            boxes.to(dtype), scores.to(dtype), labels, models, weights, 0.4, 0.1, score_type, overflow,
            rtol=1e-5, atol=1e-6,
        )  # fmt: skip


SHAPES = [(2, 8, 13, 17), (1, 3, 5, 1), (2, 16, 9, 8), (0, 4, 5, 5), (1, 0, 4, 4), (3, 12, 1, 1)]
TOLERANCES = {
    torch.float16: {"rtol": 4e-3, "atol": 4e-3},
    torch.bfloat16: {"rtol": 3e-2, "atol": 3e-2},
    torch.float32: {"rtol": 2e-5, "atol": 2e-5},
    torch.float64: {"rtol": 1e-9, "atol": 1e-9},
}
LAYOUTS = ["usual", "channels_last", "odd"]


def laid_out(tensor: torch.Tensor, layout: str) -> torch.Tensor:
    if layout == "channels_last":
        return tensor.contiguous(memory_format=torch.channels_last)
    return nowhere_contiguous(tensor) if layout == "odd" else tensor


@on_device
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_roi_align(shape, dtype, layout, deterministic):
    generator = torch.Generator().manual_seed(1)
    image = laid_out(torch.randn(shape, generator=generator).to(dtype), layout)
    for k, size, ratio, aligned in [(40, (3, 2), 2, True), (3, (7, 7), -1, False), (0, (2, 2), 1, True)]:
        rois = random_rois(k, shape[0], 20, k, dtype)
        how = (0.6, *size, ratio, aligned)
        check(OPS.roi_align, reference_roi.roi_align, image, rois, *how, **TOLERANCES[dtype])
        grad = laid_out(torch.randn((k, shape[1], *size), generator=generator).to(dtype), layout)
        check(
            OPS.roi_align_backward, reference_roi.roi_align_backward, grad, rois, *how, *shape,
            **_loosened(dtype),
        )  # fmt: skip


def _loosened(dtype: torch.dtype) -> dict:
    return {name: 4 * value for name, value in TOLERANCES[dtype].items()}


@on_device
def test_roi_align_of_many_rois(deterministic):
    image = torch.randn(2, 8, 20, 24, generator=torch.Generator().manual_seed(2))
    rois = random_rois(700, 2, 24, 5)
    check(OPS.roi_align, reference_roi.roi_align, image, rois, 1.0, 7, 7, 0, True, rtol=1e-4, atol=1e-4)
    grad = torch.ones(1, 1, 1, 1).expand(700, 8, 7, 7)
    how = (1.0, 7, 7, 0, True, *image.shape)
    check(OPS.roi_align_backward, reference_roi.roi_align_backward, grad, rois, *how, rtol=1e-4, atol=1e-3)


@on_device
@pytest.mark.parametrize("ratio", [-1, 3])
def test_rois_that_make_no_sense(ratio, deterministic):
    image = torch.randn(1, 4, 6, 7, generator=torch.Generator().manual_seed(3))
    big, nan, inf = 3e5, float("nan"), float("inf")
    rows = [
        [0, -big, -big, big, big],
        [0, nan, 0, 3, 3],
        [0, 0, 0, inf, 3],
        [0, -inf, 0, inf, 3],
        [nan, 0, 0, 2, 2],
    ]
    rows += [[0, 5, 5, 1, 1], [0, 2, 2, 2, 2], [0.7, 0, 0, 3, 3], [-0.5, 0, 0, 3, 3], [1e9, 0, 0, 3, 3]]
    rois = torch.tensor(rows)
    for aligned in (False, True):
        how = (1.0, 2, 3, ratio, aligned)
        check(OPS.roi_align, reference_roi.roi_align, image, rois, *how, rtol=1e-3, atol=1e-3)
        grad = torch.randn(len(rois), 4, 2, 3, generator=torch.Generator().manual_seed(4))
        sizes = (*how, *image.shape)
        check(
            OPS.roi_align_backward, reference_roi.roi_align_backward, grad, rois, *sizes, rtol=1e-3, atol=1e-3
        )
    check(OPS.roi_pool, reference_roi.roi_pool, image, rois, 1.0, 2, 3)


@on_device
@pytest.mark.parametrize("levels", [1, 3, 11])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_multiscale_roi_align(levels, dtype, layout, deterministic):
    generator = torch.Generator().manual_seed(levels)
    shapes = [(2, 8, max(1, 24 >> i), max(1, 20 >> i)) for i in range(levels)]
    images = [laid_out(torch.randn(shape, generator=generator).to(dtype), layout) for shape in shapes]
    rois, scales = random_rois(50, 2, 24, 3, dtype), [0.5**i for i in range(levels)]
    level = torch.randint(-1, levels + 1, (50,), generator=generator)
    how = (rois, level, scales, 3, 3, 2, True)
    check(OPS.multiscale_roi_align, reference_roi.multiscale_roi_align, images, *how, **TOLERANCES[dtype])
    grad = laid_out(torch.randn(50, 8, 3, 3, generator=generator).to(dtype), layout)
    check(
        OPS.multiscale_roi_align_backward, reference_roi.multiscale_roi_align_backward, grad, images, *how,
        **_loosened(dtype),
    )  # fmt: skip


@on_device
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_roi_pool(shape, dtype, layout, deterministic):
    generator = torch.Generator().manual_seed(1)
    image = laid_out(torch.randn(shape, generator=generator).to(dtype), layout)
    for k, size in [(40, (3, 2)), (2, (7, 7)), (0, (2, 2))]:
        rois = random_rois(k, shape[0], 20, k, dtype)
        check(OPS.roi_pool, reference_roi.roi_pool, image, rois, 0.5, *size)
        argmax = reference_roi.roi_pool(image, rois, 0.5, *size)[1]
        grad = laid_out(torch.randn((k, shape[1], *size), generator=generator).to(dtype), layout)
        check(
            OPS.roi_pool_backward, reference_roi.roi_pool_backward, grad, argmax, rois, *shape,
            **_loosened(dtype),
        )  # fmt: skip


@on_device
@pytest.mark.parametrize("shape", [(2, 12, 13, 17), (1, 6, 5, 1), (0, 6, 5, 5)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_position_sensitive(shape, dtype, layout, deterministic):
    generator = torch.Generator().manual_seed(1)
    image = laid_out(torch.randn(shape, generator=generator).to(dtype), layout)
    for k in (0, 40):
        rois = random_rois(k, shape[0], 20, k, dtype)
        grad = laid_out(torch.randn((k, shape[1] // 6, 3, 2), generator=generator).to(dtype), layout)
        for name, how in [("align", (0.6, 3, 2, 2)), ("align", (0.6, 3, 2, -1)), ("pool", (0.6, 3, 2))]:
            forward, backward = f"ps_roi_{name}", f"ps_roi_{name}_backward"
            check(
                getattr(OPS, forward), getattr(reference_roi, forward), image, rois, *how, **TOLERANCES[dtype]
            )
            check(
                getattr(OPS, backward), getattr(reference_roi, backward), grad, rois, *how, *shape,
                **_loosened(dtype),
            )  # fmt: skip


@on_device
@pytest.mark.parametrize("shape", [(2, 6, 9, 8), (1, 72, 5, 1), (0, 6, 5, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_deformable_convolution(shape, dtype, masked, deterministic):
    generator = torch.Generator().manual_seed(6)
    image = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    for groups, (rows, columns), how in [
        (2, (8, 7), (3, 2, 1, 1, 1, 0, 1, 1)),
        (3, (20, 30), (1, 2, 2, 1, 3, 4, 1, 2)),
    ]:
        places = groups * how[0] * how[1]
        offset = torch.randn(shape[0], 2 * places, rows, columns, generator=generator, dtype=dtype) * 3
        if offset.numel():
            offset[0, 0], offset[0, 1, 0, 0], offset[0, 2, 0, 0] = offset[0, 0].round(), float("nan"), 1e30
        mask = (
            torch.rand(shape[0], places, rows, columns, generator=generator, dtype=dtype) if masked else None
        )
        given = (nowhere_contiguous(image), offset, mask, *how)
        check(OPS.deform_columns, reference_deform.deform_columns, *given, **TOLERANCES[dtype])
        grad = torch.randn(
            shape[0], shape[1] * how[0] * how[1], rows * columns, generator=generator, dtype=dtype
        )
        check(
            OPS.deform_columns_backward, reference_deform.deform_columns_backward, grad, *given,
            **_loosened(dtype),
        )  # fmt: skip


def random_turned(k: int, images: int, seed: int, dtype: torch.dtype) -> torch.Tensor:
    """(k, 6) boxes of `roi_align_rotated`, some of which name no image."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(-1, images + 1, (k, 1), generator=generator)
    parts = torch.rand(k, 5, generator=generator) * torch.tensor([30, 30, 25, 25, 400]) - torch.tensor(
        [5, 5, 0, 0, 200]
    )
    return torch.cat([image, parts], dim=1).to(dtype)


@on_device
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_roi_align_rotated(shape, dtype, layout, deterministic):
    generator = torch.Generator().manual_seed(1)
    image = laid_out(torch.randn(shape, generator=generator).to(dtype), layout)
    for k, size, ratio in [(40, (3, 2), 2), (5, (7, 7), -1), (0, (2, 2), 1)]:
        boxes, how = random_turned(k, shape[0], k, dtype), (0.6, *size, ratio)
        tolerance = {"rtol": 1e-3, "atol": 1e-3} if dtype == torch.float32 else {}
        check(OPS.roi_align_rotated, reference_deform.roi_align_rotated, image, boxes, *how, **tolerance)
        grad = laid_out(torch.randn((k, shape[1], *size), generator=generator).to(dtype), layout)
        check(
            OPS.roi_align_rotated_backward, reference_deform.roi_align_rotated_backward, grad, boxes, *how,
            *shape, **tolerance,
        )  # fmt: skip


@on_device
def test_deterministic_gradients_are_the_same_bits(deterministic):
    image = torch.randn(2, 8, 20, 24, generator=torch.Generator().manual_seed(2))
    rois = random_rois(300, 2, 24, 5).to(DEVICE)
    grad = torch.randn(300, 8, 7, 7, generator=torch.Generator().manual_seed(3)).to(DEVICE)
    argmax = OPS.roi_pool(image.to(DEVICE), rois, 1.0, 7, 7)[1]
    turned = random_turned(300, 2, 5, torch.float32).to(DEVICE)
    offset = (torch.randn(2, 18, 20, 24, generator=torch.Generator().manual_seed(4)) * 3).to(DEVICE)
    columns = torch.randn(2, 72, 480, generator=torch.Generator().manual_seed(5)).to(DEVICE)
    deformed = (image.to(DEVICE), offset, None, 3, 3, 1, 1, 1, 1, 1, 1)
    for run in [
        lambda: OPS.roi_align_backward(grad, rois, 1.0, 7, 7, 2, True, *image.shape),
        lambda: OPS.roi_align_rotated_backward(grad, turned, 1.0, 7, 7, 2, *image.shape),
        lambda: OPS.deform_columns_backward(columns, *deformed)[0],
        lambda: OPS.roi_pool_backward(grad, argmax, rois, *image.shape),
    ]:
        first = run()
        for _ in range(5):
            assert not deterministic or torch.equal(run(), first)


@pytest.mark.needs_cuda
def test_other_streams():
    boxes, scores = random_boxes(3000, 1, 200).cuda(), random_scores(3000, 1).cuda()
    image, rois = torch.randn(2, 8, 40, 40).cuda(), random_rois(100, 2, 40, 1).cuda()
    expected = OPS.nms(boxes, scores, 0.4, 0, -1), OPS.roi_align(image, rois, 1.0, 7, 7, 2, True)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)  # work put on another stream would overtake this and read zeros
        late_boxes, late_image = torch.zeros_like(boxes), torch.zeros_like(image)
        late_boxes.copy_(boxes), late_image.copy_(image)
        actual = OPS.nms(late_boxes, scores, 0.4, 0, -1), OPS.roi_align(late_image, rois, 1.0, 7, 7, 2, True)
    stream.synchronize()
    assert torch.equal(actual[0], expected[0]) and torch.equal(actual[1], expected[1])


@pytest.mark.needs_cuda
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_a_device_that_is_not_the_current_one():
    boxes, scores = random_boxes(500, 1), random_scores(500, 1)
    image, rois = torch.randn(2, 8, 20, 20), random_rois(50, 2, 20, 1)
    with torch.cuda.device(0):
        kept = OPS.nms(boxes.to("cuda:1"), scores.to("cuda:1"), 0.4, 0, -1)
        pooled = OPS.roi_align(image.to("cuda:1"), rois.to("cuda:1"), 1.0, 7, 7, 2, True)
        assert torch.cuda.current_device() == 0
    assert kept.device == pooled.device == torch.device("cuda:1")
    assert kept.tolist() == reference_nms.nms(boxes, scores, 0.4, 0, -1).tolist()
    torch.testing.assert_close(pooled.cpu(), reference_roi.roi_align(image, rois, 1.0, 7, 7, 2, True))
    with pytest.raises(RuntimeError, match="one CUDA device"):
        OPS.nms(boxes.to("cuda:1"), scores.to("cuda:0"), 0.4, 0, -1)


@pytest.mark.needs_cuda
def test_graph_capture():
    boxes = random_boxes(4 * 6000, 1, 300).reshape(4, 6000, 4).cuda()
    scores, labels = random_scores(24000, 1).reshape(4, 6000).cuda(), torch.zeros(4, 6000).long().cuda()
    image, rois = torch.randn(2, 8, 40, 40).cuda(), random_rois(100, 2, 40, 1).cuda()

    def work():
        pooled = OPS.roi_align(image, rois, 1.0, 7, 7, -1, True)
        grad = OPS.roi_align_backward(pooled, rois, 1.0, 7, 7, -1, True, *image.shape)
        return *OPS.nms_padded(boxes, scores, labels, 0.4, 0.1, 0, 300), pooled, grad

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = work()
    boxes.copy_(random_boxes(24000, 9, 300).reshape(4, 6000, 4)), image.normal_()
    graph.replay()
    torch.cuda.synchronize()
    for one, other in zip(captured, work(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.needs_cuda
def test_no_synchronisation_inside_fixed_size_operators():
    boxes, scores = random_boxes(5000, 1, 300)[None].cuda(), random_scores(5000, 1)[None].cuda()
    labels = torch.zeros(1, 5000, dtype=torch.int64, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        OPS.nms_padded(boxes, scores, labels, 0.4, 0.1, 0, 300)
        OPS.matrix_nms(boxes[0], scores[0], labels[0], 1, 0.5)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.needs_cuda
def test_more_boxes_than_32_bits_of_pairs():
    boxes, scores = random_boxes(400_000, 1, 9000), torch.rand(400_000)
    kept = OPS.nms(boxes.cuda(), scores.cuda(), 0.3, 0, -1)
    assert torch.equal(kept.cpu(), OPS.nms(boxes, scores, 0.3, 0, -1))


@pytest.mark.needs_cuda
def test_more_than_two_to_the_31_elements():
    image = torch.zeros(1, 520, 2048, 2048, dtype=torch.float16, device="cuda")
    image[:, -1, -2:, -2:] = 3
    rois = torch.tensor([[0, 2046, 2046, 2047, 2047]], dtype=torch.float32, device="cuda")
    assert OPS.roi_align(image, rois, 1.0, 1, 1, 1, False)[0, -1].item() == 3
