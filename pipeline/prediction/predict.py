"""Prediction: the same for every caller."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pandas as pd
import torch
from torch import nn

from pipeline.base.device import amp_dtype
from pipeline.prediction.request import Request


class Predictor(Protocol):
    """A task, as far as prediction is concerned."""

    def predict(self, model: nn.Module, request: Request[Any]) -> Iterator[pd.DataFrame]:
        """Predictions of the rows asked for, in order, a part at a time."""
        ...


@torch.inference_mode()
def predict(
    model: nn.Module,
    task: Predictor,
    request: Request[Any],
    advance: Callable[[int], None] = lambda count: None,
) -> pd.DataFrame:
    """Predict the rows asked for, in order.

    In float32, unless the config asks for mixed precision; the model is put in eval mode and is not changed.

    Parameters
    ----------
    advance : told the number of images of every part that is done.

    Returns
    -------
    The task's predictions frame, one row per entry of ``request.rows``.
    """
    training = {name: module.training for name, module in model.named_modules()}
    model.eval()
    parts = []
    dtype = amp_dtype(request.device) if request.config.amp == "on" else None
    try:
        with torch.autocast(request.device.type, dtype, enabled=dtype is not None):
            for part in task.predict(model, request):
                parts.append(part)
                advance(len(part))
    finally:
        for name, module in model.named_modules():
            module.training = training[name]
    return pd.concat(parts, ignore_index=True)
