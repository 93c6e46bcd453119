"""The mean of several epochs' weights: stochastic weight averaging, and greedy soups.

The weights of the last epochs lie in ``epochs/<number>.pt`` of the fold's folder until training has ended.
What comes of them follows from these files, so a process that is killed here does it again.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from pipeline.config.groups import TrainConfig
from pipeline.metrics.metric import Metric
from pipeline.training.history import Epoch

Weights = dict[str, torch.Tensor]


class Snapshots:
    """The weights of a fold's last epochs."""

    def __init__(self, folder: Path, count: int) -> None:
        """In a fold's folder; `count` epochs are kept."""
        self.folder, self.count = folder / "epochs", count

    def path(self, epoch: int) -> Path:
        """The file of an epoch, counted from 1."""
        return self.folder / f"{epoch}.pt"

    def last(self, epochs: int) -> list[int]:
        """Numbers of the epochs that are averaged after so many."""
        return list(range(max(1, epochs - self.count + 1), epochs + 1))

    def are_there(self, epochs: int) -> bool:
        """Whether all that is averaged after so many epochs is there."""
        return all(self.path(epoch).exists() for epoch in self.last(epochs))

    def forget(self, epochs: int) -> None:
        """Remove what is not averaged after so many epochs."""
        for path in self.folder.glob("*.pt"):
            if path.stem not in map(str, self.last(epochs)):
                path.unlink()

    def remove(self) -> None:
        """Remove all."""
        shutil.rmtree(self.folder, ignore_errors=True)


def mean_weights(states: Sequence[Weights]) -> Weights:
    """The mean of each tensor, computed in float64; of whole numbers, such as counts, the last one's."""
    last = states[-1]
    return {
        name: torch.stack([state[name].double() for state in states]).mean(dim=0).to(tensor.dtype)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in last.items()
    }


def choose(
    train: TrainConfig,
    history: Sequence[Epoch],
    epochs: Sequence[int],
    metric: Metric,
    score: Callable[[Sequence[int]], float],
) -> list[int]:
    """Numbers of the epochs whose mean predicts.

    With ``swa`` all of them (arXiv 1803.05407). With ``soup`` the one with the best score first, then, best
    first, every other that makes the mean no worse (greedy soup, arXiv 2203.05482).

    Parameters
    ----------
    epochs : those to choose from, counted from 1.
    score : the validation score of some epochs' mean.
    """
    if train.keep == "swa":
        return list(epochs)

    def rank(epoch: int) -> tuple[bool, float]:
        value = history[epoch - 1].score
        return value != value, -metric.sign * value  # an epoch without a score comes last

    first, *others = sorted(epochs, key=rank)
    chosen, best = [first], score([first])
    for epoch in others:
        found = score([*chosen, epoch])
        if found == found and not metric.better(best, found):
            chosen, best = [*chosen, epoch], found
    return sorted(chosen)


def average(
    states: Sequence[Weights], model: nn.Module, prepare: Callable[[], None], batches: Callable[[], object]
) -> None:
    """Load the mean of some weights into `model`, with statistics of its own.

    The statistics of BatchNorm belong to the weights of each epoch, and their mean to no network: they are
    measured again.

    Parameters
    ----------
    prepare : puts the network into training mode, but for what is frozen.
    batches : runs it over training batches, without a gradient.
    """
    model.load_state_dict(mean_weights(states))
    prepare()
    norms = [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.training
        and module.running_mean is not None
    ]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    with torch.no_grad():
        batches()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
