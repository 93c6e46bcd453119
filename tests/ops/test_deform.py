"""Deformable convolution: loops as in the papers, torchvision, derivatives, and what operators must do."""

import math
import os
import subprocess
import sys

import pytest
import torch
import torchvision
from torch.autograd import gradcheck, gradgradcheck

from ops import deform_conv2d, reference_deform

OPS = torch.ops.podium
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.needs_cuda)]
WAYS = [
    {"stride": 1, "padding": 1, "dilation": 1},
    {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)},
]


def sample(
    way, groups=1, offsets=1, kernel=(3, 2), channels=6, size=(7, 9), seed=0, spread=2.0, dtype=torch.float64
):
    """input, offset, weight, bias, mask; many samples are outside."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    pairs = [value if isinstance(value, tuple) else (value, value) for value in way.values()]
    (sy, sx), (py, px), (dy, dx) = pairs
    out = (
        (size[0] + 2 * py - dy * (kernel[0] - 1) - 1) // sy + 1,
        (size[1] + 2 * px - dx * (kernel[1] - 1) - 1) // sx + 1,
    )
    taps = kernel[0] * kernel[1]
    return (
        noise(2, channels, *size),
        noise(2, 2 * offsets * taps, *out) * spread,
        noise(4, channels // groups, *kernel),
        noise(4),
        noise(2, offsets * taps, *out).sigmoid(),
    )


def slowly(input, offset, weight, bias, mask, stride, padding, dilation):
    """One number at a time."""
    (sy, sx), (py, px), (dy, dx) = (
        one if isinstance(one, tuple) else (one, one) for one in (stride, padding, dilation)
    )
    images, channels, height, width = input.shape
    outputs, per_group, rows, columns = weight.shape
    taps = rows * columns
    shared = channels // (offset.shape[1] // (2 * taps))
    out = bias[None, :, None, None].expand(images, outputs, *offset.shape[2:]).clone()

    def pixel(n, c, y, x):
        return float(input[n, c, y, x]) if 0 <= y < height and 0 <= x < width else 0.0

    for n, o, i, j in torch.cartesian_prod(*map(torch.arange, out.shape)).tolist():
        first = o // (outputs // (channels // per_group)) * per_group
        for c in range(per_group):
            for tap in range(taps):
                at = (first + c) // shared * taps + tap
                y = i * sy - py + tap // columns * dy + float(offset[n, 2 * at, i, j])
                x = j * sx - px + tap % columns * dx + float(offset[n, 2 * at + 1, i, j])
                top, left = math.floor(y), math.floor(x)
                value = sum(
                    (1 - abs(y - row)) * (1 - abs(x - column)) * pixel(n, first + c, row, column)
                    for row in (top, top + 1)
                    for column in (left, left + 1)
                )
                out[n, o, i, j] += (
                    float(weight[o, c, tap // columns, tap % columns] * mask[n, at, i, j]) * value
                )
    return out


def test_equals_loops() -> None:
    for way, groups, offsets in ((WAYS[0], 1, 1), (WAYS[1], 2, 3)):
        given = sample(way, groups, offsets, size=(4, 5), channels=6)
        input, offset, weight, bias, mask = given
        found = deform_conv2d(input, offset, weight, bias, mask=mask, **way)
        torch.testing.assert_close(found, slowly(*given, **way))


def test_without_offsets_it_is_a_convolution() -> None:
    input, offset, weight, bias, _ = sample(WAYS[1], groups=2)
    found = deform_conv2d(input, offset * 0, weight, bias, **WAYS[1])
    torch.testing.assert_close(found, torch.conv2d(input, weight, bias, **WAYS[1], groups=2))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("offsets", [1, 2, 3, 6])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_torchvision_with_its_gradients(way, groups, offsets, masked, dtype) -> None:
    input, offset, weight, bias, mask = sample(way, groups, offsets, dtype=dtype, seed=offsets)
    leaves = [input, offset, weight, bias, *([mask] if masked else [])]
    results = []
    for function in (deform_conv2d, torchvision.ops.deform_conv2d):
        own = [leaf.clone().requires_grad_() for leaf in leaves]
        out = function(*own[:4], mask=own[4] if masked else None, **way)
        results.append((out, *torch.autograd.grad(out.pow(3).sum(), own)))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(
            one, other, **({"rtol": 1e-4, "atol": 2e-3} if dtype == torch.float32 else {})
        )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("masked", [False, True])
def test_compiled_columns_equal_the_reference(masked, device) -> None:
    # Forward and backward, with samples exactly on pixels and on the border, and offsets that lead nowhere.
    input, offset, _, _, mask = (one.to(device) for one in sample(WAYS[0], offsets=2))
    offset[0], offset[1, :4] = offset[0].round(), float("nan")
    offset[1, 5:7], offset[1, 8] = float("inf"), 1e30
    mask, how = (mask if masked else None), (3, 2, 1, 1, 1, 1, 1, 1)
    for dtype in (torch.float64, torch.float32):
        given = (input.to(dtype), offset.to(dtype), None if mask is None else mask.to(dtype))
        found = OPS.deform_columns(*given, *how)
        torch.testing.assert_close(found, reference_deform.deform_columns(*given, *how))
        assert found.isfinite().all()
        grad = torch.randn(found.shape, dtype=dtype, device=device)
        for one, other in zip(
            OPS.deform_columns_backward(grad, *given, *how),
            reference_deform.deform_columns_backward(grad, *given, *how),
            strict=True,
        ):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("masked", [False, True])
def test_the_reference_gradients_are_those_of_the_reference(masked) -> None:
    input, offset, _, _, mask = sample(WAYS[1], offsets=3)
    given, how = (input, offset, *([mask] if masked else [])), (3, 2, 2, 1, 0, 2, 1, 2)

    def columns(input, offset, mask=None):
        return reference_deform.deform_columns(input, offset, mask, *how)

    out, pull = torch.func.vjp(columns, *given)
    grad = torch.randn_like(out)
    found = reference_deform.deform_columns_backward(grad, input, offset, mask if masked else None, *how)
    torch.testing.assert_close(found[: len(given)], pull(grad))


@pytest.mark.parametrize("masked", [False, True])
def test_derivatives(masked) -> None:
    given = sample(WAYS[1], 2, 2, kernel=(2, 1), channels=4, size=(4, 4), spread=0.7)
    leaves = [one.requires_grad_() for one in given]
    leaves = leaves if masked else leaves[:4]

    def convolve(input, offset, weight, bias, mask=None):
        return deform_conv2d(input, offset, weight, bias, mask=mask, **WAYS[1])

    assert gradcheck(convolve, leaves, check_forward_ad=True, nondet_tol=1e-9)
    assert gradgradcheck(convolve, leaves, nondet_tol=1e-9, fast_mode=True)
    plain = [leaf.detach() for leaf in leaves]

    def loss(*given):
        return convolve(*given).pow(3).sum()

    moves = tuple(torch.randn_like(one) for one in plain)
    _, both = torch.func.jvp(torch.func.grad(loss, argnums=tuple(range(len(plain)))), tuple(plain), moves)
    grads = torch.autograd.grad(loss(*leaves), leaves, create_graph=True)
    twice = torch.autograd.grad(grads, leaves, moves)
    torch.testing.assert_close(both, twice)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types(dtype) -> None:
    given = [one.to(dtype) for one in sample(WAYS[0])]
    found = deform_conv2d(*given[:4], 1, 1, mask=given[4])
    assert found.dtype == dtype
    expected = deform_conv2d(*(one.double() for one in given[:4]), 1, 1, mask=given[4].double())
    torch.testing.assert_close(found.double(), expected, atol=0.1, rtol=0.02)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = deform_conv2d(given[0].float(), *given[1:4], 1, 1)
    assert mixed.dtype in (torch.float32, torch.bfloat16) and mixed.isfinite().all()


@pytest.mark.slow
def test_opcheck() -> None:
    input, offset, _, _, mask = (
        one.requires_grad_() for one in sample(WAYS[0], offsets=2, dtype=torch.float32)
    )
    how = (3, 2, 1, 1, 1, 1, 1, 1)
    grad = torch.randn(OPS.deform_columns(input, offset, None, *how).shape, requires_grad=True)
    for one in (mask, None):
        torch.library.opcheck(OPS.deform_columns.default, (input, offset, one, *how))
        torch.library.opcheck(OPS.deform_columns_backward.default, (grad, input, offset, one, *how))


def test_compile_and_export() -> None:
    given = sample(WAYS[0], 2, 2, dtype=torch.float32)
    leaf = given[0].clone().requires_grad_()

    def convolve(input, offset, weight, bias, mask):
        return deform_conv2d(input, offset, weight, bias, mask=mask, **WAYS[0])

    expected = convolve(leaf, *given[1:])
    (gradient,) = torch.autograd.grad(expected.square().sum(), leaf)
    torch._dynamo.reset()
    actual = torch.compile(convolve, fullgraph=True, backend="aot_eager")(leaf, *given[1:])
    torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(torch.autograd.grad(actual.square().sum(), leaf)[0], gradient)

    class Module(torch.nn.Module):
        def forward(self, *given):
            return convolve(*given)

    exported = torch.export.export(Module(), given)
    torch.testing.assert_close(exported.module()(*given), convolve(*given))


def test_empty_inputs_and_strides() -> None:
    input, offset, weight, bias, mask = sample(WAYS[0])
    none = deform_conv2d(input[:0], offset[:0], weight, bias, 1, 1, mask=mask[:0])
    assert none.shape == (0, 4, *offset.shape[2:])
    leaf = offset[:0].clone().requires_grad_()
    deform_conv2d(input[:0], leaf, weight, bias, 1, 1).sum().backward()
    assert leaf.grad.shape == leaf.shape
    last = [one.contiguous(memory_format=torch.channels_last) for one in (input, offset, weight)]
    torch.testing.assert_close(
        deform_conv2d(*last, bias, 1, 1, mask=mask),
        deform_conv2d(input, offset, weight, bias, 1, 1, mask=mask),
    )


LEVEL_CODE = """
import sys, torch
from ops import deform_conv2d, roi_align_rotated
convolution, pooling = torch.load(sys.argv[1])
torch.testing.assert_close(deform_conv2d(*convolution[0], 1, 1), convolution[1], atol=1e-4, rtol=1e-4)
torch.testing.assert_close(roi_align_rotated(*pooling[0], 3, 0.5), pooling[1], atol=1e-5, rtol=1e-5)
"""


@pytest.mark.slow
def test_each_instruction_set(tmp_path) -> None:
    given = sample(WAYS[0], dtype=torch.float32)[:4]
    rois = torch.tensor([[0, 5, 6, 8, 4, 30], [1, 3, 3, 20, 7, -75.0]])
    torch.save(
        (
            (given, torchvision.ops.deform_conv2d(*given, 1, 1)),
            ((given[0], rois), reference_deform.roi_align_rotated(given[0], rois, 0.5, 3, 3, -1)),
        ),
        tmp_path / "expected.pt",
    )
    command = [sys.executable, "-c", LEVEL_CODE, str(tmp_path / "expected.pt")]
    for level in ("baseline", "avx2", "avx512"):
        environment = {**os.environ, "PODIUM_CPU": level, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("threads", [1, 3])
def test_same_for_any_number_of_threads(threads) -> None:
    given = [one.requires_grad_() for one in sample(WAYS[0], offsets=2, channels=40, dtype=torch.float32)]

    def gradients():
        out = deform_conv2d(*given[:4], 1, 1, mask=given[4])
        return out, *torch.autograd.grad(out.sum(), [given[0], given[1], given[4]])

    before, expected = torch.get_num_threads(), gradients()
    try:
        torch.set_num_threads(threads)
        for one, other in zip(gradients(), expected, strict=True):
            torch.testing.assert_close(one, other)
    finally:
        torch.set_num_threads(before)


def test_errors() -> None:
    input, offset, weight, bias, mask = sample(WAYS[0])
    for call, words in (
        (lambda: deform_conv2d(input[0], offset, weight, padding=1), "input must have shape"),
        (lambda: deform_conv2d(input, offset, weight, padding=2), "offset must have shape"),
        (lambda: deform_conv2d(input, offset[:1], weight, padding=1), "offset must have shape"),
        (
            lambda: deform_conv2d(input, offset[:, :5], weight, padding=1),
            "offset has 5 channels: there must be 12",
        ),
        (lambda: deform_conv2d(input, offset, weight[:, :4], padding=1), "fits no number of groups of 6"),
        (lambda: deform_conv2d(input, offset, weight, bias[:2], padding=1), "bias must have shape"),
        (lambda: deform_conv2d(input, offset, weight, mask=mask[:, :5], padding=1), "mask must have shape"),
        (lambda: deform_conv2d(input, offset, weight, stride=0), "stride must be from 1"),
        (lambda: deform_conv2d(input, offset, weight, dilation=(1, 0)), "dilation must be from 1"),
        (lambda: deform_conv2d(input, offset, weight, dilation=9), "larger than the padded input"),
        (lambda: deform_conv2d(input.int(), offset, weight), "input must be float16"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    with pytest.raises(RuntimeError):
        OPS.deform_columns(input, offset[:, :5], None, 3, 2, 1, 1, 1, 1, 1, 1)
