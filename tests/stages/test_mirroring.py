"""A competition whose truth changes in a mirror: nothing is mirrored, and who asks for it is told why not."""

import pytest

from competitions.cifar10.configs import CONFIGS
from pipeline.base.errors import UserError
from pipeline.base.paths import Paths
from pipeline.stages.context import Context
from pipeline.stages.experiments import changed_configs
from pipeline.stages.train import Options
from tests.helpers import competition_of


class Text(type(competition_of("cifar10"))):
    """Letters, say."""

    may_mirror = False


def context(tmp_path, *arguments: str) -> Context:
    paths = Paths(tmp_path / "data", tmp_path / "runs", tmp_path / "submissions")
    return Context(competition=Text(), configs=CONFIGS, paths=paths, arguments=arguments)


def test_neither_training_nor_prediction_mirrors(tmp_path):
    (config,) = changed_configs(Options(), context(tmp_path, "--train.lr", "0.1"), "fast")
    assert CONFIGS["fast"].augment.horizontal_flip and CONFIGS["fast"].predict.flip
    assert not config.augment.horizontal_flip and not config.predicting().flip


@pytest.mark.parametrize(
    "option",
    ["--augment.horizontal-flip", "--augment.vertical_flip", "--predict.flip", "--predict.vertical-flip"],
)
def test_who_asks_for_it_is_refused(tmp_path, option):
    with pytest.raises(UserError, match=r"shows mirrored images, .* \(may_mirror = False\): leave it out"):
        changed_configs(Options(), context(tmp_path, option), "fast")
