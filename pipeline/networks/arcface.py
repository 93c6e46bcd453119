"""Embeddings that classes are told apart by as angles: sub-centre ArcFace, and the nearest training images.

ArcFace (Deng et al., arXiv 1801.07698) with several centres a class (Deng et al., ECCV 2020), of which each
image belongs to the nearest: for very many classes of few images, such as whales, hotels and plants.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.networks.joint import Batch, JointNetwork

TEMPERATURE = 0.07
"""Of the similarities of neighbours, as DINO's k-NN classifier has it (arXiv 2104.14294)."""
NEAREST = 4096
"""Training images that a batch is compared with at a time."""


@dataclass(frozen=True, kw_only=True)
class Angles:
    """How classes are told apart.

    Attributes
    ----------
    embedding : numbers of an image's embedding.
    centres : of each class.
    scale : what cosines are multiplied by to be logits.
    """

    embedding: int
    centres: int
    scale: float


class ArcFaceHead(nn.Module):
    """Features (B, D) to logits (B, C): the scaled cosine of the embedding to each class's nearest centre.

    Beside its weights it keeps the embeddings of training images and their classes, once they are given.
    """

    memory: torch.Tensor
    labels: torch.Tensor

    def __init__(self, features: int, classes: int, angles: Angles) -> None:
        super().__init__()
        self.classes, self.angles = classes, angles
        self.neck = nn.Sequential(
            nn.Linear(features, angles.embedding, bias=False), nn.BatchNorm1d(angles.embedding)
        )
        self.weight = nn.Parameter(torch.empty(classes * angles.centres, angles.embedding))
        nn.init.xavier_uniform_(self.weight)
        self.register_buffer("memory", torch.zeros(0, angles.embedding, dtype=torch.float16))
        self.register_buffer("labels", torch.zeros(0, dtype=torch.int64))
        self.register_load_state_dict_pre_hook(_as_stored)

    def embed(self, features: torch.Tensor) -> torch.Tensor:
        """float32 (B, E) of length 1."""
        with torch.autocast(features.device.type, enabled=False):
            return F.normalize(self.neck(features.float()))

    def logits(self, embeddings: torch.Tensor) -> torch.Tensor:
        """(B, C)."""
        with torch.autocast(embeddings.device.type, enabled=False):
            cosines = F.linear(embeddings, F.normalize(self.weight))
            nearest = cosines.view(len(embeddings), self.classes, self.angles.centres).amax(dim=2)
            return self.angles.scale * nearest

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, D) to (B, C)."""
        return self.logits(self.embed(features))

    def forget(self) -> None:
        """Keep no training images any more."""
        self.memory, self.labels = self.memory[:0], self.labels[:0]

    def neighbours(self, embeddings: torch.Tensor, count: int) -> torch.Tensor:
        """Shares of the classes (B, C) among the nearest training images, weighted by how near they are."""
        nearest = self._nearest(embeddings, min(count, len(self.memory)))
        weights = (nearest.values / TEMPERATURE).softmax(dim=1)
        shares = embeddings.new_zeros(len(embeddings), self.classes)
        return shares.scatter_add_(1, self.labels[nearest.indices], weights)

    def _nearest(self, embeddings: torch.Tensor, count: int) -> Any:
        values, indices = [], []
        for start in range(0, len(self.memory), NEAREST):
            near = embeddings @ self.memory[start : start + NEAREST].float().T
            found = near.topk(min(count, near.shape[1]), dim=1)
            values.append(found.values)
            indices.append(found.indices + start)
        best = torch.cat(values, dim=1).topk(count, dim=1)
        return torch.return_types.topk((best.values, torch.cat(indices, dim=1).gather(1, best.indices)))


def _as_stored(head: nn.Module, stored: Mapping[str, Any], prefix: str, *rest: Any) -> None:
    """Make room for as many training images as there are in what is about to be loaded."""
    for name in ("memory", "labels"):
        value, own = stored.get(f"{prefix}{name}"), getattr(head, name)
        if value is not None:
            setattr(head, name, torch.zeros(value.shape, dtype=own.dtype, device=own.device))


class WithNeighbours(nn.Module):
    """A network whose probabilities are mixed with those of the nearest training images.

    Parameters
    ----------
    share : of the neighbours, above 0 up to 1.
    count : how many neighbours.
    """

    def __init__(self, model: nn.Module, share: float, count: int) -> None:
        super().__init__()
        assert isinstance(model, JointNetwork) and isinstance(model.head, ArcFaceHead)
        self.model, self.head, self.share, self.count = model, model.head, share, count

    def forward(self, batch: Batch) -> torch.Tensor:
        """Log probabilities (B, C), whose softmax is the mixture."""
        embeddings = self.head.embed(self.model.features(batch))
        own = self.head.logits(embeddings).softmax(dim=1)
        mixed = (1 - self.share) * own + self.share * self.head.neighbours(embeddings, self.count)
        return mixed.clamp(min=torch.finfo(mixed.dtype).tiny).log()


class AngularMargin(nn.Module):
    """A loss of logits whose true class must be nearer by an angle than it is.

    Parameters
    ----------
    loss : of logits (B, C) and class indices (B,).
    margin : radians.
    scale : what the logits' cosines were multiplied by.
    """

    def __init__(
        self, loss: Callable[[torch.Tensor, Any], torch.Tensor], margin: float, scale: float
    ) -> None:
        super().__init__()
        self.loss, self.margin, self.scale = loss, margin, scale

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """A mean over images."""
        own = targets[:, None]
        cosine = (logits.gather(1, own) / self.scale).clamp(-1 + 1e-6, 1 - 1e-6)
        moved = (cosine.acos() + self.margin).cos()
        # Beyond half a turn the cosine would rise again: there it falls on in a straight line.
        far = cosine < math.cos(math.pi - self.margin)
        moved = torch.where(far, cosine - self.margin * math.sin(math.pi - self.margin), moved)
        return self.loss(logits.scatter(1, own, self.scale * moved), targets)
