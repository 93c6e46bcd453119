"""The learning rate that is suggested is trained with, on the sample of every competition that ships."""

import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.stages.main import main
from tests.helpers import competition_of

POINTS = 0.02
"""How much worse than with the config's own rate the sample's hidden images may be predicted."""
OWN = {"dog_breed": 0.3}
"""Where the metric is a loss, and not a share: nats."""


@pytest.fixture
def stage(tmp_path, monkeypatch, capfd) -> Callable[..., str]:
    """Function from a competition, a stage and options to what it says, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(slug: str, name: str, *arguments: str) -> str:
        configs = importlib.import_module(f"competitions.{slug}.configs").CONFIGS
        main(competition_of(slug), configs, [name, "--data", "sample", *arguments])
        captured = capfd.readouterr()
        return captured.out + captured.err

    return run


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("slug", ["cifar10", "hotdog", "dog_breed", "voc", "coco"])
def test_the_suggestion_trains_as_well_as_the_configs_rate(slug, stage):
    told = stage(slug, "lr-find", "--config", "sample")
    found = re.search(r"suggested: --train.lr (\S+), from (\S+) to (\S+) ", told)
    assert found, told
    metric, scores = competition_of(slug).metric, []
    for options in ((), ("--train.lr", found[1])):
        line = stage(slug, "submit", "--config", "sample", "--track.wandb", "disabled", *options)
        path = Path(re.search(r"^submission: (\S+)$", line, re.MULTILINE)[1])
        about = json.loads(path.with_suffix(".json").read_text())
        scores.append(metric.sign * about[f"sample_test_{metric.name}"])
    assert scores[1] >= scores[0] - OWN.get(slug, POINTS), f"{found[0]}: {scores}"
