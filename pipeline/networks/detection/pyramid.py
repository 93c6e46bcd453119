"""A feature pyramid (arXiv 1612.03144) and the convolutions that end a detector's head."""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock, FeaturePyramidNetwork

CHANNELS = 128
"""Of the pyramid and the heads: half of the papers', for a CPU."""


class Pyramid(nn.Module):
    """Feature Pyramid Network (arXiv 1612.03144), with coarser levels by convolutions of stride 2.

    Parameters
    ----------
    channels : of the backbone's features, finest first.
    extra : number of levels beyond these.
    """

    def __init__(self, channels: Sequence[int], extra: int) -> None:
        super().__init__()
        self.network = FeaturePyramidNetwork(list(channels), CHANNELS, Coarser(extra))

    def forward(self, features: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The levels (N, CHANNELS, H, W), finest first."""
        return list(self.network({str(i): feature for i, feature in enumerate(features)}).values())


class Coarser(ExtraFPNBlock):
    """More levels on top of a pyramid's last one, as P6 and P7 of RetinaNet (arXiv 1708.02002)."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, 3, 2, 1) for _ in range(count))

    def forward(
        self, results: list[torch.Tensor], x: list[torch.Tensor], names: list[str]
    ) -> tuple[list[torch.Tensor], list[str]]:
        """Levels and their names, with the new ones."""
        for i, conv in enumerate(self.convs):
            results.append(conv(results[-1].relu() if i else results[-1]))
            names.append(f"extra{i}")
        return results, names


def output_conv(outputs: int, probability: float | None = None, channels: int = CHANNELS) -> nn.Conv2d:
    """Last convolution of a head, close to 0; with a sigmoid behind it, close to `probability`."""
    conv = nn.Conv2d(channels, outputs, 3, padding=1)
    assert conv.bias is not None
    nn.init.normal_(conv.weight, std=0.01)
    nn.init.constant_(conv.bias, 0 if probability is None else -math.log((1 - probability) / probability))
    return conv
