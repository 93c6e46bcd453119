"""Losses of masks that may overlap, and their weighted sums.

Each takes float32 logits (N, C, H, W) and uint8 targets of that shape, 1 inside and 0 outside, does not look
at targets of 255, and gives a scalar: 0, with a gradient of 0, where that leaves none.
"""

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses import LovaszLoss
from torch import nn

from pipeline.tasks.loss_sums import SumLoss, summed
from pipeline.tasks.mask_truth import IGNORE

SMOOTH = 1.0
"""Pixels added to both sides of a ratio, so that a class that is absent and not found has no loss."""


class BinaryCrossEntropy(nn.Module):
    """Mean over the pixels that count.

    Parameters
    ----------
    positive_weight : how many times pixels inside count what those outside do.
    """

    def __init__(self, positive_weight: float = 1.0) -> None:
        super().__init__()
        self.positive_weight = positive_weight

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module's docstring."""
        weight = None if self.positive_weight == 1 else logits.new_tensor(self.positive_weight)
        counted, truth = targets != IGNORE, (targets == 1).float()
        losses = F.binary_cross_entropy_with_logits(logits, truth, pos_weight=weight, reduction="none")
        return (losses * counted).sum() / counted.sum().clamp(min=1)


class Focal(nn.Module):
    """Focal loss (arXiv 1708.02002) of each pixel and class, mean over those that count; with gamma 0 it is
    binary cross-entropy."""

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module's docstring."""
        counted, truth = targets != IGNORE, (targets == 1).float()
        losses = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        losses = (1 - (-losses).exp()) ** self.gamma * losses
        return (losses * counted).sum() / counted.sum().clamp(min=1)


class Tversky(nn.Module):
    """1 - Tversky index (arXiv 1706.05721) of each class over the batch, mean over the classes.

    Parameters
    ----------
    beta : weight of missed pixels, 0 to 1; spurious ones have the rest. At one half it is the Dice loss
        (V-Net, arXiv 1606.04797).
    """

    def __init__(self, beta: float = 0.5) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module's docstring."""
        counted = targets != IGNORE
        predicted, truth = logits.sigmoid() * counted, (targets == 1).float()
        both, found, there = (part.sum((0, 2, 3)) for part in (predicted * truth, predicted, truth))
        whole = both + (1 - self.beta) * (found - both) + self.beta * (there - both)
        # Twice, so that at one half it is the usual Dice with its smoothing.
        return (1 - (2 * both + SMOOTH) / (2 * whole + SMOOTH)).mean()


class LovaszHinge(nn.Module):
    """Lovasz hinge (arXiv 1705.08790) of each class over the whole batch, mean over the classes: a surrogate
    of the IoU. The computation is segmentation-models-pytorch's, which is the authors'."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = LovaszLoss("binary", ignore_index=IGNORE)

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module's docstring."""
        losses = [
            self.loss(one, truth.float()) if (truth != IGNORE).any() else one.sum() * 0.0
            for one, truth in zip(logits.unbind(1), targets.unbind(1), strict=True)
        ]
        return torch.stack(losses).mean()


def build_loss(names: str, positive_weight: float = 1.0, tversky_beta: float = 0.7) -> SumLoss:
    """Build what a text such as ``bce+0.5*dice`` describes.

    Raises
    ------
    UserError : an unknown name, or a factor that is no number above 0.
    """
    return summed(
        names,
        {
            "bce": lambda: BinaryCrossEntropy(positive_weight),
            "focal": Focal,
            "dice": Tversky,
            "tversky": lambda: Tversky(tversky_beta),
            "lovasz": LovaszHinge,
        },
    )
