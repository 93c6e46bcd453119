"""A segmenter that also looks at each pixel closely, so that what is sharp stays sharp."""

import torch
from torch import nn

from pipeline.networks.segmentation.segmenter import Segmenter

WIDTH = 24
"""Channels of the close look."""


class CloseSegmenter(Segmenter):
    """The sum of a segmenter and of a few convolutions at the image's full size: decoders end at a fraction
    of it, where lines of one pixel are lost.

    Parameters
    ----------
    segmenter : whose network it takes.
    channels, outputs : of the images, and numbers for each pixel.
    """

    def __init__(self, segmenter: Segmenter, channels: int, outputs: int) -> None:
        super().__init__(segmenter.network, segmenter.pretrained_cfg, segmenter.multiple, segmenter.least)
        self.close = nn.Sequential(
            nn.Conv2d(channels, WIDTH, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(WIDTH, outputs, 1),
        )
        # Begins at nothing: the close look learns in a few steps, and what the segmenter adds is then a help.
        self.mix = nn.Conv2d(outputs, outputs, 1, bias=False)
        nn.init.zeros_(self.mix.weight)

    def get_classifier(self) -> tuple[nn.Module, ...]:
        """See Segmenter."""
        return (*super().get_classifier(), self.close, self.mix)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """See Segmenter."""
        return self.mix(super().forward(images)) + self.close(images)
