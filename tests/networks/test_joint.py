"""Networks for bags of images and tables."""

import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.config.whole_images import ImageAugment
from pipeline.networks.build import build_joint, linear_head
from pipeline.networks.joint import Given, Joint
from pipeline.tasks.classification.config import Config, ModelConfig
from pipeline.tasks.classification.task import Classification
from pipeline.tasks.whole_image import mixer_of
from tests.helpers import TINY

MODEL = ModelConfig(name=TINY)


def network(pool="mean", images=3, table=0):
    torch.manual_seed(0)
    given = Given(3 * images, images, table)
    return build_joint(MODEL, lambda features: linear_head(features, 2), given, pool=pool).eval()


def pixels(count, images=3):
    return torch.randn(count, 3 * images, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("pool", ["mean", "max", "attention"])
def test_images_that_a_row_does_not_have_change_nothing(pool):
    model, given = network(pool), pixels(2)
    counts = torch.tensor([1, 2])
    other = given.clone()
    other[0, 3:], other[1, 6:] = 100.0, -100.0
    torch.testing.assert_close(model(Joint(given, counts, None)), model(Joint(other, counts, None)))


@pytest.mark.parametrize("pool", ["mean", "max", "attention"])
def test_the_order_of_a_bag_changes_nothing(pool):
    model, given = network(pool), pixels(1)
    turned = torch.cat(given.split(3, dim=1)[::-1], dim=1)
    counts = torch.tensor([3])
    torch.testing.assert_close(model(Joint(given, counts, None)), model(Joint(turned, counts, None)))


def test_a_bag_of_one_image_has_its_features():
    model, given = network(), pixels(2)
    features = model.features(Joint(given, torch.tensor([1, 1]), None))
    torch.testing.assert_close(features, model.backbone(given[:, :3]))


def test_the_mean_is_that_of_the_images_that_are_there():
    model, given = network(), pixels(1)
    one, other = model.backbone(given[:, :3]), model.backbone(given[:, 3:6])
    torch.testing.assert_close(model.features(Joint(given, torch.tensor([2]), None)), (one + other) / 2)


def test_the_table_is_beside_the_features():
    model, given = network(images=1, table=4), pixels(2, images=1)
    found = [model(Joint(given, None, table)) for table in (torch.zeros(2, 4), torch.ones(2, 4))]
    assert not torch.allclose(*found) and found[0].shape == (2, 2)


def test_pooling_of_one_image_is_refused_and_does_nothing():
    config = Config(model=ModelConfig(name=TINY, pool="max"))
    with pytest.raises(UserError, match=r"--model\.pool would do nothing"):
        Classification().build_network(config, ["a", "b"], Given())
    Classification().build_network(config, ["a", "b"], Given(6, 2))


def test_mixing_mixes_the_table_as_the_targets():
    torch.manual_seed(3)
    table = torch.tensor([[0.0], [10.0]])
    mixed, targets = mixer_of(ImageAugment(mixup=1.0), 2)(
        Joint(pixels(2), torch.tensor([1, 3]), table), torch.tensor([0, 1])
    )
    assert mixed.counts.tolist() == [3, 3]
    torch.testing.assert_close(mixed.table[:, 0], 10 * targets[:, 1])
    assert 0 < targets[0, 1] < 1
