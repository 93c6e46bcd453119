"""Losses of independent labels. Each takes logits (B, C) and targets (B, C) from 0 to 1, and gives a mean."""

import torch
import torch.nn.functional as F
from torch import nn


class BinaryCrossEntropy(nn.Module):
    """Mean over all labels of all images.

    Parameters
    ----------
    label_smoothing : share by which each target moves towards one half.
    positive_weights : (C,) factors of the positives' part, or None.
    """

    def __init__(self, label_smoothing: float = 0.0, positive_weights: torch.Tensor | None = None) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.positive_weights = positive_weights

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module."""
        targets = targets * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
        weights = self.positive_weights
        weights = None if weights is None else weights.to(logits.device)
        return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)


class Focal(nn.Module):
    """Focal loss (arXiv 1708.02002) of each label; with gamma 0 it is binary cross-entropy."""

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module."""
        losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        right = logits.sigmoid() * targets + (1 - logits.sigmoid()) * (1 - targets)
        return ((1 - right) ** self.gamma * losses).mean()


class Asymmetric(nn.Module):
    """Asymmetric loss (arXiv 2009.14119): easy negatives lose their weight, and those below a margin have
    none.

    Parameters
    ----------
    gamma_negative, gamma_positive : how fast a label loses weight as its probability becomes right.
    margin : probability up to which a negative counts as 0.
    """

    def __init__(
        self, gamma_negative: float = 4.0, gamma_positive: float = 1.0, margin: float = 0.05
    ) -> None:
        super().__init__()
        self.gamma_negative, self.gamma_positive, self.margin = gamma_negative, gamma_positive, margin

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module."""
        positive = logits.sigmoid()
        negative = (positive - self.margin).clamp(min=0)
        gain = targets * (1 - positive) ** self.gamma_positive * F.logsigmoid(logits)
        gain = gain + (1 - targets) * negative**self.gamma_negative * (1 - negative).clamp(min=1e-8).log()
        return -gain.mean()


def positive_weights(targets: torch.Tensor, power: float) -> torch.Tensor | None:
    """(C,): images without over images with each label, to this power; None for a power of 0.

    Parameters
    ----------
    targets : (N, C) of 0 and 1. A label that no image has, or every one, gets the weight 1: it has one side
        alone, which must still be learned.
    """
    if not power:
        return None
    having = targets.sum(dim=0)
    without = len(targets) - having
    return torch.where((having > 0) & (without > 0), without / having.clamp(min=1), 1.0) ** power
