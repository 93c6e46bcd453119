"""Prediction: independent of the batch, harmless to the network, in the order asked for."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.inputs.batches import Images
from pipeline.inputs.loading import Loaders
from pipeline.inputs.preprocess import Preprocess
from pipeline.prediction.predict import predict
from pipeline.prediction.request import MOST_PIXELS, Request, images_at_once
from pipeline.tasks.classification.config import Config, ModelConfig, PredictConfig
from pipeline.tasks.classification.task import Classification
from tests.helpers import TINY

CPU = torch.device("cpu")
NOWHERE = Path()
"""Classification writes no files."""
FULL = PredictConfig(flip=True, shift=1, crops=5)


@pytest.fixture(scope="module")
def trained(prepared_sample):
    """A network whose norm statistics have moved, left in training mode as a careless caller would."""
    data = prepared_sample("cifar10").data
    torch.manual_seed(0)
    model = Classification().build_model(Config(model=ModelConfig(name=TINY)), data.classes)
    images = data.images("test")
    model.train()(torch.randn(64, 3, 32, 32))
    return model, images, data.classes, Preprocess.of_model(model, 32)


def request_of(trained, rows, config: PredictConfig = FULL) -> Request[PredictConfig]:
    """Of these rows, without other processes."""
    _, images, classes, preprocess = trained
    return Request(
        images=images,
        rows=np.asarray(rows),
        classes=classes,
        preprocess=preprocess,
        config=config,
        loaders=Loaders(0, torch.device("cpu")),
        folder=NOWHERE,
    )


def predicted(trained, rows, batch_size: int, config: PredictConfig = FULL) -> pd.DataFrame:
    request = request_of(trained, rows, replace(config, batch_size=batch_size))
    return predict(trained[0], Classification(), request)


def test_a_batch_of_one_equals_a_batch_of_64(trained):
    one, many = predicted(trained, range(130), 1), predicted(trained, range(130), 64)
    assert list(one["image_id"]) == list(many["image_id"])
    difference = np.abs(one.drop(columns="image_id").to_numpy() - many.drop(columns="image_id").to_numpy())
    assert difference.max() < 1e-5


def test_every_weight_and_buffer_stays_and_so_does_the_mode(trained):
    model = trained[0]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    predicted(trained, range(70), 32)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training


class Interrupted:
    """A task that notes the network's mode, and fails half-way."""

    modes: ClassVar[list[bool]] = []

    def predict(self, model, request):
        self.modes += [module.training for module in model.modules()]
        yield pd.DataFrame({"image_id": ["a"]})
        raise UserError("an image cannot be read")


def test_the_mode_of_every_part_is_restored_also_after_an_error(trained):
    """A frozen stage, in evaluation mode while the rest trains, must not wake up."""
    model = trained[0].train()
    next(model.children()).eval()
    before = {name: module.training for name, module in model.named_modules()}
    assert set(before.values()) == {True, False}
    with pytest.raises(UserError, match="cannot be read"):
        predict(model, Interrupted(), request_of(trained, [0]))
    assert Interrupted.modes and not any(Interrupted.modes), "while it predicts, all of it evaluates"
    assert {name: module.training for name, module in model.named_modules()} == before
    predicted(trained, [0], 1)
    assert {name: module.training for name, module in model.named_modules()} == before
    model.train()


def test_progress_is_told_by_images(trained):
    told = []
    request = request_of(trained, range(10), PredictConfig(flip=False, batch_size=4))
    predict(trained[0], Classification(), request, told.append)
    assert told == [4, 4, 2]


def test_every_row_is_predicted_once_in_the_order_asked_for(trained):
    rows = np.random.default_rng(0).permutation(101)
    frame = predicted(trained, rows, 32)
    assert list(frame["image_id"]) == list(trained[1].frame["image_id"].iloc[rows])


def test_probabilities_sum_to_one(trained):
    sums = predicted(trained, range(40), 16).drop(columns="image_id").sum(axis=1)
    assert np.allclose(sums, 1, atol=1e-5)


def test_flip_averaging_makes_the_prediction_symmetric(trained):
    model, images, classes, _ = trained
    mirrored = Images(images.frame, images.packed[:, :, ::-1])
    request = request_of(trained, np.arange(30), PredictConfig(flip=True, shift=0))
    plain = predict(model, Classification(), request)
    flipped = predict(model, Classification(), replace(request, images=mirrored))
    assert np.allclose(plain[classes], flipped[classes], atol=1e-5)


def test_default_config_predicts_without_workers_for_packed_images(trained):
    frame = predicted(trained, range(5), 5, Config().predict)
    assert len(frame) == 5


@pytest.mark.parametrize("size, count", [(32, 500), (224, 79), (512, 15), (4096, 1)])
def test_large_images_are_fewer_at_once(size, count):
    assert images_at_once(PredictConfig(batch_size=500), size) == count
    assert count == 1 or count * size**2 <= MOST_PIXELS
