"""Sums of losses, as text: ``bce+0.5*dice``."""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from pipeline.base.errors import UserError


class SumLoss(nn.Module):
    """Weighted sum of losses.

    Parameters
    ----------
    weights : one for each of `losses`.
    """

    def __init__(self, losses: Sequence[nn.Module], weights: Sequence[float]) -> None:
        super().__init__()
        self.losses, self.weights = nn.ModuleList(losses), list(weights)

    def forward(self, outputs: torch.Tensor, targets: Any) -> torch.Tensor:
        """The sum over the losses of outputs and targets."""
        total = outputs.new_zeros(())
        for weight, loss in zip(self.weights, self.losses, strict=True):
            total = total + weight * loss(outputs, targets)
        return total


def parts_of(names: str) -> set[str]:
    """The names in a text such as ``bce+0.5*dice``, known or not."""
    return {part.rpartition("*")[2].strip() for part in names.split("+")}


def summed(names: str, known: Mapping[str, Callable[[], nn.Module]]) -> SumLoss:
    """Build what a text such as ``bce+0.5*dice`` describes.

    Parameters
    ----------
    known : makes the loss of each name.

    Raises
    ------
    UserError : an unknown name, or a factor that is no number above 0.
    """
    losses, weights = [], []
    for part in names.split("+"):
        factor, _, name = part.rpartition("*")
        name = name.strip()
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}" if close else f"the losses are {', '.join(known)}"
            raise UserError(f"no loss is called {name!r} in --train.loss {names!r}: {hint}")
        losses.append(known[name]())
        weights.append(_factor(factor, names) if "*" in part else 1.0)
    return SumLoss(losses, weights)


def _factor(text: str, names: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise UserError(f"{text.strip()!r} in --train.loss {names!r} is no factor: give a number above 0")
    return factor
