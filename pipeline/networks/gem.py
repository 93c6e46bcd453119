"""Generalised mean pooling of feature maps (Radenović et al., arXiv 1711.02512)."""

import torch
from torch import nn

from pipeline.base.errors import UserError

START, LEAST = 3.0, 1e-6
"""The power that it begins with, and what features are raised to before it is taken."""


class GeM(nn.Module):
    """(B, D, H, W) to (B, D): the mean of the features to a learnt power, and its root. A power of 1 is the
    mean, a large one the maximum."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features, self.power = features, nn.Parameter(torch.tensor(START))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Raises UserError for features that are no maps of channels."""
        if maps.ndim != 4 or maps.shape[1] != self.features:
            raise UserError(
                f"the network's features are {tuple(maps.shape[1:])}, and no {self.features} maps: leave out "
                "--model.global-pool, or choose a convolutional network"
            )
        with torch.autocast(maps.device.type, enabled=False):
            raised = maps.float().clamp(min=LEAST) ** self.power
            return raised.mean(dim=(2, 3)) ** (1 / self.power)
