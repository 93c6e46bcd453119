"""What a fold's averaged weights are made of."""

import pytest
import torch

from pipeline.tasks.classification.config import TrainConfig
from pipeline.training.session import Session


@pytest.mark.parametrize("steps", [30, 300])
def test_little_of_the_initial_weights_is_left_in_the_average(steps):
    """With a constant decay of 0.999 it would be 97 % and 74 %."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(model.weight)
    config = TrainConfig(ema=0.999, amp="off")
    session = Session.start(model, config, torch.device("cpu"))
    torch.nn.init.zeros_(model.weight)
    for number in range(1, steps + 1):
        session.ema.update(model, number)
    assert session.predictor.weight.item() < 0.01


def test_after_many_steps_the_decay_is_what_was_asked_for():
    session = Session.start(torch.nn.Linear(1, 1), TrainConfig(ema=0.95, amp="off"), torch.device("cpu"))
    assert session.ema.get_decay(10) < 0.8 and session.ema.get_decay(1000) == 0.95
