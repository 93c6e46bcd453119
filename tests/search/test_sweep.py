"""A sweep through the command line: trials, stops, killing it, the page, the entry for configs.py."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest

from competitions.cifar10 import sample
from competitions.cifar10.competition import CLASSES, Competition
from pipeline.search import study
from pipeline.stages import sweep
from pipeline.stages.main import main
from pipeline.tasks.classification.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from tests.helpers import TINY

pytest.importorskip("optuna", reason="needs optuna")
CONFIGS = {
    "tiny": Config(
        folds=FoldConfig(count=3),
        model=ModelConfig(name=TINY),
        train=TrainConfig(epochs=2, batch_size=40, amp="off"),
        predict=PredictConfig(flip=False, amp="off"),
    )
}
SPACE = """
from pipeline.search.space import choice, log_uniform
SPACE = {"train.lr": log_uniform(1e-6, 0.5), "train.batch_size": choice(20, 40)}
"""
SWEEP = ("sweep", "--raw", "raw", "--config", "tiny", "--space", "space.py", "--best", "1")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sample, "TRAIN", 120)
    monkeypatch.setattr(sample, "TEST", 20)
    sample.write_sample(tmp_path / "raw", CLASSES, seed=5)
    (tmp_path / "space.py").write_text(SPACE)
    return tmp_path


def told(capfd, *words: str) -> tuple[str, str]:
    capfd.readouterr()
    main(Competition(), CONFIGS, list(words))
    found = capfd.readouterr()
    return found.out.strip(), found.err


def test_a_sweep_is_killed_goes_on_and_leaves_its_best(folder, capfd, monkeypatch):
    trial = sweep.Sweep.trial

    def until_the_third(self):
        if self.search.done() == 2:
            raise KeyboardInterrupt
        trial(self)

    with monkeypatch.context() as patch:
        patch.setattr(sweep.Sweep, "trial", until_the_third)
        with pytest.raises(SystemExit) as stop:
            told(capfd, *SWEEP, "--trials", "5")
        assert stop.value.code == 130
    out, said = told(capfd, *SWEEP, "--trials", "5")
    assert (
        "2 of 5 trials are done" in said
        and "trial 2: train.lr" in said
        and "trial 0: " not in said.split("trial 2")[0]
    )
    page = (folder / out.removeprefix("sweep: ")).read_text()
    for words in ("Best experiments", "Learning curves", "All trials", "the other folds had no say"):
        assert words in page
    # Every trial that ended is a run with a row, and so are those of all folds.
    ledger = pd.read_csv(folder / "submissions" / "cifar10" / "ledger.csv")
    ended = len(re.findall(r"<td>complete</td>", page))
    assert set(ledger["config"]) == {"tiny_sweep"} and ended >= 1
    assert (ledger["folds"] == 3).sum() == len(ledger) - ended >= 1
    # Nothing is trained again.
    again, said = told(capfd, *SWEEP, "--trials", "5")
    assert again == out and "epoch 1/2" not in said
    assert len(pd.read_csv(folder / "submissions" / "cifar10" / "ledger.csv")) == len(ledger)
    configs = {"tiny": CONFIGS["tiny"]}
    text = (folder / out.removeprefix("sweep: ")).with_name("best.py").read_text()
    exec(text, {"CONFIGS": configs, "replace": replace})
    if "tiny_swept" in configs:
        best = ledger[ledger["folds"] == 3]["run"].tolist()
        rates = [
            json.loads((folder / "submissions" / "cifar10" / f"{run}.json").read_text())["config"]["train"][
                "lr"
            ]
            for run in best
        ]
        assert configs["tiny_swept"].train.lr in rates


def test_a_trial_that_is_behind_is_stopped_and_costs_its_epochs_alone(folder, capfd, monkeypatch):
    monkeypatch.setattr("optuna.Trial.should_prune", lambda self: self.number > 0)
    out, said = told(capfd, *SWEEP, "--trials", "2")
    assert "trial 1: stopped, for it is behind the others" in said
    assert said.count("epoch 1/2") == 4 and said.count("epoch 2/2") == 3
    page = (folder / out.removeprefix("sweep: ")).read_text()
    assert "<td>pruned</td>" in page


def test_a_trial_cut_off_is_proposed_again(tmp_path):
    from pipeline.search.space import uniform

    space = {"train.lr": uniform(0, 1)}
    search = study.open_search(tmp_path, space, larger=True)
    values = search.values(search.next())
    again = study.open_search(tmp_path, space, larger=True)
    assert again.done() == 0 and again.values(again.next()) == values


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--space", "nowhere.py"), "there is no search space nowhere.py"),
        (("--trials", "0"), "--trials is 0, and must be at least 1"),
        (("--hours", "nan"), "--hours is nan, and must be above 0"),
        (("--model.name", "resnet0"), "no model is called 'resnet0'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_data_is_read(folder, capfd, words, reason):
    with pytest.raises(SystemExit) as stop:
        told(capfd, "sweep", "--raw", "nothing", "--config", "tiny", "--space", "space.py", *words)
    assert stop.value.code == 2 and reason in capfd.readouterr().err.splitlines()[-1]
    assert not (folder / "runs").exists()


def test_no_trial_begins_that_leaves_no_time(folder, capfd):
    _, said = told(capfd, *SWEEP, "--trials", "9", "--hours", "0.000001")
    assert "no time for another trial" in said or "0 trials" in said
