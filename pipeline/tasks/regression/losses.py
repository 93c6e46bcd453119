"""Losses of values scaled to 0..1. Each takes outputs (B, O) and targets (B, K), and gives a mean.

An output becomes a value through a sigmoid, so that predictions stay in their range.
"""

import torch
import torch.nn.functional as F

FLOOR = 1e-3
"""Least spread of a Laplace distribution, as a share of the range."""
SMOOTH = 0.1
"""Distance, as a share of the range, from which smooth L1 is linear."""


def mse(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean squared distance."""
    return F.mse_loss(outputs.sigmoid(), targets)


def mae(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean distance."""
    return F.l1_loss(outputs.sigmoid(), targets)


def smooth_l1(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Squared where it is small and linear from a tenth of the range (Fast R-CNN, arXiv 1504.08083)."""
    return F.smooth_l1_loss(outputs.sigmoid(), targets, beta=SMOOTH)


def bce(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy with the scaled value as a soft target."""
    return F.binary_cross_entropy_with_logits(outputs, targets)


def laplace(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Negative log likelihood of a Laplace distribution; outputs are (B, 2 K): values, then spreads."""
    values, spreads = outputs.chunk(2, dim=1)
    spread = spread_of(spreads)
    return ((2 * spread).log() + (values.sigmoid() - targets).abs() / spread).mean()


def spread_of(outputs: torch.Tensor) -> torch.Tensor:
    """Outputs as spreads above 0, as shares of the range."""
    return F.softplus(outputs) + FLOOR


LOSSES = {"mse": mse, "mae": mae, "smooth_l1": smooth_l1, "bce": bce, "laplace": laplace}
