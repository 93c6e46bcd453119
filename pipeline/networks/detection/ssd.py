"""A small single-shot detector (SSD, arXiv 1512.02325) on the operators of `ops.anchors`.

Every anchor predicts its class, background among them, and the offset to its box. As in SSDLite (arXiv
1801.04381) the finest features have a stride of 16, so it is cheap, and blind to the smallest objects.
"""

from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

import ops
from pipeline.networks.detection.parts import Detections, Detector, Targets, Trunk, cut, flatten, real_targets
from pipeline.networks.detection.pyramid import CHANNELS, output_conv

SIDES = (0.1, 0.3, 0.55, 0.8, 1.0)
"""Of the anchors of each level, in shares of the image; the last one is beyond the last level."""
RATIOS = (1.0, 2.0, 0.5, 3.0, 1 / 3)
"""Of width to height."""
ANCHORS = len(RATIOS) + 1
"""At each place: all ratios of one side, and a square between this side and the next level's."""
NEGATIVES = 3
"""Background anchors that learn for each anchor with a box: those that are most wrong."""


class Ssd(Detector):
    """See the module. ``raw`` gives ``logits`` (N, A, 1 + C), background first, ``offsets`` (N, A, 4) and
    ``anchors`` (A, 4), in shares of the image."""

    raw_are_boxes: ClassVar[bool] = False

    def __init__(self, trunk: Trunk, num_classes: int) -> None:
        trunk = replace(trunk, picked=trunk.picked[1:], channels=trunk.channels[1:])
        super().__init__(trunk)
        self.num_classes = num_classes
        self.lateral = nn.ModuleList(_block(count, CHANNELS, 1) for count in trunk.channels)
        levels = len(SIDES) - 1
        self.coarser = nn.ModuleList(_block(CHANNELS, CHANNELS, 2) for _ in range(levels - len(self.lateral)))
        self.class_heads = nn.ModuleList(output_conv(ANCHORS * (1 + num_classes)) for _ in range(levels))
        self.box_heads = nn.ModuleList(output_conv(ANCHORS * 4) for _ in range(levels))

    def raw(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """See the class."""
        features = self.features(images)
        levels = [block(feature) for block, feature in zip(self.lateral, features, strict=True)]
        for block in self.coarser:
            levels.append(block(levels[-1]))
        logits = [head(level) for head, level in zip(self.class_heads, levels, strict=True)]
        offsets = [head(level) for head, level in zip(self.box_heads, levels, strict=True)]
        anchors = [
            ops.multibox_prior(level.shape[2:], (side, (side * larger) ** 0.5), RATIOS, images.device)[0]
            for level, side, larger in zip(levels, SIDES[:-1], SIDES[1:], strict=True)
        ]
        return {
            "logits": flatten(logits, 1 + self.num_classes),
            "offsets": flatten(offsets, 4),
            "anchors": torch.cat(anchors),
        }

    def losses(self, images: torch.Tensor, targets: Targets) -> dict[str, torch.Tensor]:
        """``class_loss`` and ``box_loss``, for each anchor with a box; see Detector."""
        raw = self.raw(images)
        with torch.autocast(images.device.type, enabled=False):
            labels = _padded(real_targets(targets, images), images)
            wanted, mask, classes = ops.multibox_target(raw["anchors"], labels, validate=False)
            every = F.cross_entropy(raw["logits"].transpose(1, 2), classes, reduction="none")  # (N, A)
            positive = classes > 0
            count = positive.sum(dim=1, keepdim=True)
            # Also an image without boxes has something to teach.
            hard = _ranks(every.detach().masked_fill(positive, -1)) < NEGATIVES * count.clamp(min=1)
            total = count.sum().clamp(min=1)
            distance = F.smooth_l1_loss(raw["offsets"].flatten(1) * mask, wanted * mask, reduction="sum")
            return {
                "class_loss": (every * (positive | hard)).sum() / total,
                "box_loss": distance / total,
            }

    def choose(
        self,
        images: torch.Tensor,
        borders: torch.Tensor,
        score_threshold: float,
        iou_threshold: float,
        max_boxes: int,
    ) -> Detections:
        """See Detector. Each anchor stands for its best class, and boxes of all classes compete."""
        raw = self.raw(images)
        probabilities = raw["logits"].softmax(dim=2).transpose(1, 2)
        rows = ops.multibox_detection(
            probabilities, raw["offsets"].flatten(1), raw["anchors"], iou_threshold, score_threshold
        )
        height, width = images.shape[2:]
        sides = torch.tensor([width, height, width, height], device=images.device)
        boxes, real = cut(rows[..., 2:] * sides, borders)
        good = (rows[..., 0] >= 0) & (rows[..., 1] > score_threshold) & real
        found = []
        for i in range(len(images)):
            at = good[i].nonzero()[:max_boxes, 0]
            found.append({"boxes": boxes[i, at], "scores": rows[i, at, 1], "labels": rows[i, at, 0].long()})
        return found


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """1 x 1 for stride 1, else 3 x 3."""
    kernel = 1 if stride == 1 else 3
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.GroupNorm(outputs // 8, outputs),
        nn.ReLU(inplace=True),
    )


def _padded(targets: Targets, images: torch.Tensor) -> torch.Tensor:
    """(N, G, 5): class and box in shares of the image; -1 where an image has fewer boxes."""
    height, width = images.shape[2:]
    sides = torch.tensor([width, height, width, height], device=images.device)
    most = max(len(target["boxes"]) for target in targets)
    padded = torch.full((len(targets), most, 5), -1.0, device=images.device)
    for row, target in zip(padded, targets, strict=True):
        row[: len(target["boxes"])] = torch.cat((target["labels"][:, None], target["boxes"] / sides), dim=1)
    return padded


def _ranks(values: torch.Tensor) -> torch.Tensor:
    """Place of each value (N, A) in its row, the largest first."""
    return values.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
