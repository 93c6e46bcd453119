"""RoIAlign of rotated boxes."""

from collections.abc import Sequence

import torch
from torch import nn

from ops import reference_deform
from ops._library import define, register_derivative, tangent_of_linear
from ops.box_formats import check_sizes
from ops.checks import can_look, check_finite, check_float, check_number, check_together
from ops.direct import traceable
from ops.roi_boxes import MOST_SAMPLES, as_pair, check_pixels, check_scale

_BINS = "float spatial_scale, SymInt pooled_height, SymInt pooled_width, int sampling_ratio"
_forward = define(
    f"roi_align_rotated(Tensor input, Tensor rois, {_BINS}) -> Tensor",
    reference_deform.roi_align_rotated,
)
_backward = define(
    f"roi_align_rotated_backward(Tensor grad, Tensor rois, {_BINS}, SymInt batch, SymInt channels, "
    "SymInt height, SymInt width) -> Tensor",
    reference_deform.roi_align_rotated_backward,
)


@torch.library.register_fake("podium::roi_align_rotated")
def _(input, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio):
    return input.new_empty((rois.shape[0], input.shape[1], pooled_height, pooled_width))


@torch.library.register_fake("podium::roi_align_rotated_backward")
def _(grad, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, *size):
    return grad.new_empty(size)


def _keep(ctx, inputs, output):
    image, rois, *ctx.how = inputs
    ctx.save_for_backward(rois)
    ctx.shape = image.shape


def _gradient(ctx, grad):
    (rois,) = ctx.saved_tensors
    return _backward(grad, rois, *ctx.how, *ctx.shape), *[None] * 5


def _keep_backward(ctx, inputs, output):
    _, rois, *ctx.how = inputs
    ctx.save_for_backward(rois)


def _gradient_of_backward(ctx, grad):
    # The operator is linear in its first argument, so the derivative of the transpose is the operator.
    (rois,) = ctx.saved_tensors
    return _forward(grad, rois, *ctx.how[:4]), *[None] * 9


register_derivative(_forward, _gradient, _keep, tangent_of_linear(_forward))
register_derivative(_backward, _gradient_of_backward, _keep_backward, tangent_of_linear(_backward))
for _device in ("cpu", "cuda"):
    torch.library.register_autocast("podium::roi_align_rotated", _device, torch.float32)


@traceable
def roi_align_rotated(
    input: torch.Tensor,
    boxes: torch.Tensor,
    output_size: int | Sequence[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    validate: bool = True,
) -> torch.Tensor:
    """RoIAlign of rotated boxes (RRPN, arXiv 1703.01086; detectron2's RoIAlignRotated): each bin averages
    bilinear samples of a grid that is turned with its box.

    Parameters
    ----------
    input : (N, C, H, W), any floating type; computed in float64 for float64 and in float32 otherwise.
    boxes : (K, 6), any floating type: image index, cx, cy, w, h, degrees, counter-clockwise as seen (see
        `ops.rotated`). Half a pixel is always taken off the coordinates, as by ``aligned`` of `roi_align`.
    output_size : bins along height and width of the box, as one number or two.
    spatial_scale : factor from the coordinates of `boxes` to those of `input`.
    sampling_ratio : samples along each side of a bin; 0 or less for as many as it spans pixels, rounded up,
        at most 4096.
    validate : check the arguments. Reading the values of `boxes` waits for a GPU.

    Returns
    -------
    (K, C, height, width) of input's type. Samples more than a pixel outside count as 0, and those up to a
    pixel outside take the border. Differentiable in `input`, any number of times.

    Raises
    ------
    ValueError
        Wrong shapes, types or devices; NaN, infinity, a negative size or an image that does not exist in
        `boxes`. Without `validate`, such a RoI gives zeros.
    """
    height, width = as_pair(output_size)
    if validate:
        check_float("input", input, (None, None, None, None))
        check_float("boxes", boxes, (None, 6))
        check_together(input=input, boxes=boxes)
        check_pixels(input)
        check_scale(spatial_scale)
        for side, size in (("height", height), ("width", width)):
            check_number(f"output {side}", size, 1, 2**15)
        check_number("sampling_ratio", max(sampling_ratio, 0), 0, MOST_SAMPLES)
        check_finite("boxes", boxes)
        check_sizes("boxes", boxes[:, 3:5])
        _check_images(input, boxes)
    return _forward(input, boxes, spatial_scale, height, width, sampling_ratio)


def _check_images(input: torch.Tensor, boxes: torch.Tensor) -> None:
    if not can_look(boxes) or boxes.shape[0] == 0:
        return
    low, high = (int(bound) for bound in boxes[:, 0].aminmax())
    if low < 0 or high >= input.shape[0]:
        raise ValueError(f"boxes name images {low} to {high}, but input has {input.shape[0]} of them, from 0")


class RoIAlignRotated(nn.Module):
    """`roi_align_rotated` with fixed settings, detectron2's constructor. Called with input (N, C, H, W) and
    boxes (K, 6)."""

    def __init__(
        self,
        output_size: int | Sequence[int],
        spatial_scale: float,
        sampling_ratio: int,
        *,
        validate: bool = True,
    ):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.validate = validate

    def forward(self, input: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
        """Pool: (K, C, height, width)."""
        return roi_align_rotated(
            input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.validate
        )

    def extra_repr(self) -> str:
        """The settings."""
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}"
        )
