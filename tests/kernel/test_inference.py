"""Predicting with checkpoints alone gives what the run itself gave."""

import shutil

import pandas as pd
import pytest

from competitions.cifar10 import sample
from competitions.cifar10.competition import CLASSES, Competition
from pipeline.base.errors import UserError
from pipeline.base.files import write_json
from pipeline.kernel.bundle import Bundle
from pipeline.kernel.inference import copy_checkpoints, infer
from pipeline.kernel.rehearse import read_bundle
from pipeline.prediction.decide import DECIDED, Decision
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
        train=TrainConfig(epochs=1, batch_size=50, amp="off", seed=seed),
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
def test_a_kernel_with_a_runs_checkpoints_repeats_its_submission(folder, name, one_wheel):
    main(Competition(), CONFIGS, ["submit", "--raw", "raw", "--config", name, "--out", "theirs.csv"])
    run = next((folder / "runs" / "cifar10").glob(f"{name}-*"))
    main(Competition(), CONFIGS, ["kernel", "--kind", "inference", "--run", str(run), "--out", "bundle"])
    copied, there = read_bundle(folder / "bundle").runs, folder / "bundle" / "dataset" / "runs"
    assert copied[0] == run.name and len(copied) == (1 if name == "one" else 3)
    sizes = [path.stat().st_size for path in there.rglob("model.pt")]
    assert len(sizes) == 2 * max(1, len(copied) - 1)
    assert max(sizes) < (run.parent / copied[-1] / "fold0" / "last.pt").stat().st_size
    shutil.rmtree(folder / "runs")
    infer(Competition(), there / run.name, folder / "raw", folder / "ours.csv")
    assert (folder / "ours.csv").read_text() == (folder / "theirs.csv").read_text()


class MostProbable(Decision):
    """Gives every image the class that is the most probable one over all out-of-fold predictions."""

    def fit(self, predictions, classes, score):
        return predictions[classes].mean().idxmax()

    def apply(self, predictions, classes, fitted):
        return predictions.assign(**{DECIDED: fitted})


class DecidedCompetition(Competition):
    """cifar10, handing in what was decided."""

    decision = MostProbable()

    def to_submission(self, predictions, rows, classes):
        return pd.DataFrame({"id": predictions["image_id"], "label": predictions[DECIDED]})


def test_a_kernel_decides_as_its_run_did(folder):
    """What was fitted on out-of-fold predictions, which the kernel has not got, rides along."""
    competition = DecidedCompetition()
    main(competition, CONFIGS, ["submit", "--raw", "raw", "--config", "one", "--out", "theirs.csv"])
    run = next((folder / "runs").glob("*/one-*"))
    copy_checkpoints(run, folder / "bundle", competition)
    infer(competition, folder / "bundle" / run.name, folder / "raw", folder / "ours.csv")
    assert (folder / "ours.csv").read_text() == (folder / "theirs.csv").read_text()
    assert pd.read_csv("ours.csv")["label"].nunique() == 1


def test_a_run_without_the_decision_it_needs_is_refused(folder):
    (folder / "run").mkdir()
    write_json(folder / "run" / "summary.json", {"run": "run"})
    with pytest.raises(UserError, match="before there was a decision"):
        copy_checkpoints(folder / "run", folder / "bundle", DecidedCompetition())


def test_the_notebook_is_told_which_run_predicts():
    bundle = Bundle(
        comp="flowers",
        kind="inference",
        config="auto",
        arguments=[],
        hours=9.0,
        bundle="b",
        data="flowers",
        data_source=None,
        runs=["both-1", "one-1", "one-2"],
        weights=False,
    )
    assert (bundle.parameters()["KIND"], bundle.parameters()["RUN"]) == ("inference", "both-1")


def test_a_run_that_is_not_finished_is_refused(folder):
    (folder / "run").mkdir()
    with pytest.raises(UserError, match="not a finished run"):
        copy_checkpoints(folder / "run", folder / "bundle", Competition())
