"""Predicting with checkpoints alone gives what the run itself gave."""

import pytest

from competitions.cifar10 import sample
from competitions.cifar10.competition import CLASSES, Competition
from pipeline.base.errors import UserError
from pipeline.kernel.inference import copy_checkpoints, infer
from pipeline.stages.main import main
from pipeline.tasks.classification.config import (
    Config,
    Ensemble,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)
from tests.helpers import TINY


def config(seed: int) -> Config:
    return Config(
        folds=FoldConfig(count=3, use=2),
        model=ModelConfig(name=TINY),
        train=TrainConfig(epochs=1, batch_size=50, amp=False, seed=seed),
        predict=PredictConfig(flip=False),
    )


CONFIGS = {"one": config(0), "both": Ensemble((config(0), config(7)))}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with raw files of 150 training and 30 test images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sample, "TRAIN", 150)
    monkeypatch.setattr(sample, "TEST", 30)
    sample.write_sample(tmp_path / "raw", CLASSES, seed=5)
    return tmp_path


@pytest.mark.parametrize("name", CONFIGS)
def test_inference_repeats_the_runs_submission(folder, name, capfd):
    main(Competition(), CONFIGS, ["submit", "--raw", "raw", "--config", name, "--out", "theirs.csv"])
    run = next((folder / "runs" / "cifar10").glob(f"{name}-*"))
    copied = copy_checkpoints(run, folder / "bundle")
    assert copied[0] == run.name and len(copied) == (1 if name == "one" else 3)
    sizes = [path.stat().st_size for path in (folder / "bundle").rglob("model.pt")]
    assert max(sizes) < (run.parent / copied[-1] / "fold0" / "last.pt").stat().st_size
    infer(Competition(), folder / "bundle" / run.name, folder / "raw", folder / "ours.csv")
    assert (folder / "ours.csv").read_text() == (folder / "theirs.csv").read_text()


def test_a_run_that_is_not_finished_is_refused(folder):
    (folder / "run").mkdir()
    with pytest.raises(UserError, match="not a finished run"):
        copy_checkpoints(folder / "run", folder / "bundle")
