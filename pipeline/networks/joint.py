"""Networks for rows that are more than one image: bags of images, and a table beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.networks.timm_network import TimmNetwork

Pool = Literal["mean", "max", "attention"]
"""How the features of a bag's images become those of the bag."""
ATTENTION, TABLE = 128, 64
"""Widths of the hidden layers of attention, and of the table."""


@dataclass(frozen=True)
class Given:
    """What a network is given for each row.

    Attributes
    ----------
    channels : of all its images together.
    images : most images in a row, one behind the other as channels.
    table : numbers beside them.
    """

    channels: int = 3
    images: int = 1
    table: int = 0

    @property
    def plain(self) -> bool:
        """Whether that is one image and nothing else."""
        return self.images == 1 and not self.table


@dataclass(frozen=True)
class Joint:
    """A batch of rows that are more than one image each.

    Attributes
    ----------
    pixels : float32 (B, images x channels, H, W).
    counts : int64 (B,), how many images each row has; None: one.
    table : float32 (B, F), or None.
    """

    pixels: torch.Tensor
    counts: torch.Tensor | None
    table: torch.Tensor | None

    @property
    def device(self) -> torch.device:
        """Of all of it."""
        return self.pixels.device

    def __len__(self) -> int:
        return len(self.pixels)


Batch = torch.Tensor | Joint
"""What a network is called with."""


def pixels_of(batch: Batch) -> torch.Tensor:
    """The pixels of a batch, (B, C, H, W)."""
    return batch.pixels if isinstance(batch, Joint) else batch


def changed(batch: Batch, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
    """The batch with other pixels."""
    if isinstance(batch, Joint):
        return Joint(change(batch.pixels), batch.counts, batch.table)
    return change(batch)


class Attention(nn.Module):
    """Weights of a bag's images by gated attention (Ilse et al., arXiv 1802.04712)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.value, self.gate = nn.Linear(features, ATTENTION), nn.Linear(features, ATTENTION)
        self.score = nn.Linear(ATTENTION, 1)

    def forward(self, features: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """(B, K, D) with bool (B, K) to the weighted mean (B, D) of those present."""
        scores = self.score(self.value(features).tanh() * self.gate(features).sigmoid()).squeeze(2)
        weights = scores.float().masked_fill(~present, -torch.inf).softmax(dim=1)
        return (weights.unsqueeze(2) * features).sum(dim=1)


class JointNetwork(nn.Module):
    """One encoder over the images of a row, their features pooled, with the table's beside them; then a head.

    Parameters
    ----------
    backbone : maps (N, C, H, W) to features (N, D).
    head : maps the D features, and `TABLE` of a table, to outputs.
    features : D.
    pool : of a bag's features.
    global_pool : of the backbone's maps, where it gives (N, D, H, W).
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        *,
        features: int,
        given: Given,
        pool: Pool,
        drop_rate: float,
        global_pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.backbone, self.head, self.images, self.pool = backbone, head, given.images, pool
        self.global_pool = global_pool
        self.pretrained_cfg = cast(TimmNetwork, backbone).pretrained_cfg
        self.drop_rate = drop_rate
        self.attention = Attention(features) if given.images > 1 and pool == "attention" else None
        self.table = nn.Sequential(nn.Linear(given.table, TABLE), nn.GELU()) if given.table else None

    def features(self, batch: Batch) -> torch.Tensor:
        """(B, D), of the table too where there is one: what the head is given."""
        found = self._of_images(batch)
        if self.table is not None:
            assert isinstance(batch, Joint) and batch.table is not None
            found = torch.cat([found, self.table(batch.table)], dim=1)
        return found

    def _of_images(self, batch: Batch) -> torch.Tensor:
        pixels = pixels_of(batch)
        if self.images == 1:
            return self._encoded(pixels)
        assert isinstance(batch, Joint) and batch.counts is not None
        present = torch.arange(self.images, device=pixels.device) < batch.counts[:, None]
        single = singles(pixels, self.images)[present.flatten()]
        seen = self._encoded(single.contiguous(memory_format=torch.channels_last))
        features = seen.new_zeros(len(pixels) * self.images, seen.shape[1])
        features = features.index_put((present.flatten().nonzero().squeeze(1),), seen)
        features = features.view(len(pixels), self.images, -1)
        if self.attention is not None:
            return self.attention(features, present)
        if self.pool == "max":
            return features.masked_fill(~present.unsqueeze(2), -torch.inf).amax(dim=1)
        return features.sum(dim=1) / present.sum(dim=1, keepdim=True)

    def _encoded(self, images: torch.Tensor) -> torch.Tensor:
        found = self.backbone(images)
        return found if self.global_pool is None else self.global_pool(found)

    def forward(self, batch: Batch) -> torch.Tensor:
        """(B, outputs)."""
        return self.head(F.dropout(self.features(batch), self.drop_rate, self.training))


def singles(pixels: torch.Tensor, images: int) -> torch.Tensor:
    """(B, images x C, H, W) as (B x images, C, H, W)."""
    count, channels, height, width = pixels.shape
    return pixels.reshape(count * images, channels // images, height, width)
