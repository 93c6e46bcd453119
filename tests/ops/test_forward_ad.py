"""Forward-mode derivatives: torch.func.jvp, jacfwd, and duals by hand, against the reverse mode."""

import pytest
import torch
from torch.autograd import forward_ad, gradcheck

from ops import (
    box_ciou,
    box_diou,
    box_giou,
    box_iou,
    box_iou_rotated,
    multiscale_roi_align,
    ps_roi_align,
    ps_roi_pool,
    roi_align,
    roi_pool,
)

ROIS = torch.tensor([[0, 1, 2, 9, 7], [1, 0.5, 0.25, 6, 8], [0, -3, 1, 30, 5]], dtype=torch.float64)
POOLINGS = {
    "roi_align": lambda input, rois: roi_align(input, rois, (2, 3), 0.5, 2),
    "adaptive": lambda input, rois: roi_align(input, rois, 2, 0.5, aligned=True),
    "roi_pool": lambda input, rois: roi_pool(input, rois, 2, 0.5),
    "ps_roi_align": lambda input, rois: ps_roi_align(input, rois, 2, 0.5, 2),
    "ps_roi_pool": lambda input, rois: ps_roi_pool(input, rois, 2, 0.5),
    "multiscale": lambda input, rois: multiscale_roi_align(
        [input, input[:, :, ::2, ::2]], rois, 2, [0.5, 0.25], 2, False, 4, 1
    ),
}
OVERLAPS = {"iou": box_iou, "giou": box_giou, "diou": box_diou, "ciou": box_ciou}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def boxes(count: int, seed: int) -> torch.Tensor:
    low, size = noise(count, 2, seed=seed) * 3, noise(count, 2, seed=seed + 9).abs() * 4 + 1
    return torch.cat([low, low + size], dim=1)


def turned(count: int, seed: int) -> torch.Tensor:
    centre, size = noise(count, 2, seed=seed), noise(count, 2, seed=seed + 9).abs() * 3 + 1
    return torch.cat([centre, size, noise(count, 1, seed=seed + 18) * 90], dim=1)


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling(name) -> None:
    pool, input, direction = POOLINGS[name], noise(2, 8, 6, 7), noise(2, 8, 6, 7, seed=1)
    primal, tangent = torch.func.jvp(lambda input: pool(input, ROIS), (input,), (direction,))
    torch.testing.assert_close(primal, pool(input, ROIS))
    # roi_pool is linear too, where no maximum changes places.
    step = 1e-6 * direction
    torch.testing.assert_close(
        tangent, (pool(input + step, ROIS) - pool(input - step, ROIS)) / 2e-6, atol=1e-7, rtol=1e-6
    )
    assert tangent.abs().sum() > 1
    with forward_ad.dual_level():
        by_hand = forward_ad.unpack_dual(pool(forward_ad.make_dual(input, direction), ROIS))
    torch.testing.assert_close(by_hand.tangent, tangent)
    last = input.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(torch.func.jvp(lambda one: pool(one, ROIS), (last,), (direction,))[1], tangent)


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_in_both_modes(name) -> None:
    pool, input, direction = POOLINGS[name], noise(2, 8, 6, 7), noise(2, 8, 6, 7, seed=1)

    def loss(input):
        return pool(input, ROIS).pow(3).sum()

    _, forward_over_reverse = torch.func.jvp(torch.func.grad(loss), (input,), (direction,))
    reverse_over_forward = torch.func.grad(lambda one: torch.func.jvp(loss, (one,), (direction,))[1])(input)
    leaf = input.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf), leaf, create_graph=True)
    (twice,) = torch.autograd.grad(gradient, leaf, direction)
    torch.testing.assert_close(forward_over_reverse, twice)
    torch.testing.assert_close(reverse_over_forward, twice)
    assert gradcheck(
        lambda leaf: pool(leaf, ROIS), (leaf,), check_forward_ad=True, nondet_tol=1e-9, fast_mode=True
    )


@pytest.mark.parametrize("name", POOLINGS)
def test_boxes_of_pooling_have_no_derivative(name) -> None:
    with pytest.raises(NotImplementedError, match="no derivative but with respect to its first argument"):
        torch.func.jvp(lambda rois: POOLINGS[name](noise(2, 8, 6, 7), rois), (ROIS,), (ROIS,))


@pytest.mark.parametrize("name", [*OVERLAPS, "rotated"])
def test_overlaps(name) -> None:
    overlap = OVERLAPS.get(name, box_iou_rotated)
    make = turned if name == "rotated" else boxes
    one, two = make(5, 0), make(4, 1)
    width = one.shape[1]
    moves = noise(5, width, seed=2), noise(4, width, seed=3)
    primal, tangent = torch.func.jvp(overlap, (one, two), moves)
    torch.testing.assert_close(primal, overlap(one, two))
    _, pull = torch.func.vjp(overlap, one, two)
    weights = noise(5, 4, seed=4)
    by_reverse = sum((grad * move).sum() for grad, move in zip(pull(weights), moves, strict=True))
    torch.testing.assert_close((weights * tangent).sum(), by_reverse)
    _, of_one = torch.func.jvp(lambda one: overlap(one, two), (one,), moves[:1])
    _, of_two = torch.func.jvp(lambda two: overlap(one, two), (two,), moves[1:])
    torch.testing.assert_close(of_one + of_two, tangent)
    jacobian = torch.func.jacfwd(lambda one: overlap(one, two))(one)
    torch.testing.assert_close(jacobian, torch.func.jacrev(lambda one: overlap(one, two))(one))
    half = torch.func.jvp(overlap, (one.float(), two.float()), tuple(move.float() for move in moves))[1]
    torch.testing.assert_close(half, tangent.float(), atol=1e-4, rtol=1e-4)


def test_compiled() -> None:
    input, direction = noise(2, 8, 6, 7), noise(2, 8, 6, 7, seed=1)

    def both(input, direction):
        return torch.func.jvp(lambda one: POOLINGS["roi_align"](one, ROIS), (input,), (direction,))

    torch._dynamo.reset()
    found = torch.compile(both, fullgraph=True, backend="aot_eager")(input, direction)
    torch.testing.assert_close(found, both(input, direction))
