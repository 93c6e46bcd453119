"""Sub-centre ArcFace, GeM, and the nearest training images."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.base.errors import UserError
from pipeline.networks.arcface import Angles, AngularMargin, ArcFaceHead
from pipeline.networks.gem import GeM
from pipeline.networks.joint import Given
from pipeline.tasks.classification.config import AugmentConfig, Config, ModelConfig, PredictConfig
from pipeline.tasks.classification.task import Classification
from tests.helpers import TINY

ANGLES = Angles(embedding=4, centres=2, scale=10.0)


def head():
    torch.manual_seed(0)
    return ArcFaceHead(6, 3, ANGLES).eval()


def test_logits_are_scaled_cosines_to_the_nearest_centre():
    made = head()
    embeddings = made.embed(torch.randn(5, 6))
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(5))
    cosines = F.cosine_similarity(embeddings[:, None], made.weight[None], dim=2)
    expected = 10 * torch.stack([cosines[:, :2], cosines[:, 2:4], cosines[:, 4:]], dim=1).amax(dim=2)
    torch.testing.assert_close(made.logits(embeddings), expected)


def test_the_margin_is_an_angle_of_the_true_class_alone():
    logits = torch.tensor([[6.0, 3.0], [-9.99, 9.0]])
    seen = {}

    class Seen(nn.Module):
        def forward(self, moved, targets):
            seen["logits"] = moved
            return moved.sum()

    AngularMargin(Seen(), 0.3, 10.0)(logits, torch.tensor([0, 0]))
    assert seen["logits"][:, 1].tolist() == [3, 9]
    assert seen["logits"][0, 0] == pytest.approx(10 * math.cos(math.acos(0.6) + 0.3), abs=1e-4)
    assert seen["logits"][1, 0] < -9.99  # falls on beyond half a turn


def test_neighbours_are_the_nearest_training_images():
    made = head()
    made.memory = F.normalize(torch.eye(4)).half()
    made.labels = torch.tensor([0, 1, 1, 2])
    shares = made.neighbours(F.normalize(torch.tensor([[1.0, 0, 0, 0], [0, 1, 1, 0]])), 2)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2))
    assert shares[0, 0] > 0.99 and shares[1].tolist() == pytest.approx([0, 1, 0], abs=1e-3)


def test_what_was_remembered_comes_with_the_weights():
    made, other = head(), head()
    made.memory, made.labels = torch.ones(7, 4).half(), torch.arange(7) % 3
    other.load_state_dict(made.state_dict())
    assert other.memory.shape == (7, 4) and other.labels.tolist() == made.labels.tolist()
    other.forget()
    assert len(other.memory) == len(other.labels) == 0


def test_gem_lies_between_the_mean_and_the_maximum():
    maps = torch.rand(2, 3, 4, 4) + 0.1
    pool = GeM(3)
    with torch.no_grad():
        for power, expected in ((1.0, maps.mean((2, 3))), (200.0, maps.amax((2, 3)))):
            pool.power.fill_(power)
            torch.testing.assert_close(pool(maps), expected, rtol=0.02, atol=0.01)
    with pytest.raises(UserError, match=r"--model\.global-pool"):
        pool(torch.rand(2, 5, 3))


@pytest.mark.parametrize("options", [{"head": "arcface", "embedding": 16}, {"global_pool": "gem"}])
def test_a_network_with_another_head_or_pooling_learns(options):
    torch.manual_seed(0)
    task, config = Classification(), Config(model=ModelConfig(name=TINY, **options))
    model = task.build_network(config, ["a", "b"], Given())
    images = torch.randn(8, 3, 32, 32)
    assert model(images).shape == (8, 2)


def test_neighbours_need_embeddings_and_margins_one_class():
    config = Config(predict=PredictConfig(knn=0.5))
    assert "keeps no embeddings" in config.unused()["predict"]["knn"] and config.predicting().knn == 0
    with pytest.raises(UserError, match=r"leave out --augment\.mixup"):
        Config(model=ModelConfig(head="arcface"), augment=AugmentConfig(mixup=0.2))
