"""What all detectors share: the base class, anchors, targets, and the choice of the boxes that are returned.

Boxes are xyxy in pixels of the network's input, whose first pixel's centre is at 0.5. torchvision's anchors
are not used: they lie on the corners of cells instead of their centres, and at wrong distances where the
input's side is no multiple of the stride.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, cast

import torch
from torch import nn

import ops
from pipeline.networks.timm_network import FeatureNetwork

CANDIDATES = 2000
"""Best boxes of an image that take part in the suppression."""
LEAST_SIDE = 0.01
"""Sides in pixels below which a box counts as empty."""

Targets = Sequence[dict[str, torch.Tensor]]
"""For each image ``boxes`` float (K, 4), ``labels`` int64 (K,) from 0, and, for a network with masks,
``masks`` uint8 (K, S, S) of 0 and 1."""
Detections = list[dict[str, torch.Tensor]]
"""For each image ``boxes`` float32 (K, 4), ``scores`` float32 (K,), descending, ``labels`` int64 (K,), and,
from a network with masks, ``masks`` bool (K, S, S)."""


@dataclass(frozen=True)
class Trunk:
    """What a detector stands on.

    Attributes
    ----------
    backbone : timm network that gives a list of features.
    picked : which of them are used, finest first.
    channels : of each that is picked.
    pretrained_cfg : the backbone's preprocessing, in timm's terms.
    """

    backbone: nn.Module
    picked: Sequence[int]
    channels: Sequence[int]
    pretrained_cfg: dict[str, Any]


class Detector(nn.Module, ABC):
    """A timm backbone and whatever finds boxes in its features."""

    raw_are_boxes: ClassVar[bool] = True
    """Whether `raw` gives ``scores`` and ``boxes`` as `suppress` takes them."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        self.backbone, self.picked = trunk.backbone, list(trunk.picked)
        self.pretrained_cfg = trunk.pretrained_cfg

    def get_classifier(self) -> tuple[nn.Module, ...]:
        """All that is not the backbone, none of it pretrained."""
        return tuple(child for name, child in self.named_children() if name != "backbone")

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """(N, 3, S, S) to the backbone's features (N, C, H, W), finest first."""
        found = self.backbone(images)
        channels = cast(FeatureNetwork, self.backbone).feature_info.channels()
        # Some transformers put the channels last.
        ordered = [
            feature if feature.shape[1] == count else feature.permute(0, 3, 1, 2)
            for feature, count in zip(found, channels, strict=True)
        ]
        return [ordered[i] for i in self.picked]

    def forward(self, images: torch.Tensor, targets: Targets | None = None) -> dict[str, torch.Tensor]:
        """With targets the `losses`; without them the raw outputs, tensors of fixed sizes to export."""
        return self.raw(images) if targets is None else self.losses(images, targets)

    @abstractmethod
    def raw(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the boxes of images (N, 3, S, S) are chosen from, float32."""

    @abstractmethod
    def losses(self, images: torch.Tensor, targets: Targets) -> dict[str, torch.Tensor]:
        """Float32 scalars whose sum training minimises.

        Images without boxes are legal, also a batch of them. Boxes without area count for nothing.
        """

    @torch.no_grad()
    def detect(
        self,
        images: torch.Tensor,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_boxes: int = 100,
        sizes: Sequence[tuple[int, int]] | None = None,
    ) -> Detections:
        """Find boxes. Needs evaluation mode.

        Parameters
        ----------
        images : (N, 3, S, S), normalised.
        score_threshold : boxes need a greater score, from 0 to 1.
        iou_threshold : a box goes where its IoU with a better one, of its class, is greater than this.
        max_boxes : most boxes of an image.
        sizes : height and width that each image takes of the input, from its upper left corner, where the
            rest is padding; boxes are cut to it.

        Raises
        ------
        RuntimeError : in training mode, where results would depend on the rest of the batch.
        """
        if self.training:
            raise RuntimeError("detect needs evaluation mode: call model.eval() before")
        borders = image_borders(images, sizes)
        return self.choose(images, borders, score_threshold, iou_threshold, max_boxes)

    def choose(
        self,
        images: torch.Tensor,
        borders: torch.Tensor,
        score_threshold: float,
        iou_threshold: float,
        max_boxes: int,
    ) -> Detections:
        """`detect`, with `borders` from `image_borders`."""
        raw = self.raw(images)
        return suppress(raw["scores"], raw["boxes"], borders, score_threshold, iou_threshold, max_boxes)

    def padded(
        self,
        images: torch.Tensor,
        borders: torch.Tensor,
        score_threshold: float,
        iou_threshold: float,
        max_boxes: int,
    ) -> dict[str, torch.Tensor]:
        """`choose` as tensors of fixed sizes, to export, of a detector whose `raw` are boxes.

        Returns
        -------
        ``boxes`` (N, max_boxes, 4), ``scores`` (N, max_boxes) and ``labels`` (N, max_boxes); where there are
        fewer boxes, zeros, and -1 for labels.
        """
        raw = self.raw(images)
        found = ranked(raw["scores"], raw["boxes"], borders, score_threshold, iou_threshold, max_boxes)
        there, rows = found.kept >= 0, found.kept.clamp(min=0)
        boxes = found.boxes.gather(1, rows[..., None].expand(-1, -1, 4))
        return {
            "boxes": torch.where(there[..., None], boxes, 0.0),
            "scores": torch.where(there, found.scores.gather(1, rows), 0.0),
            "labels": torch.where(there, found.labels.gather(1, rows), -1),
        }


def flatten(maps: Sequence[torch.Tensor], values: int) -> torch.Tensor:
    """Levels (N, A * values, H, W) to (N, sum of H * W * A, values), row by row, float32."""
    return torch.cat([m.permute(0, 2, 3, 1).reshape(m.shape[0], -1, values) for m in maps], dim=1).float()


def grid_points(maps: Sequence[torch.Tensor], strides: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres (P, 2) as x, y, and strides (P,), of all cells of the levels, row by row, float32."""
    points, steps = [], []
    for level, stride in zip(maps, strides, strict=True):
        y, x = ((torch.arange(side, device=level.device) + 0.5) * stride for side in level.shape[2:])
        points.append(torch.cartesian_prod(y, x).flip(1))
        steps.append(torch.full((len(points[-1]),), float(stride), device=level.device))
    return torch.cat(points), torch.cat(steps)


def grid_anchors(
    maps: Sequence[torch.Tensor], strides: Sequence[int], sides: Sequence[float], ratios: Sequence[float]
) -> torch.Tensor:
    """Anchors (sum of H * W * A, 4) of all cells, not cut at the border.

    Parameters
    ----------
    sides : square roots of their areas, in strides.
    ratios : of height to width. A is the number of pairs of a side and a ratio.
    """
    points, steps = grid_points(maps, strides)
    shapes = [(side / ratio**0.5, side * ratio**0.5) for side in sides for ratio in ratios]
    half = torch.tensor(shapes, device=points.device)[None] * steps[:, None, None] / 2
    return torch.cat((points[:, None] - half, points[:, None] + half), dim=2).reshape(-1, 4)


def real_targets(targets: Targets, images: torch.Tensor) -> list[dict[str, torch.Tensor]]:
    """Targets with float32 boxes, without those that have no area inside the input.

    Such a box has an IoU of 0 with every anchor, so every anchor would be the one closest to it.
    """
    height, width = images.shape[2:]
    found = []
    for target in targets:
        boxes = target["boxes"].float().reshape(-1, 4)
        inside = ops.clip_boxes(boxes, (height, width), validate=False)
        real = ((inside[:, 2:] - inside[:, :2]) > LEAST_SIDE).all(dim=1)
        kept = {name: value[real] for name, value in target.items() if name in ("labels", "masks")}
        found.append({"boxes": boxes[real], **kept})
    return found


def image_borders(images: torch.Tensor, sizes: Sequence[tuple[int, int]] | None) -> torch.Tensor:
    """(N, 1, 4): right, bottom, right, bottom border of each image in the input."""
    if sizes is None:
        height, width = images.shape[2:]
        whole = torch.tensor([width, height, width, height], dtype=torch.float32, device=images.device)
        return whole.expand(images.shape[0], 1, 4)
    return torch.tensor([[w, h, w, h] for h, w in sizes], dtype=torch.float32, device=images.device)[:, None]


def cut(boxes: torch.Tensor, borders: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes (N, M, 4) cut to their images, and where there is something left of them (N, M)."""
    boxes = boxes.clamp(min=0).minimum(borders)
    return boxes, ((boxes[..., 2:] - boxes[..., :2]) > LEAST_SIDE).all(dim=-1)


class Ranked(NamedTuple):
    """Candidates of each image (N, M, ...), and which of them are kept (N, K), -1 padded, with their
    counts."""

    boxes: torch.Tensor
    scores: torch.Tensor
    labels: torch.Tensor
    kept: torch.Tensor
    counts: torch.Tensor


def ranked(
    scores: torch.Tensor,
    boxes: torch.Tensor,
    borders: torch.Tensor,
    score_threshold: float,
    iou_threshold: float,
    max_boxes: int,
) -> Ranked:
    """The best boxes of each image and class, by one suppression of the whole batch.

    Parameters
    ----------
    scores : (N, A, C), from 0 to 1.
    boxes : (N, A, 4), or (N, A, C, 4) where each class has its own.
    borders : see `image_borders`.
    """
    classes = scores.shape[2]
    flat = scores.flatten(1)
    best, place = flat.topk(min(CANDIDATES, flat.shape[1]), dim=1)
    row = place if boxes.dim() == 4 else place // classes
    candidates = boxes.reshape(boxes.shape[0], -1, 4).gather(1, row[..., None].expand(-1, -1, 4))
    candidates, real = cut(candidates, borders)
    labels = place % classes
    kept, counts = ops.nms_padded(
        candidates, best, torch.where(real, labels, -1), iou_threshold, max_boxes, min_score=score_threshold
    )
    return Ranked(candidates, best, labels, kept, counts)


def suppress(
    scores: torch.Tensor,
    boxes: torch.Tensor,
    borders: torch.Tensor,
    score_threshold: float,
    iou_threshold: float,
    max_boxes: int,
) -> Detections:
    """The boxes that `ranked` keeps, an image at a time."""
    candidates, best, labels, kept, counts = ranked(
        scores, boxes, borders, score_threshold, iou_threshold, max_boxes
    )
    found = []
    for i, count in enumerate(counts.tolist()):
        rows = kept[i, :count]
        found.append({"boxes": candidates[i, rows], "scores": best[i, rows], "labels": labels[i, rows]})
    return found
