import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.library import opcheck

from ops import reference_wbf
from ops.wbf import SCORE_TYPES, weighted_boxes_fusion

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)]


def example(device: str, dtype: torch.dtype = torch.float64) -> tuple:
    boxes = [
        [[0.1, 0.1, 0.5, 0.5], [0.11, 0.11, 0.51, 0.51], [0.6, 0.6, 0.8, 0.8]],
        [[0.59, 0.59, 0.79, 0.79], [0.61, 0.61, 0.81, 0.81], [0.8, 0.8, 0.9, 0.9]],
    ]
    scores, labels = [[0.9, 0.8, 0.7], [0.85, 0.75, 0.65]], [[1, 1, 1], [1, 1, 0]]
    return (
        [torch.tensor(one, dtype=dtype, device=device) for one in boxes],
        [torch.tensor(one, dtype=dtype, device=device) for one in scores],
        [torch.tensor(one, device=device) for one in labels],
    )


def random_arguments(counts: list[int], seed: int, labels: int, dtype: torch.dtype = torch.float64) -> tuple:
    """Detections of several models that mostly agree: the same boxes, shaken."""
    generator = torch.Generator().manual_seed(seed)
    base = torch.rand(max([*counts, 1]), 4, generator=generator, dtype=torch.float64)
    lists = ([], [], [])
    for count in counts:
        low = base[:count, :2] * 4 - 2 + 0.1 * torch.randn(count, 2, generator=generator)
        lists[0].append(torch.cat((low, low + 0.3 + base[:count, 2:]), dim=1).to(dtype))
        lists[1].append(((torch.rand(count, generator=generator) * 16).round() / 16).to(dtype))  # with ties
        lists[2].append(torch.randint(0, labels, (count,), generator=generator))
    return lists


def reference(boxes, scores, labels, weights, iou_threshold, skip, score_type, overflow):
    models = torch.cat([torch.full((len(one),), index) for index, one in enumerate(boxes)])
    return reference_wbf.weighted_boxes_fusion(
        torch.cat(boxes),
        torch.cat(scores),
        torch.cat(labels),
        models.to(boxes[0].device),
        torch.tensor(weights, dtype=torch.float64),
        iou_threshold,
        skip,
        SCORE_TYPES[score_type],
        overflow,
    )


def assert_same(found: tuple, wanted: tuple, tolerance: float = 1e-7) -> None:
    """Equal, up to the order of clusters whose scores differ by rounding alone."""
    torch.testing.assert_close(found[1], wanted[1], atol=tolerance, rtol=tolerance)
    tables = []
    for boxes, scores, labels in (found, wanted):
        columns = (labels[:, None].double(), boxes.double(), scores[:, None].double())
        rows = torch.cat(columns, dim=1).tolist()
        tables.append(torch.tensor(sorted(rows, key=lambda row: [round(number, 4) for number in row])))
    torch.testing.assert_close(*tables, atol=tolerance, rtol=max(tolerance, 1e-6))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fixture(device, dtype):
    boxes, scores, labels = weighted_boxes_fusion(
        *example(device, dtype), weights=[2, 1], iou_threshold=0.5, allows_overflow=True
    )
    assert boxes.dtype == scores.dtype == dtype
    expected = torch.tensor([3.4 / 3, 3.0 / 3, 0.65 / 3], dtype=dtype, device=device)
    torch.testing.assert_close(scores, expected)
    assert labels.tolist() == [1, 1, 0]
    assert float(boxes[0, 0]) == pytest.approx((0.1 * 1.8 + 0.11 * 1.6) / 3.4)
    torch.testing.assert_close(boxes[2].cpu(), torch.tensor([0.8, 0.8, 0.9, 0.9], dtype=dtype))


@pytest.mark.parametrize("device", DEVICES)
def test_score_types(device):
    """By hand, for the clusters of the fixture: members 1.8 1.6; 1.4 .85 .75; .65, weights 2 2; 2 1 1; 1."""
    expected = {
        "avg": [1.0, 3.0 / 3 * 2 / 3, 0.65 / 3],  # the first is 3.4 / 3, cut
        "max": [1.8 / 2, 1.4 / 2, 0.65 / 2],
        "box_and_model_avg": [3.4 / 4 * 2 / 3, 3.0 / 4 * 3 / 3, 0.65 / 3],
    }
    for score_type, wanted in expected.items():
        _, scores, _ = weighted_boxes_fusion(
            *example(device), weights=[2, 1], iou_threshold=0.5, score_type=score_type
        )
        assert scores.tolist() == pytest.approx(sorted(wanted, reverse=True))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    seed=st.integers(0, 10**6),
    threshold=st.sampled_from([0.0, 0.3, 0.55, 1.0]),
    skip=st.sampled_from([0.0, 0.4]),
    score_type=st.sampled_from(sorted(SCORE_TYPES)),
    overflow=st.booleans(),
)
def test_equals_reference(device, counts, seed, threshold, skip, score_type, overflow):
    lists = random_arguments(counts, seed, labels=3)
    lists = tuple([one.to(device) for one in values] for values in lists)
    weights = [1.0, 3.0, 0.5, 0.0][: len(counts)]
    options = (weights, threshold, skip, score_type, overflow)
    assert_same(weighted_boxes_fusion(*lists, *options), reference(*lists, *options))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 130])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_sizes_and_types(device, n, dtype):
    lists = tuple([one.to(device) for one in values] for values in random_arguments([n, n], n, 2, dtype))
    found = weighted_boxes_fusion(*lists)
    assert found[0].dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    wanted = reference(*lists, [1.0, 1.0], 0.55, 0.0, "avg", False)
    assert_same(found, wanted, 1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_scores_stay_at_most_one(device):
    boxes = torch.tensor([[0, 0, 1, 1.0]], device=device).expand(6, 4)
    scores, labels = torch.ones(6, device=device), torch.zeros(6, dtype=torch.int64, device=device)
    for score_type in SCORE_TYPES:
        for weights in (None, [5.0, 1.0]):
            result = weighted_boxes_fusion(
                [boxes] * 2, [scores] * 2, [labels] * 2, weights, score_type=score_type
            )
            assert len(result[1]) == 1 and float(result[1]) <= 1


@pytest.mark.parametrize("device", DEVICES)
def test_strictly_above_the_threshold(device):
    boxes = torch.tensor([[0, 0, 2, 1], [0, 0, 1, 1.0]], device=device)  # IoU exactly one half
    scores, labels = torch.tensor([0.9, 0.8], device=device), torch.zeros(2, dtype=torch.int64, device=device)
    assert len(weighted_boxes_fusion([boxes], [scores], [labels], iou_threshold=0.5)[0]) == 2
    assert len(weighted_boxes_fusion([boxes], [scores], [labels], iou_threshold=0.49)[0]) == 1


@pytest.mark.parametrize("device", DEVICES)
def test_equal_scores_keep_their_order(device):
    left = torch.tensor([8.0, 2, 6, 0, 4], device=device)[:, None]
    boxes = torch.cat((left, left, left + 1, left + 1), dim=1)
    scores, labels = torch.full((5,), 0.5, device=device), torch.tensor([3, 1, 2, 0, 1], device=device)
    found = weighted_boxes_fusion([boxes], [scores], [labels])
    assert torch.equal(found[0], boxes) and torch.equal(found[2], labels)


@pytest.mark.parametrize("device", DEVICES)
def test_what_is_left_out(device):
    boxes = torch.tensor([[0, 0, 1, 1], [5, 5, 5, 9], [3, 3, 4, 4], [7, 7, 8, 8.0]], device=device)
    scores = torch.tensor([0.5, 0.9, 0.2, 0.0], device=device)
    labels = torch.tensor([-3, 2, 2**40, 0], device=device)
    found = weighted_boxes_fusion([boxes], [scores], [labels], skip_box_threshold=0.2)
    assert found[2].tolist() == [-3, 2**40]  # no area; a score of the threshold itself stays
    found = weighted_boxes_fusion([boxes.repeat(2, 1)], [torch.zeros(8, device=device)], [labels.repeat(2)])
    assert torch.isfinite(found[0]).all() and found[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_any_values_are_survived(device, data):
    numbers = st.floats(width=32, allow_nan=True, allow_infinity=True)
    rows = data.draw(st.lists(st.lists(numbers, min_size=5, max_size=5), max_size=8))
    table = torch.tensor(rows, dtype=torch.float32, device=device).reshape(-1, 5)
    labels = torch.zeros(len(rows), dtype=torch.int64, device=device)
    for score_type in SCORE_TYPES:
        found = weighted_boxes_fusion(
            [table[:, :4]], [table[:, 4]], [labels], score_type=score_type, validate=False
        )
        assert len(found[0]) <= len(rows)


@pytest.mark.parametrize("device", DEVICES)
def test_model_numbers_out_of_range_are_left_out(device):
    boxes, scores, labels = (torch.cat(values) for values in example(device))
    models = torch.tensor([0, 0, 5, -1, 1, 1], device=device)
    weights = torch.ones(2, dtype=torch.float64, device=device)
    found = torch.ops.podium.weighted_boxes_fusion(boxes, scores, labels, models, weights, 0.5, 0.0, 2, False)
    wanted = reference_wbf.weighted_boxes_fusion(boxes, scores, labels, models, weights, 0.5, 0.0, 2, False)
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two)


def test_same_for_any_number_of_threads():
    lists = random_arguments([300, 300], 1, labels=7, dtype=torch.float32)
    before, expected = torch.get_num_threads(), weighted_boxes_fusion(*lists)
    try:
        torch.set_num_threads(3)
        for one, two in zip(weighted_boxes_fusion(*lists), expected, strict=True):
            assert torch.equal(one, two)
    finally:
        torch.set_num_threads(before)


def test_strides():
    boxes, scores, labels = random_arguments([30], 2, labels=2)
    wide = boxes[0].repeat_interleave(2, dim=1)[:, ::2], scores[0].repeat_interleave(2)[::2]
    expected = weighted_boxes_fusion(boxes, scores, labels)
    for one, two in zip(weighted_boxes_fusion([wide[0]], [wide[1]], labels), expected, strict=True):
        assert torch.equal(one, two)


def test_compiled_and_exported():
    lists = random_arguments([9, 8], 3, labels=2)
    expected = weighted_boxes_fusion(*lists)

    class Module(torch.nn.Module):
        def forward(self, boxes, scores, labels):
            return weighted_boxes_fusion(boxes, scores, labels)

    compiled = torch.compile(Module(), fullgraph=True, backend="aot_eager")(*lists)
    exported = torch.export.export(Module(), tuple(lists)).module()(*lists)
    for result in (compiled, exported):
        for one, two in zip(result, expected, strict=True):
            torch.testing.assert_close(one, two)


@pytest.mark.parametrize("device", DEVICES)
def test_opcheck(device):
    boxes, scores, labels = (torch.cat(values) for values in example(device))
    models = torch.tensor([0, 0, 0, 1, 1, 1], device=device)
    weights = torch.ones(2, dtype=torch.float64, device=device)
    arguments = (boxes, scores, labels, models, weights, 0.5, 0.0, 0, False)
    opcheck(torch.ops.podium.weighted_boxes_fusion.default, arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"boxes_list": []}, "boxes_list is empty"),
        ({"scores_list": [torch.ones(2)]}, "scores_list has 1 entries and boxes_list has 2"),
        ({"weights": [1.0]}, "weights has 1 entries"),
        ({"weights": [1.0, -1.0]}, r"weights\[1\] must be from 0"),
        ({"weights": [0.0, 0.0]}, "weights are all 0"),
        ({"score_type": "sum"}, "score_type must be one of"),
        ({"iou_threshold": 2.0}, "iou_threshold must be"),
        ({"skip_box_threshold": float("nan")}, "skip_box_threshold must be"),
        ({"scores_list": [torch.ones(2), torch.ones(3)]}, r"scores_list\[1\] has 3 rows"),
        ({"scores_list": [torch.ones(2), -torch.ones(2)]}, "holds a score below 0, first in row 2"),
        (
            {"scores_list": [torch.ones(2), torch.full((2,), torch.nan)]},
            "holds NaN or infinity, first in row 2",
        ),
        (
            {"boxes_list": [torch.ones(2, 4), torch.tensor([[1, 0, 0, 1.0]] * 2)]},
            "x2 < x1 or y2 < y1, first in row 2",
        ),
        ({"boxes_list": [torch.ones(2, 4), torch.ones(2, 4).double()]}, "convert one"),
        ({"labels_list": [torch.ones(2)] * 2}, r"labels_list\[0\] must be an integer tensor"),
    ],
)
def test_errors(change, message):
    arguments = {
        "boxes_list": [torch.ones(2, 4)] * 2,
        "scores_list": [torch.ones(2)] * 2,
        "labels_list": [torch.ones(2, dtype=torch.int64)] * 2,
    }
    with pytest.raises(ValueError, match=message):
        weighted_boxes_fusion(**(arguments | change))
