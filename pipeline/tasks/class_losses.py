"""Losses of classes that exclude one another, with the options that choose among them.

Targets are class indices (B,), or shares (B, C) that sum to 1: mixed images, votes. A loss maps float32
logits (B, C) and shares (B, C) to a number for each image (B,), whose mean is what training minimises.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.config import groups
from pipeline.config.limits import Limit
from pipeline.tasks.task import feeds_a_loss

GAMMA = 2.0
"""Of the focal loss: the paper's best."""
SCE_ALPHA, SCE_BETA, SCE_LOG_ZERO = 0.1, 1.0, -4.0
"""Of the symmetric cross-entropy: weights of its two parts and what stands for the logarithm of 0, as in the
paper's experiments on CIFAR-10."""
EFFECTIVE_BETA = 0.999
"""Of the effective number of images: a class of more than some thousand weighs no less for having more."""


@dataclass(frozen=True, kw_only=True)
class ClassTrainConfig(groups.TrainConfig):
    """The optimisation."""

    loss: Literal["ce", "bce", "focal", "symmetric_ce"] = "ce"
    """ce: cross-entropy; bce: binary cross-entropy of each class (arXiv 2110.00476), whose mean over classes
    wants a larger lr; focal: arXiv 1708.02002 with gamma 2; symmetric_ce: arXiv 1908.06112, for labels that
    are often wrong."""
    label_smoothing: Annotated[float, Limit(0, 0.99)] = 0.0
    """Share of each target spread over all classes, in ce and bce."""
    class_weights: Literal["none", "balanced", "effective"] = "none"
    """How much an image counts, by its class. balanced: by the inverse of the class's images; effective: by
    that of their effective number (arXiv 1901.05555, beta 0.999). The mean over the training images is 1."""

    def unused(self) -> dict[str, str]:
        """See Group."""
        found = super().unused()
        if self.loss not in ("ce", "bce"):
            found["label_smoothing"] = f"train.loss={self.loss} does not use it"
        return found


ImageLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Logits (B, C) and shares (B, C) to losses (B,)."""


def class_loss(train: ClassTrainConfig, targets: torch.Tensor) -> nn.Module:
    """The loss that the options choose: a module of logits (B, C) and targets (B,) or (B, C), giving a mean.

    Parameters
    ----------
    targets : of all that is learned from, (N,) indices or (N, C) shares; class weights follow from them.
    """
    if train.loss == "ce" and train.class_weights == "none":
        return nn.CrossEntropyLoss(label_smoothing=train.label_smoothing)
    losses: dict[str, ImageLoss] = {
        "ce": Smoothed(cross_entropy, train.label_smoothing),
        "bce": Smoothed(binary_cross_entropy, train.label_smoothing),
        "focal": focal,
        "symmetric_ce": symmetric_cross_entropy,
    }
    return WeightedMean(losses[train.loss], _counts(targets), train.class_weights)


class WeightedMean(nn.Module):
    """Mean of an image loss, each image times the weight of its class (of shares, the weights' mean)."""

    def __init__(self, loss: ImageLoss, counts: torch.Tensor, weights: str) -> None:
        """`counts` (C,): the images of each class; `weights`: see `ClassTrainConfig.class_weights`."""
        super().__init__()
        self.loss = loss
        self.weights = None if weights == "none" else weights_of(counts, weights == "effective")

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module."""
        shares = F.one_hot(targets, logits.shape[1]) if targets.ndim == 1 else targets
        shares = shares.to(logits.dtype)
        losses = self.loss(logits, shares)
        if self.weights is None:
            return losses.mean()
        # The last classes may have no image to learn from, and so no count.
        weights = F.pad(self.weights, (0, logits.shape[1] - len(self.weights)), value=1.0)
        return (losses * (shares @ weights.to(logits.device))).mean()


class Smoothed:
    """An image loss whose targets are partly spread over all classes."""

    def __init__(self, loss: ImageLoss, smoothing: float) -> None:
        self.loss, self.smoothing = loss, smoothing

    def __call__(self, logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
        """See ImageLoss."""
        return self.loss(logits, shares * (1 - self.smoothing) + self.smoothing / shares.shape[1])


def cross_entropy(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Of shares it is their Kullback-Leibler divergence from the prediction, plus their own entropy, which
    nothing changes."""
    return -(shares * logits.log_softmax(dim=1)).sum(dim=1)


def binary_cross_entropy(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Each class against all others, mean over classes."""
    return F.binary_cross_entropy_with_logits(logits, shares, reduction="none").mean(dim=1)


def focal(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of which an image that is well predicted counts little."""
    logs = logits.log_softmax(dim=1)
    return -(shares * (1 - logs.exp()) ** GAMMA * logs).sum(dim=1)


def symmetric_cross_entropy(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Cross-entropy and, with truth and prediction exchanged, its reverse, which wrong labels bend less."""
    probabilities = logits.softmax(dim=1)
    logs = shares.clamp(min=torch.finfo(shares.dtype).tiny).log().clamp(min=SCE_LOG_ZERO)
    reverse = -(probabilities * logs).sum(dim=1)
    return SCE_ALPHA * cross_entropy(logits, shares) + SCE_BETA * reverse


def weights_of(counts: torch.Tensor, effective: bool) -> torch.Tensor:
    """float32 (C,) weights whose mean over images is 1; a class without images weighs 1.

    Parameters
    ----------
    counts : (C,) images of each class; of shares, their sums.
    effective : by the effective number ``(1 - beta^n) / (1 - beta)`` instead of the number n.
    """
    counts = counts.to(torch.float64)
    numbers = (1 - EFFECTIVE_BETA**counts) / (1 - EFFECTIVE_BETA) if effective else counts
    weights = 1 / numbers.where(counts > 0, 1.0)
    weights = weights * counts.sum() / (weights * counts).sum()
    return weights.where(counts > 0, 1.0).to(torch.float32)


def _counts(targets: torch.Tensor) -> torch.Tensor:
    return targets.bincount() if targets.ndim == 1 else targets.sum(dim=0)


def predicting(model: nn.Module, train: ClassTrainConfig) -> nn.Module:
    """The network as the loss has to have it, so that a softmax of what it predicts with gives probabilities.

    With bce an output is a class's own log odds, of which a softmax would be far too sure: when it evaluates,
    the network gives log probabilities, whose softmax is each class's probability over their sum.
    """
    if train.loss == "bce":
        model.register_forward_hook(_log_probabilities)
    return model


def _log_probabilities(model: nn.Module, inputs: Any, outputs: torch.Tensor) -> torch.Tensor:
    return outputs if feeds_a_loss(model) else F.logsigmoid(outputs.float())
