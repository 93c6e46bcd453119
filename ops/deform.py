"""Deformable convolution, versions 1 and 2: the taps of the kernel are moved, and weighted, by the input."""

from collections.abc import Sequence

import torch

from ops import reference_deform
from ops._library import define, dual_of, register_derivative, tangent_of
from ops.checks import check_float, check_number, check_shape, check_together
from ops.direct import traceable
from ops.reference import computed
from ops.roi_boxes import as_pair, check_pixels

_HOW = (
    "int kernel_height, int kernel_width, int stride_y, int stride_x, int padding_y, int padding_x, "
    "int dilation_y, int dilation_x"
)
_columns = define(
    f"deform_columns(Tensor input, Tensor offset, Tensor? mask, {_HOW}) -> Tensor",
    reference_deform.deform_columns,
)
_columns_backward = define(
    f"deform_columns_backward(Tensor grad, Tensor input, Tensor offset, Tensor? mask, {_HOW}) -> "
    "(Tensor, Tensor, Tensor)",
    reference_deform.deform_columns_backward,
)


@torch.library.register_fake("podium::deform_columns")
def _(input, offset, mask, kernel_height, kernel_width, *how):
    channels = input.shape[1] * kernel_height * kernel_width
    return input.new_empty((input.shape[0], channels, offset.shape[2] * offset.shape[3]))


@torch.library.register_fake("podium::deform_columns_backward")
def _(grad, input, offset, mask, *how):
    of_mask = input.new_empty(0 if mask is None else mask.shape)
    return input.new_empty(input.shape), input.new_empty(offset.shape), of_mask


def _keep(ctx, inputs, output):
    input, offset, mask, *ctx.how = inputs
    ctx.save_for_backward(input, offset, mask)


def _gradient(ctx, grad):
    input, offset, mask = ctx.saved_tensors
    *grads, of_mask = _columns_backward(grad, input, offset, mask, *ctx.how)
    return *grads, None if mask is None else of_mask, *[None] * 8


def _tangent(primals, tangents, _):
    duals = [dual_of(*pair) for pair in zip(primals[:3], tangents[:3], strict=True)]
    return tangent_of(reference_deform.deform_columns(*duals, *primals[3:]))


def _keep_backward(ctx, inputs, output):
    grad, input, offset, mask, *ctx.how = inputs
    ctx.save_for_backward(grad, input, offset, mask)


def _gradient_of_backward(ctx, *grads):
    grad, input, offset, mask = ctx.saved_tensors
    if mask is None:

        def unmasked(grad: torch.Tensor, input: torch.Tensor, offset: torch.Tensor) -> tuple:
            return reference_deform.deform_columns_backward(grad, input, offset, None, *ctx.how)[:2]

        pull = torch.func.vjp(unmasked, grad, input, offset)[1]
        return *pull(grads[:2]), None, *[None] * 8
    pull = torch.func.vjp(
        lambda *four: reference_deform.deform_columns_backward(*four, *ctx.how), grad, input, offset, mask
    )[1]
    return *pull(grads), *[None] * 8


def _tangent_of_backward(primals, tangents, _):
    duals = [dual_of(*pair) for pair in zip(primals[:4], tangents[:4], strict=True)]
    return tuple(map(tangent_of, reference_deform.deform_columns_backward(*duals, *primals[4:])))


register_derivative(_columns, _gradient, _keep, _tangent)
register_derivative(_columns_backward, _gradient_of_backward, _keep_backward, _tangent_of_backward)


@traceable
def deform_conv2d(
    input: torch.Tensor,
    offset: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    mask: torch.Tensor | None = None,
    validate: bool = True,
) -> torch.Tensor:
    """Deformable convolution (arXiv 1703.06211), and with a mask its second version (arXiv 1811.11168).

    Each tap of the kernel looks where its offset says, between pixels by bilinear interpolation; what is
    outside counts as 0. Groups follow from the shapes, as in torchvision: those of the convolution from
    `weight`, those of channels that share offsets from `offset`.

    Parameters
    ----------
    input : (N, C, H, W), any floating type; computed in float64 for float64 and in float32 otherwise.
    offset : (N, 2 * groups * kh * kw, out height, out width): for each group and tap y, then x, in pixels.
    weight : (O, C / groups of the convolution, kh, kw).
    bias : (O,) or None.
    stride, padding, dilation : as one number or for height and width.
    mask : (N, groups * kh * kw, out height, out width), which multiplies what a tap sees; None for 1.
    validate : check the arguments.

    Returns
    -------
    (N, O, out height, out width) of input's type. Differentiable in all tensors, in both modes, twice.

    Raises
    ------
    ValueError
        On a wrong shape, type or device, or sizes that are not positive.
    """
    strides, paddings, dilations = as_pair(stride), as_pair(padding), as_pair(dilation)
    if validate:
        _check(input, offset, weight, bias, mask, strides, paddings, dilations)
    height, width = weight.shape[2:]
    type_of = computed(input[:0]).dtype
    columns = _columns(
        input.to(type_of), offset.to(type_of), None if mask is None else mask.to(type_of),
        height, width, *strides, *paddings, *dilations,
    )  # fmt: skip
    groups = input.shape[1] // weight.shape[1] if weight.shape[1] else 1
    columns = columns.reshape(
        input.shape[0], groups, weight.shape[1] * height * width, offset.shape[2] * offset.shape[3]
    )
    rows = weight.to(type_of).reshape(groups, weight.shape[0] // groups, columns.shape[2])
    out = (rows @ columns).reshape(input.shape[0], weight.shape[0], *offset.shape[2:])
    if bias is not None:
        out = out + bias.to(type_of)[:, None, None]
    return out.to(input.dtype)


def _check(
    input: torch.Tensor,
    offset: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    mask: torch.Tensor | None,
    strides: tuple[int, int],
    paddings: tuple[int, int],
    dilations: tuple[int, int],
) -> None:
    check_float("input", input, (None, None, None, None))
    check_float("weight", weight, (None, None, None, None))
    check_float("offset", offset, (input.shape[0], None, None, None))
    check_pixels(input)
    tensors = {"input": input, "offset": offset, "weight": weight, "bias": bias, "mask": mask}
    check_together(**{name: one for name, one in tensors.items() if one is not None})
    for name, pair, least in (("stride", strides, 1), ("padding", paddings, 0), ("dilation", dilations, 1)):
        for number in pair:
            check_number(name, number, least, 2**30)
    (outputs, inputs, *kernel), channels = weight.shape, input.shape[1]
    if min(weight.shape) < 1 or channels % inputs or outputs % max(channels // inputs, 1):
        raise ValueError(f"weight {tuple(weight.shape)} fits no number of groups of {channels} channels")
    size = [
        (input.shape[2 + d] + 2 * paddings[d] - dilations[d] * (kernel[d] - 1) - 1) // strides[d] + 1
        for d in range(2)
    ]
    if min(size) < 1:
        raise ValueError(f"the kernel {tuple(kernel)} is larger than the padded input")
    taps = kernel[0] * kernel[1]
    groups = offset.shape[1] // (2 * taps)
    if groups < 1 or offset.shape[1] % (2 * taps) or channels % groups:
        raise ValueError(
            f"offset has {offset.shape[1]} channels: there must be {2 * taps} for each group of {channels}"
        )
    check_shape("offset", offset, (input.shape[0], offset.shape[1], *size))
    if mask is not None:
        check_float("mask", mask, (input.shape[0], groups * taps, *size))
    if bias is not None:
        check_float("bias", bias, (outputs,))
