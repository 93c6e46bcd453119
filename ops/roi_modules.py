"""RoI operators as modules, with torchvision's constructors and calls, so that they can take their places."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from ops.direct import traceable
from ops.roi import multiscale_roi_align, roi_align
from ops.roi_boxes import Boxes, as_pair
from ops.roi_pool import roi_pool


class RoIAlign(nn.Module):
    """`ops.roi.roi_align` with fixed settings. Called with input (N, C, H, W) and boxes."""

    def __init__(
        self,
        output_size: int | Sequence[int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
        *,
        validate: bool = True,
    ):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned
        self.validate = validate

    def forward(self, input: torch.Tensor, rois: Boxes) -> torch.Tensor:
        """Pool: (K, C, height, width)."""
        return roi_align(
            input,
            rois,
            self.output_size,
            self.spatial_scale,
            self.sampling_ratio,
            self.aligned,
            self.validate,
        )

    def extra_repr(self) -> str:
        """The settings, in torchvision's words."""
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned}"
        )


class RoIPool(nn.Module):
    """`ops.roi_pool.roi_pool` with fixed settings. Called with input (N, C, H, W) and boxes."""

    def __init__(self, output_size: int | Sequence[int], spatial_scale: float, *, validate: bool = True):
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.validate = validate

    def forward(self, input: torch.Tensor, rois: Boxes) -> torch.Tensor:
        """Pool: (K, C, height, width)."""
        return roi_pool(input, rois, self.output_size, self.spatial_scale, self.validate)

    def extra_repr(self) -> str:
        """The settings, in torchvision's words."""
        return f"output_size={self.output_size}, spatial_scale={self.spatial_scale}"


class MultiScaleRoIAlign(nn.Module):
    """RoIAlign on the pyramid level that fits each box: `ops.roi.multiscale_roi_align`.

    Set ``model.roi_heads.box_roi_pool`` of a built torchvision detector to it; the constructors of those
    insist on their own class.

    Parameters
    ----------
    featmap_names : which of the feature maps to pool from.
    output_size : bins, as one number or as height and width.
    sampling_ratio : as for `ops.roi.roi_align`.
    canonical_scale, canonical_level : a box size, and the level it belongs to (arXiv 1612.03144, equation 1).
    validate : check arguments at each call. Reading the values of boxes waits for a GPU.
    """

    def __init__(
        self,
        featmap_names: list[str],
        output_size: int | Sequence[int],
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
        validate: bool = True,
    ):
        super().__init__()
        self.featmap_names = featmap_names
        self.output_size = as_pair(output_size)
        self.sampling_ratio = sampling_ratio
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level
        self.validate = validate

    def forward(
        self, x: dict[str, torch.Tensor], boxes: list[torch.Tensor], image_shapes: list[tuple[int, int]]
    ) -> torch.Tensor:
        """Pool.

        Parameters
        ----------
        x : feature maps (N, C, H, W) by name, finest first.
        boxes : for each image (L, 4) as x1, y1, x2, y2, in pixels of the image.
        image_shapes : height and width of each image. With the heights of the feature maps they say at which
            power of two each level is.

        Returns
        -------
        (sum of L, C, height, width).
        """
        return pool_pyramid(
            x,
            boxes,
            image_shapes,
            self.featmap_names,
            self.output_size,
            self.sampling_ratio,
            canonical_scale=self.canonical_scale,
            canonical_level=self.canonical_level,
            validate=self.validate,
        )

    def extra_repr(self) -> str:
        """The settings, in torchvision's words."""
        return (
            f"featmap_names={self.featmap_names}, output_size={self.output_size}, "
            f"sampling_ratio={self.sampling_ratio}"
        )


@traceable
def pool_pyramid(
    x: dict[str, torch.Tensor],
    boxes: list[torch.Tensor],
    image_shapes: list[tuple[int, int]],
    featmap_names: list[str],
    output_size: tuple[int, int],
    sampling_ratio: int,
    **how: float,
) -> torch.Tensor:
    """What `MultiScaleRoIAlign` does; `how` goes on to `ops.roi.multiscale_roi_align`. A function, so that
    torch.fx can leave it whole."""
    if not image_shapes:
        raise ValueError("image_shapes must not be empty")
    features = [feature for name, feature in x.items() if name in featmap_names]
    tallest = max(height for height, _ in image_shapes)
    scales = [2.0 ** round(math.log2(feature.shape[-2] / tallest)) for feature in features]
    return multiscale_roi_align(features, boxes, output_size, scales, sampling_ratio, **how)
