"""FCOS (arXiv 1904.01355): every cell of a pyramid predicts one box and its class, without anchors.

With the paper's later improvements: sampling around the centres, GIoU loss weighted by centerness, and
centerness beside the box instead of the class.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from pipeline.networks.detection.one_stage import STRIDES, OneStage
from pipeline.networks.detection.parts import Targets, Trunk, flatten, grid_points, real_targets

RADIUS = 1.5
"""Cells further than this many strides from a box's centre, along either axis, do not predict it."""
REACH = 8
"""A level's boxes reach up to this many strides from their cells, and beyond those of the level before."""
LARGEST_LOG = 4.0
"""Distances stay below e^4 strides: an exponential of anything could overflow."""


class Fcos(OneStage):
    """See the module. ``raw`` gives ``scores`` (N, P, C) and ``boxes`` (N, P, 4)."""

    def __init__(self, trunk: Trunk, num_classes: int) -> None:
        super().__init__(trunk, num_classes, boxes=1, values=5)  # distances to the four sides, centerness
        self.scales = nn.ParameterList(torch.ones(()) for _ in STRIDES)

    def heads(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Class logits (N, P, C), logarithms of distances in strides (N, P, 4), centerness logits (N, P);
        centres (P, 2) and strides (P,)."""
        logits, outputs = self.outputs(images)
        distances = [output[:, :4] * scale for output, scale in zip(outputs, self.scales, strict=True)]
        centerness = flatten([output[:, 4:] for output in outputs], 1)[..., 0]
        return logits, flatten(distances, 4), centerness, *grid_points(outputs, STRIDES)

    def raw(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """See the class. A score is the geometric mean of class probability and centerness."""
        logits, distances, centerness, points, steps = self.heads(images)
        scores = (logits.sigmoid() * centerness.sigmoid()[..., None]).sqrt()
        return {"scores": scores, "boxes": decode(distances, points, steps)}

    def losses(self, images: torch.Tensor, targets: Targets) -> dict[str, torch.Tensor]:
        """``class_loss``, ``box_loss`` and ``centerness_loss``; see Detector."""
        logits, distances, centerness, points, steps = self.heads(images)
        with torch.autocast(images.device.type, enabled=False):
            truth, wanted, found = torch.zeros_like(logits), [], []
            for i, target in enumerate(real_targets(targets, images)):
                box = assign(points, steps, target["boxes"])
                cells = (box >= 0).nonzero()[:, 0]
                truth[i, cells, target["labels"][box[cells]]] = 1
                wanted.append(target["boxes"][box[cells]])
                found.append((torch.full_like(cells, i), cells))
            image, cell = (torch.cat(parts) for parts in zip(*found, strict=True))
            boxes = torch.cat(wanted)
            weights = centerness_of(points[cell], boxes)
            overlap = generalized_box_iou_loss(
                decode(distances[image, cell], points[cell], steps[cell]), boxes
            )
            count = max(len(cell), 1)
            centre = F.binary_cross_entropy_with_logits(centerness[image, cell], weights, reduction="sum")
            return {
                "class_loss": sigmoid_focal_loss(logits, truth, reduction="sum") / count,
                "box_loss": (overlap * weights).sum() / weights.sum().clamp(min=1e-6),
                "centerness_loss": centre / count,
            }


def decode(distances: torch.Tensor, points: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Boxes (..., P, 4) from logarithms (..., P, 4) of the distances to the left, top, right and bottom."""
    sides = distances.clamp(max=LARGEST_LOG).exp() * steps[:, None]
    return torch.cat((points - sides[..., :2], points + sides[..., 2:]), dim=-1)


def assign(points: torch.Tensor, steps: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """For each cell (P,) which of boxes (K, 4) it predicts, or -1: of all it may, the smallest."""
    if len(boxes) == 0:
        return torch.full((len(points),), -1, dtype=torch.int64, device=points.device)
    low, high = points[:, None] - boxes[None, :, :2], boxes[None, :, 2:] - points[:, None]  # (P, K, 2)
    step, largest = steps[:, None], torch.maximum(low, high).amax(dim=2)
    off = (points[:, None] - (boxes[:, :2] + boxes[:, 2:]) / 2).abs().amax(dim=2)
    first, last = step == STRIDES[0], step == STRIDES[-1]
    fits = ((largest > REACH / 2 * step) | first) & ((largest <= REACH * step) | last)
    fits &= (torch.minimum(low, high).amin(dim=2) > 0) & (off < RADIUS * step)
    area = torch.where(fits, (boxes[:, 2:] - boxes[:, :2]).prod(dim=1), torch.inf)
    least, box = area.min(dim=1)
    return torch.where(least.isfinite(), box, -1)


def centerness_of(points: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """(P,): 1 for a point (P, 2) in the centre of its box (P, 4), 0 on its border (equation 3)."""
    low, high = points - boxes[:, :2], boxes[:, 2:] - points
    return (torch.minimum(low, high) / torch.maximum(low, high)).prod(dim=1).clamp(min=0).sqrt()
