"""Prediction: independent of the batch, harmless to the network, and the same views everywhere."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pipeline.inputs.transforms import Preprocess

from pipeline.inputs.batches import Images
from pipeline.prediction.predict import MOST_PIXELS, Request, images_at_once, predict, tta_views
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
    model = Classification().build_model(ModelConfig(name=TINY), data.classes)
    images = Images(data.test, data.packed("test"))
    model.train()(torch.randn(64, 3, 32, 32))
    return model, images, data.classes, Preprocess.of_model(model, 32)


def _predict(trained, rows, batch_size, config=FULL):
    model, images, classes, preprocess = trained
    config = replace(config, batch_size=batch_size)
    request = Request(images, np.asarray(rows), classes, preprocess, config, 0, CPU, NOWHERE)
    return predict(model, Classification(), request)


def test_a_batch_of_one_equals_a_batch_of_64(trained):
    one, many = _predict(trained, range(130), 1), _predict(trained, range(130), 64)
    assert list(one["image_id"]) == list(many["image_id"])
    difference = np.abs(one.drop(columns="image_id").to_numpy() - many.drop(columns="image_id").to_numpy())
    assert difference.max() < 1e-5


def test_every_weight_and_buffer_stays_and_so_does_the_mode(trained):
    model = trained[0]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    _predict(trained, range(70), 32)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training


def test_every_row_is_predicted_once_in_the_order_asked_for(trained):
    rows = np.random.default_rng(0).permutation(101)
    frame = _predict(trained, rows, 32)
    assert list(frame["image_id"]) == list(trained[1].frame["image_id"].iloc[rows])


def test_probabilities_sum_to_one(trained):
    sums = _predict(trained, range(40), 16).drop(columns="image_id").sum(axis=1)
    assert np.allclose(sums, 1, atol=1e-5)


def test_views_are_every_combination():
    assert len(tta_views(PredictConfig(flip=False), 32)) == 1
    assert len(tta_views(PredictConfig(flip=True, shift=2), 32)) == 6
    assert len(tta_views(FULL, 32)) == 30


def test_every_view_keeps_the_shape_and_the_first_is_the_image_itself():
    batch = torch.rand(2, 3, 32, 32)
    views = tta_views(FULL, 32)
    assert all(view(batch).shape == batch.shape for view in views)
    assert torch.equal(views[0](batch), batch)
    assert torch.equal(views[1](batch), batch.flip(3))


def test_a_shift_moves_the_picture_by_whole_pixels():
    batch = torch.rand(1, 1, 8, 8)
    down_right = tta_views(PredictConfig(flip=False, shift=2), 8)[1](batch)
    assert torch.equal(down_right[:, :, 2:, 2:], batch[:, :, :-2, :-2])


def test_flip_averaging_makes_the_prediction_symmetric(trained):
    model, images, classes, preprocess = trained
    mirrored = Images(images.frame, images.packed[:, :, ::-1])
    config = PredictConfig(flip=True, shift=0)
    request = Request(images, np.arange(30), classes, preprocess, config, 0, CPU, NOWHERE)
    plain = predict(model, Classification(), request)
    flipped = predict(model, Classification(), replace(request, images=mirrored))
    assert np.allclose(plain[classes], flipped[classes], atol=1e-5)


def test_default_config_predicts_without_workers_for_packed_images(trained):
    frame = _predict(trained, range(5), 5, Config().predict)
    assert len(frame) == 5


@pytest.mark.parametrize("size, count", [(32, 500), (224, 79), (512, 15), (4096, 1)])
def test_large_images_are_fewer_at_once(size, count):
    assert images_at_once(PredictConfig(batch_size=500), size) == count
    assert count == 1 or count * size**2 <= MOST_PIXELS
