"""One clock for a whole command: with half the time that it needs it submits, and says what it left out."""

import math
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest

from competitions.cifar10.competition import Competition
from pipeline.experiment import experiment as experiments
from pipeline.stages.main import main
from pipeline.training import pace
from pipeline.training.plan import Plan, Seconds, read_plan
from pipeline.training.session import Session
from tests.stages.test_so_far import CONFIGS, ledger, raw, the_file

__all__ = ["raw"]


@pytest.fixture
def submit(raw, tmp_path, monkeypatch):
    """Function that submits with further options, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def submitting(*options: str) -> None:
        main(Competition(), CONFIGS, ["submit", "--raw", str(raw), "--config", "sample", *options])

    return submitting


@pytest.fixture
def slow(monkeypatch) -> None:
    """Each epoch takes half a second more, which the measurement before them sees."""
    validate, measure = experiments.train_fold.__globals__["validate"], experiments.measure_fold

    def validating(fold):
        time.sleep(0.5)
        return validate(fold)

    def measuring(job, tests):
        found = measure(job, tests)
        return Seconds(epoch=found.epoch + 0.5, views=found.views, plain=found.plain)

    monkeypatch.setitem(experiments.train_fold.__globals__, "validate", validating)
    monkeypatch.setattr(experiments, "measure_fold", measuring)


def plans() -> list:
    return [read_plan(folder) for folder in sorted(Path("runs/cifar10").glob("*/fold?"))]


def test_half_the_time_it_needs_still_submits(submit, slow, capsys):
    """Three folds of ten epochs are 15 seconds of waiting alone."""
    began = time.time()
    submit("--train.epochs", "10", "--hours", str(9 / 3600))
    (path,) = Path("submissions/cifar10").glob("sample-*.csv")
    assert path.stat().st_mtime - began < 9
    totals = [plan.total for plan in plans()]
    assert totals and all(1 <= total < 10 for total in totals)
    assert len(pd.read_csv(path)) == 20
    assert (ledger()["folds"], ledger()["folds_planned"]) == (len(totals), 3)
    assert f"fold 0: there is time for {totals[0]} of 10 epochs" in capsys.readouterr().err
    histories = [pd.read_csv(path) for path in sorted(Path("runs/cifar10").glob("*/fold?/history.csv"))]
    # The learning rate falls to its end: the last step of so few epochs is close to 0.
    assert all(len(one) == n and one["lr"].iloc[-1] < 0.02 for one, n in zip(histories, totals, strict=True))


def test_what_is_measured_replaces_what_was_believed(submit, monkeypatch, capsys):
    seconds = Seconds(epoch=900, plain=100, views=100)
    monkeypatch.setattr(experiments, "measure_fold", lambda *given: seconds)
    submit("--hours", "0.5")
    assert "fold 0: there is time for 0 of the 2 folds to come" in capsys.readouterr().err
    assert (ledger()["folds"], ledger()["folds_planned"]) == (3, 3), "as measured then, all fit"


def test_a_run_without_some_of_its_folds_is_told_and_goes_on(submit, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(experiments.Experiment, "has_time", lambda self, fold: fold < 2)
        submit("--hours", "1")
    said = capsys.readouterr().err
    assert "there is no time for 1 of 3 folds: they are left out, and the same command goes on with" in said
    assert (ledger()["folds"], ledger()["folds_planned"]) == (2, 3)
    (report,) = Path("runs/cifar10").glob("*/report.html")
    assert report.exists()
    submit("--hours", "1")
    said = capsys.readouterr().err
    assert "already done" not in said and "fold 2" in said and "fold 1: " not in said
    assert ledger()["folds"] == 3
    submit("--hours", "1")
    assert "already done" in capsys.readouterr().err


def test_a_hurried_fold_that_was_killed_ends_by_the_same_plan(submit, monkeypatch):
    """Whatever time the second call has: the plan is the fold's."""
    options = ("--train.epochs", "8", "--hours", "0.5", "--folds.use", "1")
    paced = Seconds(epoch=400, plain=1, views=1)
    monkeypatch.setattr(experiments, "measure_fold", lambda *given: paced)
    monkeypatch.setattr(pace, "MORE", math.inf)
    submit(*options)
    assert plans() == [Plan(((0, 4),))]
    whole = the_file()
    shutil.rmtree("runs")
    save = Session.save

    def saving(self, *arguments):
        save(self, *arguments)
        if len(self.history) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Session, "save", saving)
        with pytest.raises(SystemExit):
            submit(*options)
    monkeypatch.setattr(experiments, "measure_fold", lambda *given: Seconds(epoch=1))
    submit(*options)
    assert plans() == [Plan(((0, 4),))] and the_file() == whole


def test_other_hours_are_another_run_that_takes_the_folds_there_was_time_for(submit, capsys):
    submit()
    capsys.readouterr()
    submit("--hours", "1")
    said = capsys.readouterr().err
    assert said.count("where it was trained") == 3 and "--hours None -> 1.0" in said


def test_hours_that_are_none_are_refused_before_any_data(submit, capsys):
    with pytest.raises(SystemExit):
        submit("--hours", "0")
    assert "--hours is 0.0, and must be above 0" in capsys.readouterr().err
