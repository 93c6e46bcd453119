"""Whatever ends a command, the best submission so far is on disk; and the end is the same."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from competitions.cifar10 import sample
from competitions.cifar10.competition import CLASSES, Competition
from pipeline.base.errors import UserError
from pipeline.config.config import Ensemble
from pipeline.experiment import experiment as experiments
from pipeline.stages import so_far
from pipeline.stages.main import main
from pipeline.tasks.classification.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from tests.helpers import TINY

SMALL = Config(
    folds=FoldConfig(count=3),
    model=ModelConfig(name=TINY),
    train=TrainConfig(epochs=1, batch_size=20, amp="off", workers=0),
    predict=PredictConfig(flip=False, amp="off"),
)
CONFIGS = {
    "sample": SMALL,
    "two": Ensemble((SMALL, replace(SMALL, train=replace(SMALL.train, seed=1)))),
}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 training and 20 test images in Kaggle's raw layout."""
    folder = tmp_path_factory.mktemp("small") / "raw"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "TRAIN", 60)
        patch.setattr(sample, "TEST", 20)
        sample.write_sample(folder, CLASSES, seed=3)
    return folder


@pytest.fixture
def submit(raw, tmp_path, monkeypatch):
    """Function that submits a config in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def submitting(name: str = "sample") -> None:
        main(Competition(), CONFIGS, ["submit", "--raw", str(raw), "--config", name, "--out", "out.csv"])

    return submitting


def killed_in_training(monkeypatch, number: int, do) -> None:
    """Do it, and stop it as soon as so many folds are trained and one more begins."""
    train, begun = experiments.train_fold, []

    def training(job, log=None):
        begun.append(job.fold)
        if len(begun) > number:
            raise KeyboardInterrupt
        return train(job, log)

    with monkeypatch.context() as patch:
        patch.setattr(experiments, "train_fold", training)
        with pytest.raises(SystemExit) as end:
            do()
    assert end.value.code == 130


def ledger() -> dict:
    (row,) = pd.read_csv("submissions/cifar10/ledger.csv").to_dict("records")
    return row


def the_file() -> bytes:
    paths = [path for path in Path("submissions/cifar10").glob("*.csv") if path.name != "ledger.csv"]
    return max(paths, key=lambda path: path.stat().st_mtime_ns).read_bytes()


def test_a_killed_run_leaves_the_submission_of_its_folds_and_ends_the_same(
    submit, monkeypatch, tmp_path, capsys
):
    for folds in (1, 2):
        # The second time one more is trained, after the one that is there.
        killed_in_training(monkeypatch, 1, submit)
        row = ledger()
        assert (row["folds"], row["folds_planned"], row["rows"]) == (folds, 3, 20)
        assert 0 <= row["cv_score"] <= 1
        assert the_file() == Path("out.csv").read_bytes()
        assert len(pd.read_csv("out.csv")) == 20
        assert not list(Path("runs/cifar10").glob("*/summary.json"))
    submit()
    assert (ledger()["folds"], ledger()["folds_planned"]) == (3, 3)
    cut = the_file()
    assert Path("out.csv").read_bytes() == cut
    shutil.rmtree("runs")
    shutil.rmtree("submissions")
    submit()
    assert the_file() == cut
    said = capsys.readouterr().err
    assert said.count("submission so far: ") == 4, "none of all folds: that is the run's own"


def test_nothing_is_written_again_that_is_there(submit, monkeypatch, capsys):
    killed_in_training(monkeypatch, 1, submit)
    (path,) = Path("runs/cifar10").glob(f"*/{so_far.SO_FAR}")
    before = path.stat().st_mtime_ns
    killed_in_training(monkeypatch, 0, submit)
    assert path.stat().st_mtime_ns == before
    Path("out.csv").unlink()
    (submission,) = Path("submissions/cifar10").glob("sample-*.csv")
    submission.write_text("rubbish")
    killed_in_training(monkeypatch, 0, submit)
    assert Path("out.csv").exists() and len(pd.read_csv(submission)) == 20


def test_a_finished_run_whose_file_is_lost_is_not_written_from_a_part_of_it(submit, capsys):
    submit()
    before = the_file()
    for path in Path("submissions/cifar10").glob("sample-*.csv"):
        path.unlink()
    capsys.readouterr()
    submit()
    assert the_file() == before and "so far" not in capsys.readouterr().err


def test_of_an_ensemble_it_is_the_first_member_and_then_the_mean_of_those_that_are_complete(
    submit, monkeypatch
):
    killed_in_training(monkeypatch, 1, lambda: submit("two"))
    row = ledger()
    assert row["run"].startswith("two-") and (row["folds"], row["folds_planned"]) == (1, 3)
    killed_in_training(monkeypatch, 3, lambda: submit("two"))
    assert (ledger()["folds"], ledger()["folds_planned"]) == (3, 3)
    (facts,) = [json.loads(path.read_text()) for path in Path("submissions/cifar10").glob("two-*.json")]
    assert len(facts["config"]["members"]) == 1
    first = the_file()
    submit("two")
    assert ledger()["folds"] == 3 and the_file() != first


def test_what_one_fold_alone_cannot_give_is_told_and_waits_for_the_next(submit, monkeypatch, capsys):
    deliver = so_far.deliver_so_far

    def refusing(finished, *rest):
        if finished.folds.nunique() == 1:
            raise UserError("only one class")
        return deliver(finished, *rest)

    monkeypatch.setattr(so_far, "deliver_so_far", refusing)
    submit()
    said = capsys.readouterr().err
    assert "warning: no submission of the folds so far: only one class" in said
    assert said.count("submission so far: ") == 1
