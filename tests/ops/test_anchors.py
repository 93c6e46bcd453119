import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.anchors import multibox_detection, multibox_prior, multibox_target
from ops.reference_boxes import pairwise_iou

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)]
TRUTH = [[0, 0.1, 0.08, 0.52, 0.92], [1, 0.55, 0.2, 0.9, 0.88]]
ANCHORS = [
    [0, 0.1, 0.2, 0.3],
    [0.15, 0.2, 0.4, 0.4],
    [0.63, 0.05, 0.88, 0.98],
    [0.66, 0.45, 0.8, 0.8],
    [0.57, 0.3, 0.92, 0.9],
]


def random_boxes(count: int, generator: torch.Generator) -> torch.Tensor:
    """On a coarse grid, so that IoUs tie."""
    low = torch.randint(0, 5, (count, 2), generator=generator) / 8
    return torch.cat((low, low + torch.randint(1, 4, (count, 2), generator=generator) / 8), dim=1)


def one_by_one(anchors: torch.Tensor, label: torch.Tensor, threshold: float) -> list[int]:
    """The box of every anchor, or -1, as the book assigns them."""
    label = label[label[:, 0] >= 0]
    iou = pairwise_iou(anchors, label[:, 1:], 0)
    matched = [int(row.argmax()) if len(label) and row.max() >= threshold else -1 for row in iou]
    for _ in range(min(iou.shape)):
        at = int(iou.argmax())
        anchor, box = at // iou.shape[1], at % iou.shape[1]
        matched[anchor] = box
        iou[anchor], iou[:, box] = -1, -1
    return matched


@pytest.mark.parametrize("device", DEVICES)
def test_prior(device):
    anchors = multibox_prior((5, 8), sizes=(0.75, 0.5, 0.25), ratios=(1, 2, 0.5), device=device)
    assert anchors.shape == (1, 5 * 8 * 5, 4)
    grid = anchors.reshape(5, 8, 5, 4).cpu()
    sizes = grid[2, 3, :, 2:] - grid[2, 3, :, :2]
    widths = torch.tensor([0.75, 0.5, 0.25, 0.75 * 2**0.5, 0.75 * 0.5**0.5]) * 5 / 8
    heights = torch.tensor([0.75, 0.5, 0.25, 0.75 / 2**0.5, 0.75 / 0.5**0.5])
    torch.testing.assert_close(sizes, torch.stack((widths, heights), dim=1))
    centres = (grid[2, 3, :, :2] + grid[2, 3, :, 2:]) / 2
    torch.testing.assert_close(centres, torch.tensor([3.5 / 8, 2.5 / 5]).expand(5, 2))
    torch.testing.assert_close(grid[0, 0, 0], torch.tensor([0.0625 - 0.234375, 0.1 - 0.375, 0.296875, 0.475]))


@pytest.mark.parametrize("device", DEVICES)
def test_target_fixture(device):
    anchors, labels = torch.tensor([ANCHORS], device=device), torch.tensor([TRUTH], device=device)
    offsets, mask, classes = multibox_target(anchors, labels)
    assert classes.tolist() == [[0, 1, 2, 0, 2]] and classes.dtype == torch.int64
    assert mask.reshape(5, 4)[:, 0].tolist() == [0, 1, 1, 0, 1]
    expected = [
        [0, 0, 0, 0],
        [1.4, 10, 2.5940, 7.1754],
        [-1.2, 0.26882, 1.6824, -1.5655],
        [0, 0, 0, 0],
        [-0.57143, -1, 4.1723e-06, 0.62582],
    ]
    torch.testing.assert_close(offsets.reshape(5, 4).cpu(), torch.tensor(expected), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), batch=st.integers(0, 3), count=st.integers(0, 40), boxes=st.integers(0, 6))
def test_target_equals_one_by_one(device, seed, batch, count, boxes):
    generator = torch.Generator().manual_seed(seed)
    anchors = random_boxes(count, generator)
    labels = torch.cat(
        (
            torch.randint(-1, 3, (batch * boxes, 1), generator=generator),
            random_boxes(batch * boxes, generator),
        ),
        dim=1,
    ).reshape(batch, boxes, 5)
    offsets, mask, classes = multibox_target(anchors.to(device), labels.to(device))
    assert offsets.shape == mask.shape == (batch, count * 4)
    for index in range(batch):
        matched = one_by_one(anchors, labels[index], 0.5)
        real = labels[index][labels[index][:, 0] >= 0]
        assert classes[index].tolist() == [0 if box < 0 else int(real[box, 0]) + 1 for box in matched]
        assert mask[index].reshape(-1, 4)[:, 0].tolist() == [float(box >= 0) for box in matched]
    assert (offsets[mask == 0] == 0).all()


@pytest.mark.parametrize("device", DEVICES)
def test_detection_fixture(device):
    anchors = torch.tensor(
        [[0.1, 0.08, 0.52, 0.92], [0.08, 0.2, 0.56, 0.95], [0.15, 0.3, 0.62, 0.91], [0.55, 0.2, 0.9, 0.88]],
        device=device,
    )
    probs = torch.tensor([[[0] * 4, [0.9, 0.8, 0.7, 0.1], [0.1, 0.2, 0.3, 0.9]]], device=device)
    result = multibox_detection(probs, torch.zeros(1, 16, device=device), anchors[None], nms_threshold=0.5)
    expected = [
        [0, 0.9, 0.1, 0.08, 0.52, 0.92],
        [1, 0.9, 0.55, 0.2, 0.9, 0.88],
        [-1, 0.8, 0.08, 0.2, 0.56, 0.95],
        [-1, 0.7, 0.15, 0.3, 0.62, 0.91],
    ]
    torch.testing.assert_close(result[0].cpu(), torch.tensor(expected))
    weak = multibox_detection(probs, torch.zeros(1, 16, device=device), anchors, 0.5, pos_threshold=0.85)
    torch.testing.assert_close(weak[0, :, 0].tolist(), [0.0, 1.0, -1.0, -1.0])
    torch.testing.assert_close(weak[0, 2:, 1].cpu(), torch.tensor([0.2, 0.3]))


@pytest.mark.parametrize("device", DEVICES)
def test_targets_decode_to_the_truth(device):
    """Offsets to the assigned boxes, given back as predictions, yield those boxes."""
    anchors, labels = torch.tensor(ANCHORS, device=device), torch.tensor([TRUTH, TRUTH], device=device)
    offsets, _, classes = multibox_target(anchors, labels)
    probs = torch.nn.functional.one_hot(classes, 3).transpose(1, 2) * 0.9
    found = multibox_detection(probs, offsets, anchors)
    assert found.shape == (2, 5, 6)
    kept = found[0][found[0, :, 0] >= 0]
    torch.testing.assert_close(
        kept[kept[:, 0].argsort()][:, [0, 2, 3, 4, 5]].cpu(), torch.tensor(TRUTH), atol=1e-4, rtol=0
    )
    assert torch.equal(found[0], found[1])


@pytest.mark.parametrize("shape", [(0, 3, 5), (2, 2, 0), (1, 4, 1)])
def test_detection_of_little(shape):
    batch, _, count = shape
    result = multibox_detection(
        torch.rand(shape), torch.zeros(batch, count * 4), torch.rand(count, 2).repeat(1, 2).sort(1)[0]
    )
    assert result.shape == (batch, count, 6)


def test_compiled_and_exported():
    anchors, labels = torch.tensor(ANCHORS), torch.tensor([TRUTH])
    probs = torch.softmax(torch.randn(1, 3, 5), dim=1)

    class Module(torch.nn.Module):
        def forward(self, anchors, labels, probs):
            offsets, mask, classes = multibox_target(anchors, labels)
            return (
                mask,
                classes,
                multibox_detection(probs, offsets, anchors),
                multibox_prior((2, 3), (0.5,), (1, 2)),
            )

    arguments = (anchors, labels, probs)
    expected = Module()(*arguments)
    compiled = torch.compile(Module(), fullgraph=True, backend="aot_eager")(*arguments)
    exported = torch.export.export(Module(), arguments).module()(*arguments)
    for result in (compiled, exported):
        for one, two in zip(result, expected, strict=True):
            torch.testing.assert_close(one, two)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a, t, p: multibox_prior((0, 1), (0.5,), (1,)), "size must be"),
        (lambda a, t, p: multibox_prior((1, 1), (), (1,)), "sizes must hold"),
        (lambda a, t, p: multibox_prior((1, 1), (0.5,), (-1,)), "ratios must hold"),
        (lambda a, t, p: multibox_target(a[:, :3], t), "anchors must have shape"),
        (lambda a, t, p: multibox_target(a.expand(2, 5, 4), t), "anchors must have shape"),
        (lambda a, t, p: multibox_target(a, t[0]), "labels must have shape"),
        (lambda a, t, p: multibox_target(a, t.flip(2)), "labels has x2 < x1"),
        (lambda a, t, p: multibox_target(a / 0, t), "anchors holds NaN"),
        (lambda a, t, p: multibox_detection(p[:, :1], a.reshape(1, -1), a), "at least one class"),
        (lambda a, t, p: multibox_detection(p, a, a), "offsets must have shape"),
        (
            lambda a, t, p: multibox_detection(p, a.reshape(1, -1), a, nms_threshold=2),
            "nms_threshold must be",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(torch.tensor(ANCHORS), torch.tensor([TRUTH]), torch.rand(1, 3, 5))
