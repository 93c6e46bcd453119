"""Fully Convolutional Networks (arXiv 1411.4038): scores of single convolutions, brought to the image's size.

``Fcn`` is the paper's FCN-32s, as the tutorial of Dive into Deep Learning has it. ``Fcn8`` is its FCN-8s,
with bilinear interpolation in place of learnt upsampling, and with ParseNet's context (arXiv 1506.04579).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.encoders import TimmUniversalEncoder
from torch import nn


class Fcn(nn.Module):
    """The encoder's last features, a 1 x 1 convolution to the classes, a transposed one to full size.

    Parameters
    ----------
    encoder : gives a list of features, of which the last has a stride of 32.
    """

    def __init__(self, encoder: TimmUniversalEncoder, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = nn.Conv2d(encoder.out_channels[-1], num_classes, 1)
        self.segmentation_head = nn.ConvTranspose2d(num_classes, num_classes, 64, stride=32, padding=16)
        nn.init.xavier_uniform_(self.decoder.weight)
        assert self.segmentation_head.bias is not None
        nn.init.zeros_(self.segmentation_head.bias)
        with torch.no_grad():
            self.segmentation_head.weight.copy_(bilinear_kernel(num_classes, 64))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W), sides multiples of 32, to logits (N, num_classes, H, W)."""
        return self.segmentation_head(self.decoder(self.encoder(images)[-1]))


class Fcn8(nn.Module):
    """The sum of the scores that 1 x 1 convolutions give the encoder's last three features and, for what is
    in the image at all, the mean of the last ones.

    It has hardly more weights than a linear classifier, which is what a few hundred images can fill.

    Parameters
    ----------
    encoder : gives a list of features, the last ones at strides 8, 16 and 32 (or what it has).
    """

    def __init__(self, encoder: TimmUniversalEncoder, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        channels = encoder.out_channels[-3:]
        self.decoder = SummedScores([*channels, channels[-1]], num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to logits (N, num_classes, H, W)."""
        features = self.encoder(images)[-3:]
        scores = self.decoder([*features, features[-1].mean((2, 3), keepdim=True)])
        return F.interpolate(scores, images.shape[2:], mode="bilinear", align_corners=False)


class SummedScores(nn.Module):
    """BatchNorm, dropout and a 1 x 1 convolution to the classes for each level; the sum at the finest's size.

    The norms bring levels of very different magnitudes to one, so that all of them learn at one rate.
    """

    def __init__(self, channels: Sequence[int], num_classes: int) -> None:
        super().__init__()
        scores = [nn.Conv2d(count, num_classes, 1) for count in channels]
        self.levels = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(score.in_channels), nn.Dropout2d(0.0), score) for score in scores
        )
        for score in scores:
            assert score.bias is not None
            nn.init.normal_(score.weight, std=0.01)
            nn.init.zeros_(score.bias)

    def forward(self, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Features (N, C, H, W), finest first, to scores (N, num_classes, H, W) of the finest's size."""
        scores = [level(feature) for level, feature in zip(self.levels, features, strict=True)]
        size = scores[0].shape[2:]
        coarse = [F.interpolate(s, size, mode="bilinear", align_corners=False) for s in scores[1:]]
        return torch.stack([scores[0], *coarse]).sum(dim=0)


def bilinear_kernel(channels: int, side: int) -> torch.Tensor:
    """Weights (channels, channels, side, side) with which a transposed convolution of stride ``side / 2``
    interpolates each channel bilinearly."""
    places = (torch.arange(side) + 0.5) / (side / 2)
    slope = 1 - (places - 1).abs()
    return torch.eye(channels)[:, :, None, None] * (slope[:, None] * slope[None])
