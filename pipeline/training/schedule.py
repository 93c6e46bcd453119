"""Learning rate over a run, as a plain function of the step."""

import math

from pipeline.config.groups import TrainConfig


def lr_factor(step: int, total: int, config: TrainConfig) -> float:
    """Multiplier of the peak learning rate at optimiser step `step` of `total` (0-based).

    The first step's factor is above zero; with one_cycle and cosine the last step's approaches zero. The
    drops of `step` are at 50 % and 75 % of the whole run, warm-up included. Where epochs are averaged, it
    falls to ``average_lr`` and stays there.
    """
    warm = round(total * config.warmup)
    if step < warm:
        return (step + 1) / (warm + 1)
    return max(_scheduled(step, warm, total, config), config.average_lr if config.averages else 0.0)


def _scheduled(step: int, warm: int, total: int, config: TrainConfig) -> float:
    progress = (step - warm) / max(1, total - warm)
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if config.schedule == "one_cycle":
        return 1 - progress
    if config.schedule == "step":
        return 0.1 ** (int(step >= 0.5 * total) + int(step >= 0.75 * total))
    return 1.0
