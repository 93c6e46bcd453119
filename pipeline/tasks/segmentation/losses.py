"""Losses of segmentation, and their weighted sums.

Each takes float32 logits (N, C, H, W) and int64 targets (N, H, W), does not look at pixels whose target is
255, and gives a scalar. It is 0, with a gradient of 0, where that leaves no pixels: a crop can lie wholly in
what is ignored, and one NaN in a gradient ends a training.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses import LovaszLoss
from torch import nn

from pipeline.tasks.loss_sums import SumLoss, summed
from pipeline.tasks.segmentation.palette import IGNORE


class CrossEntropy(nn.Module):
    """Cross-entropy, mean over the pixels that count, with torch's label smoothing.

    torch's own mean is NaN where every pixel is ignored. The one of segmentation-models-pytorch divides by
    all pixels, ignored ones too, so that it shrinks with the borders, and smooths by another rule.
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module's docstring."""
        # As a table of pixels: on a CPU the softmax over the last dimension takes half the time.
        pixels = logits.movedim(1, -1).reshape(-1, logits.shape[1])
        total = F.cross_entropy(
            pixels,
            targets.reshape(-1),
            ignore_index=IGNORE,
            label_smoothing=self.label_smoothing,
            reduction="sum",
        )
        return total / _counted(targets)


class SoftDice(nn.Module):
    """1 - Dice coefficient of the probabilities (V-Net, arXiv 1606.04797), mean over the batch's classes.

    segmentation-models-pytorch counts an absent class as a loss of 0, so of 21 classes with 3 in the batch
    the loss is at most 1/7; here the mean is over the 3.
    """

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module's docstring."""
        valid = (targets != IGNORE).unsqueeze(1)
        probabilities = logits.softmax(1) * valid
        # Ignored pixels equal no class.
        truth = targets.unsqueeze(1) == torch.arange(logits.shape[1], device=logits.device).view(1, -1, 1, 1)
        area = truth.sum((0, 2, 3))
        both = (probabilities * truth).sum((0, 2, 3))
        dice = 2 * both / (probabilities.sum((0, 2, 3)) + area).clamp(min=1e-7)
        present = area > 0
        return ((1 - dice) * present).sum() / present.sum().clamp(min=1)


class Focal(nn.Module):
    """Focal loss (arXiv 1708.02002) of the softmax, mean over the pixels that count.

    The one of segmentation-models-pytorch takes a sigmoid for each class, while prediction takes the softmax;
    and it is NaN where every pixel is ignored.

    Parameters
    ----------
    gamma : how fast a pixel loses weight as its probability grows; 0 is cross-entropy.
    """

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module's docstring."""
        losses = F.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="none")
        return ((1 - (-losses).exp()) ** self.gamma * losses).sum() / _counted(targets)


class LovaszSoftmax(nn.Module):
    """Lovasz-Softmax (arXiv 1705.08790), over the whole batch and the classes in it: a surrogate of the IoU.

    The computation is segmentation-models-pytorch's, which is the authors'; but where every pixel is ignored
    that gives an empty tensor, which has no gradient.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loss = LovaszLoss("multiclass", ignore_index=IGNORE)

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module's docstring."""
        return self.loss(logits, targets) if (targets != IGNORE).any() else logits.sum() * 0.0


class LogitAdjusted(nn.Module):
    """A loss of the logits with tau * log(share of the pixels) added (arXiv 2007.07314, equation 10).

    What the network has learned then holds for classes that are more nearly equally frequent: at tau = 1 it
    predicts the class that is most frequent here relative to its share. With most pixels background, plain
    cross-entropy gives objects too few of them for a mean of the classes' IoU. Classes without a pixel
    are treated as the most frequent one, or they would be predicted everywhere.

    Parameters
    ----------
    loss : takes logits (N, C, H, W) and targets.
    pixels : (C,) numbers of training pixels of each class, at least one above 0.
    tau : at least 0; 0 is `loss` itself.
    """

    def __init__(self, loss: nn.Module, pixels: Sequence[int], tau: float) -> None:
        super().__init__()
        counts = torch.as_tensor(pixels, dtype=torch.float64)
        shares = torch.where(counts > 0, counts / counts.max(), 1.0)
        self.loss, self.offsets = loss, (tau * shares.log()).float().view(1, -1, 1, 1)

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See the module's docstring."""
        return self.loss(logits + self.offsets.to(logits.device), targets)


def _counted(targets: torch.Tensor) -> torch.Tensor:
    """Number of pixels that are not ignored, at least 1."""
    return (targets != IGNORE).sum().clamp(min=1)


def build_loss(
    names: str,
    label_smoothing: float = 0.0,
    adjust: Callable[[nn.Module], nn.Module] = lambda loss: loss,
) -> SumLoss:
    """Build what a text such as ``ce+0.5*lovasz`` describes.

    Parameters
    ----------
    names : one or more of ce, dice, focal and lovasz, each with a factor or none, joined by a plus.
    label_smoothing : of ce; the others have none.
    adjust : applied to ce and focal, which follow the classes' frequencies. dice and lovasz stand for a
        measure of what is predicted, which has the logits as they are.

    Raises
    ------
    UserError : an unknown name, or a factor that is no number above 0.
    """
    known = {
        "ce": lambda: adjust(CrossEntropy(label_smoothing)),
        "dice": SoftDice,
        "focal": lambda: adjust(Focal()),
        "lovasz": LovaszSoftmax,
    }
    return summed(names, known)
