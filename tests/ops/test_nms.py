"""NMS: worked examples, the reference, torchvision, and everything a torch operator must do."""

import os
import subprocess
import sys

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from ops import reference_nms as reference
from ops.nms import KINDS, batched_nms, nms, nms_padded
from ops.soft_nms import METHODS, matrix_nms, soft_nms

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)]
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
SOFT_BOXES = [[6.0, 3, 8, 7], [3, 6, 9, 11], [3, 7, 10, 12], [1, 4, 13, 7]]
SOFT_SCORES = [0.6, 0.9, 0.7, 0.2]


def make(
    count: int,
    seed: int,
    *,
    spread: float = 60,
    style: str = "free",
    dtype: torch.dtype = torch.float32,
    ties: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes (N, 4) around 0 and scores (N,), with `ties` different scores.

    Style "grid" has whole numbers (and so equal boxes, exact thresholds and zero sizes), "wide" has
    sizes from 1e-3 to 1e3.
    """
    generator = torch.Generator().manual_seed(seed)
    corner = (torch.rand(count, 2, generator=generator, dtype=torch.float64) - 0.5) * 2 * spread
    size = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 30
    if style == "wide":
        size = 10 ** (torch.rand(count, 2, generator=generator, dtype=torch.float64) * 6 - 3)
    if style == "grid":
        corner, size = corner.round(), (size / 6).round()
    scores = torch.rand(count, generator=generator, dtype=torch.float64)
    if ties:
        scores = (scores * ties).floor() / ties
    boxes = torch.cat([corner, corner + size], dim=1).to(dtype)
    return boxes, scores.to(dtype)


cases = st.tuples(
    st.sampled_from([0, 1, 2, 3, 17, 63, 64, 65, 130]),
    st.integers(0, 10**6),
    st.sampled_from(["free", "grid", "wide"]),
    st.sampled_from(DTYPES),
    st.sampled_from([0, 1, 4]),
)
thresholds = st.one_of(st.sampled_from([0.0, 0.1, 0.25, 1 / 3, 0.5, 1.0]), st.floats(0, 1))


def from_case(case) -> tuple[torch.Tensor, torch.Tensor]:
    count, seed, style, dtype, ties = case
    return make(count, seed, style=style, dtype=dtype, ties=ties)


# Worked examples


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "boxes, scores, threshold, kept",
    [
        (SOFT_BOXES, SOFT_SCORES, 0.3, [1, 0, 3]),
        (
            [
                [49.1, 32.4, 51, 35.9],
                [49.3, 32.9, 51, 35.3],
                [49.2, 31.8, 51, 35.4],
                [35.1, 11.5, 39.1, 15.7],
                [35.6, 11.8, 39.3, 14.2],
                [35.3, 11.5, 39.9, 14.5],
                [35.2, 11.7, 39.7, 15.7],
            ],
            [0.9, 0.9, 0.5, 0.5, 0.5, 0.4, 0.3],
            0.6,
            [0, 3, 4],
        ),
        ([[0, 0, 1, 1]] * 3, [0.5] * 3, 0.5, [0]),
        ([[0, 0, 2, 1], [0, 0, 1, 1]], [0.9, 0.8], 0.5, [0, 1]),  # exactly the threshold
        (
            [[0, 0, 10, 10], [1, 1, 11, 11], [100, 0, 110, 10], [101, 1, 111, 11], [102, 0, 112, 10]],
            [0.8, 0.7, 0.9, 0.7, 0.6],
            0.5,
            [2, 0],
        ),
        ([[0, 0, 10, 1], [0, 0, 1, 1]], [0.9, 0.8], 0.1, [0]),  # float32(0.1) is more than the double 0.1
        ([[5, 5, 5, 5], [5, 5, 5, 5]], [0.9, 0.8], 0.5, [0, 1]),  # 0 / 0 is 0
        ([[0, 0, 1, 1], [0, 0, 1, 1]], [-0.0, 0.0], 0.5, [0]),
    ],
)
def test_nms_examples(boxes, scores, threshold, kept, device) -> None:
    result = nms(torch.tensor(boxes, device=device).float(), torch.tensor(scores, device=device), threshold)
    assert result.tolist() == kept
    assert result.dtype == torch.int64


@pytest.mark.parametrize("device", DEVICES)
def test_batched_nms_keeps_classes_apart_at_negative_coordinates(device) -> None:
    boxes = torch.tensor([[-100.0, -100, -10, -10], [-109, -109, -19, -19]], device=device)
    scores = torch.tensor([0.9, 0.8], device=device)
    for labels in ([0, 1], [-(2**63), 2**63 - 1], [10**18, 10**18 + 1]):
        assert batched_nms(boxes, scores, torch.tensor(labels, device=device), 0.3).tolist() == [0, 1]
    assert batched_nms(boxes, scores, torch.tensor([7, 7], device=device), 0.3).tolist() == [0]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "method, expected",
    [("linear", [0.9, 0.6, 0.29024392, 0.2]), ("gaussian", [0.9, 0.59630775, 0.3527551, 0.18650459])],
)
def test_soft_nms_examples(method, expected, device) -> None:
    boxes, scores = torch.tensor(SOFT_BOXES, device=device), torch.tensor(SOFT_SCORES, device=device)
    indices, decayed = soft_nms(boxes, scores, method=method, iou_threshold=0.3, sigma=0.5, min_score=0.01)
    assert indices.tolist() == [1, 0, 2, 3]
    torch.testing.assert_close(decayed.cpu(), torch.tensor(expected))


@pytest.mark.parametrize("device", DEVICES)
def test_matrix_nms_example(device) -> None:
    boxes = torch.tensor([[0.0, 0, 2, 1], [1, 0, 2, 1], [1.5, 0, 2.5, 1]], device=device)
    scores = torch.tensor([0.9, 0.8, 0.7], device=device)
    # IoU(0, 1) = 1/2, IoU(0, 2) = 1/5, IoU(1, 2) = 1/3; the second is suppressed by 1/2 itself, so that it
    # does nothing to the third: (1 - 1/3) / (1 - 1/2) > 1.
    linear = matrix_nms(boxes, scores, kernel="linear")
    torch.testing.assert_close(linear.cpu(), torch.tensor([0.9, 0.8 * 0.5, 0.7 * 0.8]))
    gaussian = matrix_nms(boxes, scores, kernel="gaussian", sigma=0.5)
    decay = torch.exp(-torch.tensor([0, 0.25, 0.04]) / 0.5)
    torch.testing.assert_close(gaussian.cpu(), torch.tensor([0.9, 0.8, 0.7]) * decay)
    apart = matrix_nms(boxes, scores, torch.tensor([0, 1, 2], device=device), kernel="linear")
    torch.testing.assert_close(apart, scores)


# The reference


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(case=cases, threshold=thresholds, kind=st.sampled_from(["iou", "giou", "diou"]))
def test_nms_is_the_reference(device, case, threshold, kind) -> None:
    boxes, scores = from_case(case)
    threshold = threshold if kind == "iou" else 2 * threshold - 1
    result = nms(boxes.to(device), scores.to(device), threshold, kind=kind)
    expected = reference.nms(boxes, scores, threshold, KINDS[kind], -1)
    assert result.tolist() == expected.tolist()


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=40, deadline=None)
@given(case=cases, threshold=thresholds, classes=st.sampled_from([1, 3, 50]), limit=st.integers(0, 70))
def test_batched_nms_is_the_reference(device, case, threshold, classes, limit) -> None:
    boxes, scores = from_case(case)
    labels = torch.randint(-classes, classes, scores.shape, generator=torch.Generator().manual_seed(case[1]))
    moved = boxes.to(device), scores.to(device), labels.to(device)
    expected = reference.batched_nms(boxes, scores, labels, threshold, 0, -1)
    assert batched_nms(*moved, threshold).tolist() == expected.tolist()
    assert batched_nms(*moved, threshold, max_out=limit).tolist() == expected[:limit].tolist()


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=30, deadline=None)
@given(
    case=cases,
    threshold=thresholds,
    limit=st.sampled_from([0, 1, 5, 200]),
    min_score=st.sampled_from([-1.0, 0.5]),
)
def test_nms_padded_is_the_reference(device, case, threshold, limit, min_score) -> None:
    boxes, scores = from_case(case)
    rows = len(scores) // 3
    boxes, scores = boxes[: 3 * rows].reshape(3, rows, 4), scores[: 3 * rows].reshape(3, rows)
    labels = torch.randint(-1, 3, scores.shape, generator=torch.Generator().manual_seed(case[1]))
    indices, counts = nms_padded(
        boxes.to(device), scores.to(device), labels.to(device), threshold, limit, min_score=min_score
    )
    expected, number = reference.nms_padded(boxes, scores, labels, threshold, min_score, 0, limit)
    assert indices.tolist() == expected.tolist()
    assert counts.tolist() == number.tolist()


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=40, deadline=None)
@given(case=cases, threshold=thresholds, method=st.sampled_from(["linear", "gaussian"]))
def test_soft_nms_is_the_reference(device, case, threshold, method) -> None:
    boxes, scores = make(case[0], case[1], style=case[2], dtype=torch.float64, ties=case[4])
    options = {"iou_threshold": threshold, "sigma": 0.5, "min_score": 0.05}
    indices, decayed = soft_nms(boxes.to(device), scores.to(device), method=method, **options)
    expected, values = reference.soft_nms(boxes, scores, METHODS[method], threshold, 0.5, 0.05)
    # One rounding apart, scores that should be equal may change places.
    assert sorted(indices.tolist()) == sorted(expected.tolist())
    torch.testing.assert_close(decayed.cpu(), values)
    assert decayed.tolist() == sorted(decayed.tolist(), reverse=True)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=40, deadline=None)
@given(case=cases, classes=st.sampled_from([1, 4]), kernel=st.sampled_from(["linear", "gaussian"]))
def test_matrix_nms_is_the_reference(device, case, classes, kernel) -> None:
    boxes, scores = make(case[0], case[1], style=case[2], dtype=torch.float64, ties=case[4])
    labels = torch.randint(0, classes, scores.shape, generator=torch.Generator().manual_seed(case[1]))
    decayed = matrix_nms(boxes.to(device), scores.to(device), labels.to(device), kernel=kernel, sigma=0.4)
    expected = reference.matrix_nms(boxes, scores, labels, METHODS[kernel], 0.4)
    torch.testing.assert_close(decayed.cpu(), expected)


@pytest.mark.parametrize("device", DEVICES)
def test_more_than_a_thousand_boxes(device) -> None:
    boxes, scores = make(4097, 0, spread=60)
    labels = torch.randint(0, 3, scores.shape)
    moved = boxes.to(device), scores.to(device)
    assert nms(*moved, 0.5).tolist() == reference.nms(boxes, scores, 0.5, 0, -1).tolist()
    assert batched_nms(*moved, labels.to(device), 0.5).tolist() == (
        reference.batched_nms(boxes, scores, labels, 0.5, 0, -1).tolist()
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("device", DEVICES)
def test_types_and_strides(dtype, device) -> None:
    boxes, scores = make(100, 3, style="grid", dtype=dtype, ties=20)
    boxes, scores = boxes.to(device), scores.to(device)
    turned, spaced = boxes.t().contiguous().t(), torch.stack([scores, scores], dim=1)[:, 0]
    expected = reference.nms(boxes.cpu(), scores.cpu(), 0.3, 0, -1)
    assert nms(turned, spaced, 0.3).tolist() == expected.tolist()
    wanted = torch.float64 if dtype == torch.float64 else torch.float32
    assert soft_nms(turned, spaced)[1].dtype == matrix_nms(turned, spaced).dtype == wanted


# torchvision


@pytest.mark.parametrize("device", DEVICES)
def test_torchvision_agrees(device) -> None:
    for seed in range(200):
        dtype = torch.float64 if seed % 4 == 3 else torch.float32
        style = ("free", "grid", "wide")[seed % 3]
        boxes, scores = make(1 + seed * 3 % 250, seed, style=style, dtype=dtype, ties=(0, 7)[seed % 2])
        labels = torch.randint(0, 4, scores.shape)
        threshold = (0.0, 0.1, 0.3, 0.5, 0.75, 1.0)[seed % 6]
        moved = boxes.to(device), scores.to(device)
        assert nms(*moved, threshold).tolist() == torchvision.ops.nms(boxes, scores, threshold).tolist()
        kept = batched_nms(*moved, labels.to(device), threshold).tolist()
        # torchvision leaves the order of equal scores open here.
        peer = torchvision.ops.boxes._batched_nms_vanilla(boxes, scores, labels, threshold)
        assert sorted(kept) == sorted(peer.tolist())
        assert scores[kept].tolist() == scores[peer].tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "style, spread, factor, offset",
    [
        ("free", 600, 1, 0),
        ("grid", 150, 1, 0),
        ("wide", 3000, 1, 0),
        ("free", 600, 1e-6, 0),  # smaller than the finest level of the index
        ("free", 600, 1e7, 0),  # larger than the coarsest
        ("free", 600, 1e-15, 0),  # areas that are not rounded relatively
        ("free", 600, 1e17, 0),
        ("grid", 600, 1, 4e5),
    ],
)
def test_thousands_kept(style, spread, factor, offset, dtype) -> None:
    """Enough kept boxes for the index by size and place, which must change nothing."""
    boxes, scores = make(6000, 1, style=style, spread=spread, dtype=torch.float64)
    boxes, scores = (boxes * factor + offset).to(dtype), scores.to(dtype)
    for threshold in (0.06, 0.3, 0.5, 0.9):
        kept = nms(boxes, scores, threshold)
        assert len(kept) > 500
        assert kept.tolist() == torchvision.ops.nms(boxes, scores, threshold).tolist()
    assert nms(boxes, scores, 0.5, max_out=4000).tolist() == nms(boxes, scores, 0.5)[:4000].tolist()


# What torch asks of an operator


def sample(device: str = "cpu") -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    boxes, scores = make(40, 5)
    return boxes.to(device), scores.to(device), (torch.arange(40) % 3).to(device)


FUNCTIONS = {
    "nms": lambda boxes, scores, labels: nms(boxes, scores, 0.4),
    "nms limited": lambda boxes, scores, labels: nms(boxes, scores, 0.4, max_out=5),
    "batched_nms": lambda boxes, scores, labels: batched_nms(boxes, scores, labels, 0.4),
    "nms_padded": lambda boxes, scores, labels: nms_padded(boxes[None], scores[None], labels[None], 0.4, 10),
    "soft_nms": lambda boxes, scores, labels: soft_nms(boxes, scores),
    "matrix_nms": lambda boxes, scores, labels: matrix_nms(boxes, scores, labels),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_compile_and_export(name, device) -> None:
    function, inputs = FUNCTIONS[name], sample(device)
    expected = function(*inputs)
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(*inputs), expected)

    class Module(torch.nn.Module):
        def forward(self, boxes, scores, labels):
            return function(boxes, scores, labels)

    exported = torch.export.export(Module(), inputs)
    torch.testing.assert_close(exported.module()(*inputs), expected)


@pytest.mark.parametrize("device", DEVICES)
def test_opcheck(device) -> None:
    podium, (boxes, scores, labels) = torch.ops.podium, sample(device)
    for operator, arguments in (
        (podium.nms.default, (boxes, scores, 0.5, 0, -1)),
        (podium.nms.default, (boxes[:0], scores[:0], 0.5, 0, 3)),
        (podium.batched_nms.default, (boxes, scores, labels, 0.5, 0, 7)),
        (podium.nms_padded.default, (boxes[None], scores[None], labels[None], 0.5, 0.1, 0, 9)),
        (podium.soft_nms.default, (boxes.double(), scores, 1, 0.3, 0.5, 0.01)),
        (podium.matrix_nms.default, (boxes.half(), scores.half(), labels, 0, 0.5)),
    ):
        torch.library.opcheck(operator, arguments)


@pytest.mark.parametrize("device", DEVICES)
def test_vmap(device) -> None:
    pairs = [make(30, seed) for seed in range(4)]
    boxes, scores = (torch.stack(parts).to(device) for parts in zip(*pairs, strict=True))
    mapped = torch.vmap(lambda box, score: nms(box, score, 0.4))(boxes, scores)
    assert mapped.shape == (4, 30)
    few = torch.vmap(lambda box, score: nms(box, score, 0.4, max_out=3), in_dims=(0, 1))(boxes, scores.t())
    one = torch.vmap(lambda score: nms(boxes[0], score, 0.4, max_out=3))(scores)
    labels = torch.arange(30, device=device) % 2 - 1
    classes = torch.vmap(lambda box, score: batched_nms(box, score, labels, 0.4))(boxes, scores)
    padded = torch.vmap(lambda box, score: nms_padded(box[None], score[None], None, 0.4, 6))(boxes, scores)
    assert padded[0].shape == (4, 1, 6) and padded[1].shape == (4, 1)
    for row in range(4):
        kept = nms(boxes[row], scores[row], 0.4).tolist()
        assert mapped[row].tolist() == kept + [-1] * (30 - len(kept))
        assert few[row].tolist() == kept[:3]
        assert padded[0][row, 0].tolist() == kept[:6]
        assert one[row].tolist() == nms(boxes[0], scores[row], 0.4, max_out=3).tolist()
        kept = batched_nms(boxes[row], scores[row], labels, 0.4).tolist()
        assert classes[row].tolist() == kept + [-1] * (30 - len(kept))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (torch.int8, (-128, -100, -1, 0, 100, 127)),
        (torch.int16, (-(2**15), -20_000, 5, 2**15 - 1)),
        (torch.int32, (-(2**31), -1, 0, 2**31 - 1)),
        (torch.int64, (-(2**63), -1, 0, 2**62, 2**63 - 1)),
        (torch.uint8, (0, 1, 200, 255)),
        (torch.bool, (False, True)),
    ],
)
def test_vmap_of_labels_from_end_to_end_of_their_type(device, dtype, values) -> None:
    pairs = [make(60, seed, spread=30) for seed in range(3)]
    boxes, scores = (torch.stack(parts).to(device) for parts in zip(*pairs, strict=True))
    pick = torch.randint(len(values), (3, 60), generator=torch.Generator().manual_seed(5))
    labels = torch.tensor(values, dtype=dtype, device=device)[pick.to(device)]
    scores[1, ::5] = float("-inf")
    mapped = torch.vmap(lambda box, score, label: batched_nms(box, score, label, 0.3))(boxes, scores, labels)
    shared = torch.vmap(lambda box, score: batched_nms(box, score, labels[0], 0.3, max_out=9))(boxes, scores)
    for row in range(3):
        kept = batched_nms(boxes[row], scores[row], labels[row], 0.3, validate=False).tolist()
        assert mapped[row].tolist() == kept + [-1] * (60 - len(kept))
        kept = batched_nms(boxes[row], scores[row], labels[0], 0.3, max_out=9, validate=False)
        assert torch.equal(shared[row], kept)
        seconds = matrix_nms(boxes[row], scores[row].exp(), labels[row])
        same = labels[row][:, None] == labels[row]
        assert torch.equal(seconds, matrix_nms(boxes[row], scores[row].exp(), same.long().argmax(dim=1)))


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.uint8, torch.bool])
def test_vmap_of_no_boxes(dtype) -> None:
    boxes, scores, labels = torch.zeros(3, 0, 4), torch.zeros(3, 0), torch.zeros(3, 0, dtype=dtype)
    kept = torch.vmap(lambda box, score, label: batched_nms(box, score, label, 0.5))(boxes, scores, labels)
    assert kept.shape == (3, 0) and kept.dtype == torch.int64
    few = torch.vmap(lambda box, score, label: batched_nms(box, score, label, 0.5, max_out=2))
    assert few(boxes, scores, labels).tolist() == [[-1, -1]] * 3


def test_autocast_and_gradients() -> None:
    boxes, scores, labels = sample()
    with torch.autocast("cpu", torch.bfloat16):
        assert nms(boxes.bfloat16(), scores, 0.4).dtype == torch.int64
        assert matrix_nms(boxes.bfloat16(), scores.bfloat16(), labels).dtype == torch.float32
    assert not nms(boxes.requires_grad_(), scores.requires_grad_(), 0.4).requires_grad


def test_the_number_of_threads_changes_nothing() -> None:
    boxes, scores = make(20000, 2, spread=400, ties=1000)
    labels = torch.arange(20000) % 11
    images = boxes.reshape(4, 5000, 4), scores.reshape(4, 5000), labels.reshape(4, 5000)
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(
                [
                    batched_nms(boxes, scores, labels, 0.5),
                    matrix_nms(boxes, scores, labels),
                    *nms_padded(*images, 0.5, 900),
                ]
            )
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(first, second) for first, second in zip(*results, strict=True))


LEVEL_CODE = """
import sys, torch
from ops import matrix_nms, nms, soft_nms
for boxes, scores, kept, selected, decayed, matrix in torch.load(sys.argv[1]):
    assert torch.equal(nms(boxes, scores, 0.4), kept)
    found, values = soft_nms(boxes, scores)
    assert torch.equal(found, selected)
    torch.testing.assert_close(values, decayed)
    torch.testing.assert_close(matrix_nms(boxes, scores), matrix)
"""


def test_every_instruction_set(tmp_path) -> None:
    """In processes of their own, since the level is chosen once."""
    expected = []
    for style in ("free", "grid", "wide"):
        for dtype in (torch.float32, torch.float64):
            boxes, scores = make(301, 0, style=style, dtype=dtype)
            labels = torch.zeros(301, dtype=torch.int64)
            kept = torchvision.ops.nms(boxes, scores, 0.4)
            soft = reference.soft_nms(boxes, scores, 1, 0.3, 0.5, 0.001)
            expected.append((boxes, scores, kept, *soft, reference.matrix_nms(boxes, scores, labels, 1, 0.5)))
    torch.save(expected, tmp_path / "expected.pt")
    command = [sys.executable, "-c", LEVEL_CODE, str(tmp_path / "expected.pt")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(command, env={**environment, "PODIUM_CPU": level}, stderr=subprocess.PIPE, text=True)
        for level in ("baseline", "avx2", "avx512")
    ]
    for process in running:
        assert process.wait() == 0, process.stderr.read()


# Errors, and values that nobody should pass


@pytest.mark.parametrize("device", DEVICES)
def test_argument_errors(device) -> None:
    boxes, scores, labels = sample(device)
    bad = boxes.clone()
    bad[7, 2] = float("nan")
    inverted = boxes.clone()
    inverted[3] = inverted[3].flip(0) - torch.tensor([0.0, 0, 1, 1], device=device)
    unscored = scores.clone()
    unscored[2] = float("nan")
    for call, words in (
        (lambda: nms(bad, scores, 0.5), "boxes holds NaN or infinity, first in row 7"),
        (lambda: nms(boxes, unscored, 0.5), "scores holds NaN or infinity, first in row 2"),
        (lambda: nms(inverted, scores, 0.5), "x2 < x1"),
        (lambda: nms(boxes[:, :3], scores, 0.5), r"boxes must have shape \(any, 4\)"),
        (lambda: nms(boxes, scores[None], 0.5), "scores must have shape"),
        (lambda: nms(boxes, scores[1:], 0.5), "scores has 39 rows and boxes has 40"),
        (lambda: nms(boxes.long(), scores, 0.5), "boxes must be float16"),
        (lambda: nms(boxes.tolist(), scores, 0.5), "boxes must be a tensor"),
        (lambda: nms(boxes, scores, -0.5), "iou_threshold must be at least 0"),
        (lambda: nms(boxes, scores, float("nan")), "iou_threshold must be at least 0"),
        (lambda: nms(boxes, 1 / (scores - scores), 0.5), "scores holds NaN or infinity"),
        (lambda: nms_padded(boxes[None], scores[None], None, 0.5, 3, min_score=float("nan")), "min_score"),
        (lambda: nms(boxes, scores, 0.5, kind="ciou"), "kind must be one of iou, giou, diou"),
        (lambda: nms(boxes, scores, 0.5, max_out=-1), "max_out must be None or not negative"),
        (lambda: batched_nms(boxes, scores, scores, 0.5), "idxs must be an integer tensor"),
        (lambda: batched_nms(boxes, scores, labels[1:], 0.5), "idxs has 39 rows"),
        (lambda: nms_padded(boxes, scores, labels, 0.5, 3), r"boxes must have shape \(any, any, 4\)"),
        (lambda: nms_padded(boxes[None], scores[None], None, 0.5, -3), "max_out must not be negative"),
        (lambda: nms_padded(bad[None], scores[None], None, 0.5, 3), "boxes holds NaN"),
        (lambda: soft_nms(boxes, scores, method="cubic"), "method must be one of linear, gaussian"),
        (lambda: soft_nms(boxes, scores, sigma=0), "sigma must be positive"),
        (lambda: matrix_nms(boxes, scores, kernel="none"), "kernel must be one of"),
        (lambda: matrix_nms(boxes, scores, labels.float()), "labels must be an integer tensor"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(
        st.sampled_from(
            [0.0, 1.0, -1.0, 3.4e38, -3.4e38, 1e-45, float("inf"), float("-inf"), float("nan"), 7.0]
        ),
        min_size=5,
        max_size=400,
    ),
    threshold=st.sampled_from([-1.0, 0.0, 0.5, 2.0, float("nan"), float("inf")]),
)
def test_no_values_crash(device, values, threshold) -> None:
    rows = torch.tensor(values[: len(values) // 5 * 5], device=device).reshape(-1, 5)
    boxes, scores, labels = rows[:, :4], rows[:, 4], torch.arange(len(rows), device=device) % 3
    for kind in ("iou", "giou", "diou"):
        kept = nms(boxes, scores, threshold, kind=kind, validate=False)
        assert 0 < len(kept) == len(set(kept.tolist())) <= len(rows)
        batched_nms(boxes, scores, labels, threshold, kind=kind, max_out=3, validate=False)
    nms_padded(boxes[None], scores[None], labels[None], threshold, 5, validate=False)
    for method in ("linear", "gaussian"):
        indices, decayed = soft_nms(boxes, scores, method=method, iou_threshold=threshold, validate=False)
        assert len(indices) == len(decayed) <= len(rows)
        assert len(matrix_nms(boxes, scores, labels, kernel=method, validate=False)) == len(rows)


@pytest.mark.parametrize("style", ["nan", "infinite", "huge"])
def test_no_values_crash_the_index(style) -> None:
    boxes, scores = make(5000, 0, spread=2000)
    extreme = {"nan": float("nan"), "infinite": float("inf"), "huge": 3e38}[style]
    boxes[::7, 2] = extreme
    boxes[::11, 0] = -extreme
    kept = nms(boxes, scores, 0.5, validate=False)
    assert len(kept) > 1500
    assert len(set(kept.tolist())) == len(kept)


def test_wrong_shapes_raise_without_validation() -> None:
    boxes, scores, labels = sample()
    for call in (
        lambda: nms(boxes[:, :3], scores, 0.5, validate=False),
        lambda: nms(boxes, scores[1:], 0.5, validate=False),
        lambda: batched_nms(boxes, scores, labels[1:], 0.5, validate=False),
        lambda: nms_padded(boxes[None], scores[None], labels, 0.5, 3, validate=False),
        lambda: soft_nms(boxes, scores[1:], validate=False),
        lambda: matrix_nms(boxes, scores, labels[1:], validate=False),
    ):
        with pytest.raises((RuntimeError, IndexError)):
            call()
