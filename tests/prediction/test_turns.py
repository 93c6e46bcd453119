"""Turned and mirrored views: each once, and what is found in them comes back exactly."""

import numpy as np
import pytest
import torch

from pipeline.prediction.turns import Turn, boxes_back, turned, turned_array, turned_back, turns_of
from pipeline.tasks.classification.config import PredictConfig

ALL = [Turn(mirrored, quarters) for mirrored in (False, True) for quarters in range(4)]


@pytest.mark.parametrize(
    "options, count",
    [
        ({}, 1),
        ({"flip": True}, 2),
        ({"vertical_flip": True}, 2),
        ({"rot180": True}, 2),
        ({"rot90": True}, 4),
        ({"flip": True, "vertical_flip": True}, 4),
        ({"flip": True, "vertical_flip": True, "rot180": True}, 4),
        ({"flip": True, "rot90": True}, 8),
        ({"flip": True, "vertical_flip": True, "rot90": True}, 8),
    ],
)
def test_every_combination_is_there_once_and_the_image_itself_first(options, count):
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    views = [turned(image, turn) for turn in turns_of(PredictConfig(**{"flip": False, **options}))]
    assert torch.equal(views[0], image)
    assert len(views) == count == len({tuple(view.flatten().tolist()) for view in views})


def test_upside_down_is_a_mirror_and_no_turn():
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    _, view = (turned(image, turn) for turn in turns_of(PredictConfig(flip=False, vertical_flip=True)))
    assert torch.equal(view, image.flip(2))


@pytest.mark.parametrize("turn", ALL, ids=str)
def test_maps_and_boxes_come_back_where_they_were(turn):
    """On an image that is no square and has one rectangle, away from every axis."""
    image = torch.zeros(1, 1, 20, 31)
    image[..., 3:9, 5:21] = 1
    view = turned(image, turn)
    assert torch.equal(turned_back(view, turn), image)
    assert np.array_equal(turned_array(image[0].permute(1, 2, 0).numpy(), turn)[..., 0], view[0, 0].numpy())
    rows, columns = (view[0, 0].any(dim=side).nonzero()[:, 0] for side in (1, 0))
    box = torch.stack((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))[None].float()
    size = (view.shape[2], view.shape[3])
    assert boxes_back(box, turn, size).tolist() == [[5, 3, 21, 9]]
    assert boxes_back(torch.zeros(0, 4), turn, size).shape == (0, 4)
