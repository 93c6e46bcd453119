"""What one-stage detectors on a pyramid share: two towers of convolutions over each level, one that ends in
classes and one that ends in boxes."""

import torch
from torch import nn

from pipeline.networks.detection.parts import Detector, Trunk, flatten
from pipeline.networks.detection.pyramid import CHANNELS, Pyramid, output_conv

STRIDES = (8, 16, 32, 64, 128)
"""Of the pyramid's levels."""
TOWER = 2
"""Convolutions of a tower: half of the papers', for a CPU."""
PRIOR = 0.01
"""Probability that every class is given at the start (RetinaNet, arXiv 1708.02002, section 4.1)."""


class OneStage(Detector):
    """Pyramid and towers.

    Parameters
    ----------
    boxes : predicted by each cell of each level.
    values : that describe a box.
    """

    def __init__(self, trunk: Trunk, num_classes: int, boxes: int, values: int) -> None:
        super().__init__(trunk)
        self.num_classes = num_classes
        self.neck = Pyramid(trunk.channels, len(STRIDES) - len(trunk.channels))
        self.class_tower, self.box_tower = tower(TOWER), tower(TOWER)
        self.class_head = output_conv(boxes * num_classes, PRIOR)
        self.box_head = output_conv(boxes * values)

    def outputs(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Class logits (N, P * boxes, C), float32, of the P cells of all levels; the box outputs
        (N, boxes * values, H, W) of each level."""
        levels = self.neck(self.features(images))
        logits = flatten([self.class_head(self.class_tower(level)) for level in levels], self.num_classes)
        return logits, [self.box_head(self.box_tower(level)) for level in levels]


def tower(count: int) -> nn.Sequential:
    """`count` convolutions of CHANNELS channels. GroupNorm: batches of detectors are small."""
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
            nn.GroupNorm(CHANNELS // 8, CHANNELS),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
