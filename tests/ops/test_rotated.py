import inspect
import math

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.library import opcheck

from ops import reference_rotated
from ops.rotated import box_iou_rotated, nms_rotated

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)]
TYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def random_boxes(
    count: int, seed: int, dtype: torch.dtype = torch.float64, spread: float = 6.0
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    low = torch.tensor([-1, -1, 0.02, 0.02, -1])
    share = torch.rand(count, 5, generator=generator, dtype=torch.float64)
    scale = torch.tensor([spread, spread, 5, 5, 360])
    return ((share * (1 - low) + low) * scale).to(dtype)


def corners(box: list[float]) -> list[tuple[float, float]]:
    cx, cy, w, h, degrees = box
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    offsets = ((-w / 2, -h / 2), (w / 2, -h / 2), (w / 2, h / 2), (-w / 2, h / 2))
    return [(cx + c * u + s * v, cy - s * u + c * v) for u, v in offsets]


def clipped_iou(one: list[float], two: list[float]) -> float:
    """IoU by clipping one polygon with the sides of the other, after Sutherland and Hodgman: the oracle."""
    polygon, window = corners(one), corners(two)
    for (ax, ay), (bx, by) in zip(window, window[1:] + window[:1], strict=True):

        def side(point, ax=ax, ay=ay, bx=bx, by=by):
            return (bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)

        cut = []
        for before, here in zip(polygon[-1:] + polygon[:-1], polygon, strict=True):
            first, second = side(before), side(here)
            if (first < 0) != (second < 0):
                t = first / (first - second)
                cut.append(tuple(p + t * (q - p) for p, q in zip(before, here, strict=True)))
            if second >= 0:
                cut.append(here)
        polygon = cut
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True)) / 2
    return area / (one[2] * one[3] + two[2] * two[3] - area)


def greedy(iou: torch.Tensor, scores: torch.Tensor, threshold: float) -> list[int]:
    """NMS on a matrix of IoUs. The row is the candidate's, so that rounding is that of the operator."""
    kept: list[int] = []
    for candidate in scores.double().sort(descending=True, stable=True).indices.tolist():
        if not any(float(iou[candidate, other]) > threshold for other in kept):
            kept.append(candidate)
    return kept


@pytest.mark.parametrize("device", DEVICES)
def test_fixture(device):
    square = torch.tensor([[0, 0, 2, 2, 0.0]], device=device)
    turned = torch.tensor([[0, 0, 2, 2, 45.0]], device=device)
    assert float(box_iou_rotated(square, turned)) == pytest.approx(0.7071, abs=1e-4)
    long = torch.tensor([[0, 0, 4, 2, 90.0], [0, 0, 4, 2, 0]], device=device)
    torch.testing.assert_close(
        box_iou_rotated(long, long), torch.tensor([[1, 1 / 3], [1 / 3, 1]], device=device)
    )


@pytest.mark.parametrize("device", DEVICES)
def test_equals_clipped_polygons(device):
    one, two = random_boxes(40, 0), random_boxes(50, 1)
    ious = [[clipped_iou(a, b) for b in two.tolist()] for a in one.tolist()]
    expected = torch.tensor(ious, dtype=torch.float64)
    torch.testing.assert_close(box_iou_rotated(one.to(device), two.to(device)).cpu(), expected)
    torch.testing.assert_close(reference_rotated.box_iou_rotated(one, two), expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 4097])
@pytest.mark.parametrize("dtype", TYPES)
def test_equals_reference(device, n, dtype):
    one, two = random_boxes(n, 2, dtype).to(device), random_boxes(17, 3, dtype).to(device)
    result = box_iou_rotated(one, two)
    exact = dtype == torch.float64
    assert result.dtype == (torch.float64 if exact else torch.float32)
    expected = reference_rotated.box_iou_rotated(one.double(), two.double()).to(result.dtype)
    tolerance = 1e-9 if exact else 1e-4  # sizes down to a tenth of the coordinates' rounding
    torch.testing.assert_close(result, expected, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(box_iou_rotated(two, one).T, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.skipif(
    "cxcywhr" not in inspect.getsource(torchvision.ops.box_iou), reason="this torchvision has no rotated IoU"
)
def test_equals_torchvision():
    for seed in range(200):
        one, two = random_boxes(seed % 30 + 1, seed), random_boxes(20, seed + 1000)
        theirs = torchvision.ops.box_iou(one, two, fmt="cxcywhr")
        torch.testing.assert_close(box_iou_rotated(one, two).to(theirs.dtype), theirs, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
def test_where_torchvision_loses_a_corner(device):
    """About one random pair in a quarter million; here torchvision says .1766 in float32 and float64."""
    one = [5.866987228393555, 6.722472190856934, 24.05978012084961, 48.44816970825195, -177.763427734375]
    two = [0.2706634998321533, 21.663415908813477, 72.47978973388672, 37.50364303588867, -50.77061462402344]
    iou = float(box_iou_rotated(torch.tensor([one], device=device), torch.tensor([two], device=device)))
    assert iou == pytest.approx(clipped_iou(one, two), abs=1e-6)
    assert iou == pytest.approx(0.251886, abs=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_symmetries(device):
    one, two = random_boxes(60, 4).to(device), random_boxes(60, 5).to(device)
    iou = box_iou_rotated(one, two)
    assert ((iou >= 0) & (iou <= 1)).all()
    swapped = one[:, [0, 1, 3, 2, 4]] + torch.tensor([0, 0, 0, 0, 90.0], device=device)
    torch.testing.assert_close(box_iou_rotated(swapped, two), iou)
    torch.testing.assert_close(
        box_iou_rotated(one + torch.tensor([0, 0, 0, 0, 360.0], device=device), two), iou
    )
    torch.testing.assert_close(box_iou_rotated(two, one).T, iou)
    ones = torch.ones(60, dtype=torch.float64, device=device)
    torch.testing.assert_close(box_iou_rotated(one, one).diagonal(), ones)


@pytest.mark.parametrize("device", DEVICES)
def test_not_turned_is_plain_iou(device):
    one, two = random_boxes(50, 6).to(device), random_boxes(50, 7).to(device)
    one[:, 4], two[:, 4] = 0, 180
    plain = [torchvision.ops.box_convert(boxes[:, :4], "cxcywh", "xyxy") for boxes in (one, two)]
    torch.testing.assert_close(box_iou_rotated(one, two), torchvision.ops.box_iou(*plain))


@pytest.mark.parametrize("device", DEVICES)
def test_disjoint_touching_and_empty_have_no_overlap(device):
    boxes = torch.tensor(
        [[0, 0, 2, 2, 0], [2, 0, 2, 2, 0], [1.5, 1.5, 1, 1, 45], [0, 0, 0, 2, 0], [0, 0, 0, 0, 3.0]],
        device=device,
    )
    iou = box_iou_rotated(boxes, boxes)
    assert iou[0, 1] == 0 and iou[1, 0] == 0
    assert (iou[3:] == 0).all() and (iou[:, 3:] == 0).all()
    apart = torch.tensor([[0, 0, 10, 0.1, 30.0], [0.5, 0.8660254 + 0.2, 10, 0.1, 30]], device=device)
    assert box_iou_rotated(apart[:1], apart[1:]) == 0  # circles overlap, boxes do not


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_values_are_survived(device, data):
    numbers = st.floats(width=32, allow_nan=True, allow_infinity=True)
    rows = data.draw(st.lists(st.lists(numbers, min_size=6, max_size=6), max_size=6))
    table = torch.tensor(rows, dtype=torch.float32, device=device).reshape(-1, 6)
    boxes, scores = table[:, :5], table[:, 5]
    assert box_iou_rotated(boxes, boxes, validate=False).shape == (len(rows), len(rows))
    kept = nms_rotated(boxes, scores, 0.5, validate=False)
    assert len(set(kept.tolist())) == len(kept) <= len(rows)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(0, 40),
    seed=st.integers(0, 10**6),
    threshold=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
    dtype=st.sampled_from(TYPES),
)
def test_nms_equals_greedy(device, n, seed, threshold, dtype):
    boxes = random_boxes(n, seed, dtype, spread=2.0).to(device)
    scores = (torch.rand(n, generator=torch.Generator().manual_seed(seed)) * 8).round().to(device)  # ties
    kept = nms_rotated(boxes, scores, threshold)
    assert kept.tolist() == greedy(box_iou_rotated(boxes, boxes).cpu(), scores.cpu(), threshold)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 257, 600])
def test_nms_equals_reference(device, n):
    boxes, scores = random_boxes(n, 8).to(device), torch.rand(n, dtype=torch.float64).to(device)
    assert torch.equal(nms_rotated(boxes, scores, 0.3), reference_rotated.nms_rotated(boxes, scores, 0.3))


@pytest.mark.parametrize("device", DEVICES)
def test_nms_threshold_and_ties(device):
    half = torch.tensor([[1, 0.5, 2, 1, 0], [0.5, 0.5, 1, 1, 0.0]], device=device)  # IoU exactly one half
    scores = torch.ones(2, device=device)
    assert nms_rotated(half, scores, 0.5).tolist() == [0, 1]
    assert nms_rotated(half, scores, 0.49).tolist() == [0]
    same = torch.tensor([[0, 0, 3, 2, 33.0]], device=device).expand(3, 5)
    assert nms_rotated(same, torch.zeros(3, device=device), 0.5).tolist() == [0]
    assert nms_rotated(same, torch.tensor([0.0, -0.0, 1], device=device), 1.0).tolist() == [2, 0, 1]


@pytest.mark.parametrize("device", DEVICES)
def test_strides(device):
    wide = random_boxes(20, 9).repeat_interleave(2, dim=1).to(device)
    assert torch.equal(
        box_iou_rotated(wide[:, ::2], wide[:, ::2]), box_iou_rotated(*[wide[:, ::2].contiguous()] * 2)
    )
    scores = torch.rand(40, device=device)[::2]
    assert torch.equal(
        nms_rotated(wide[:, ::2], scores, 0.2), nms_rotated(wide[:, ::2].clone(), scores.clone(), 0.2)
    )


def test_gradient():
    one, two = (
        random_boxes(3, 10, spread=2.0).requires_grad_(),
        random_boxes(4, 11, spread=2.0).requires_grad_(),
    )
    assert torch.autograd.gradcheck(box_iou_rotated, (one, two))


def test_gradient_where_edges_coincide_is_finite():
    boxes = torch.tensor(
        [[0, 0, 2, 2, 0], [0, 0, 2, 2, 0], [1, 0, 2, 2, 90], [0, 0, 0, 0, 5.0]]
    ).requires_grad_()
    box_iou_rotated(boxes, boxes).sum().backward()
    assert torch.isfinite(boxes.grad).all()


def test_compiled_and_exported():
    boxes, scores = random_boxes(30, 12), torch.rand(30)
    expected = box_iou_rotated(boxes, boxes), nms_rotated(boxes, scores, 0.3)

    class Module(torch.nn.Module):
        def forward(self, boxes, scores):
            return box_iou_rotated(boxes, boxes), nms_rotated(boxes, scores, 0.3)

    compiled = torch.compile(Module(), fullgraph=True, backend="aot_eager")(boxes, scores)
    exported = torch.export.export(Module(), (boxes, scores)).module()(boxes, scores)
    for result in (compiled, exported):
        torch.testing.assert_close(result[0], expected[0])
        assert torch.equal(result[1], expected[1])


@pytest.mark.parametrize("device", DEVICES)
def test_opcheck(device):
    boxes, scores = random_boxes(7, 13).to(device), torch.rand(7).to(device)
    opcheck(torch.ops.podium.box_iou_rotated.default, (boxes, boxes))
    leaf, basic = (
        boxes.clone().requires_grad_(),
        ("test_schema", "test_autograd_registration", "test_faketensor"),
    )
    opcheck(torch.ops.podium.box_iou_rotated.default, (leaf, boxes), test_utils=basic)
    opcheck(torch.ops.podium.nms_rotated.default, (boxes, scores, 0.3))


def test_same_for_any_number_of_threads():
    one, two = random_boxes(300, 14, torch.float32), random_boxes(300, 15, torch.float32)
    before, expected = torch.get_num_threads(), box_iou_rotated(one, two)
    try:
        torch.set_num_threads(3)
        assert torch.equal(box_iou_rotated(one, two), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("device", DEVICES)
def test_autocast(device):
    boxes = random_boxes(5, 16, torch.bfloat16).to(device)
    with torch.autocast(device, torch.bfloat16):
        assert box_iou_rotated(boxes, boxes).dtype == torch.float32
        assert nms_rotated(boxes, boxes[:, 0], 0.5).dtype == torch.int64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b, s: box_iou_rotated(b[:, :4], b), "boxes1 must have shape"),
        (lambda b, s: box_iou_rotated(b, b.double()), "convert one"),
        (lambda b, s: box_iou_rotated(b, -b), "boxes2 has a negative width or height, first in row 0"),
        (lambda b, s: nms_rotated(b, s[:1], 0.5), "scores has 1 rows"),
        (lambda b, s: nms_rotated(b, s / 0, 0.5), "scores holds NaN"),
        (lambda b, s: nms_rotated(b * torch.nan, s, 0.5), "boxes holds NaN"),
        (lambda b, s: nms_rotated(b, s, -0.5), "iou_threshold must be at least 0"),
        (lambda b, s: nms_rotated(b, s, torch.nan), "iou_threshold"),
        (lambda b, s: nms_rotated(b.int(), s, 0.5), "boxes must be float16"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.ones(2, 5), torch.ones(2))
