"""Precision is measured once where the hardware has two, and a run keeps to what it began with."""

import json
from dataclasses import replace

import pandas as pd
import pytest
import torch

from competitions.cifar10.competition import Competition
from pipeline.base.device import amp_dtype
from pipeline.base.paths import Paths
from pipeline.config.groups import Precision
from pipeline.experiment import precision
from pipeline.experiment.experiment import Experiment
from pipeline.experiment.work import finish
from pipeline.tasks.classification.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from tests.helpers import TINY
from tests.training.small import few

HAS_BOTH = pytest.mark.skipif(
    amp_dtype(torch.device("cpu")) is None, reason="this CPU computes in float32 only"
)


@pytest.fixture
def experiment(prepared_sample, tmp_path):
    """Function from the two choices to an experiment; all are of one project."""
    data = few(prepared_sample("cifar10").data, tmp_path / "few", train=80)

    def made(train: Precision = "auto", predict: Precision = "auto", **options) -> Experiment:
        config = Config(
            folds=FoldConfig(count=4, use=1),
            model=ModelConfig(name=TINY),
            train=TrainConfig(epochs=1, batch_size=20, amp=train, **options),
            predict=PredictConfig(flip=False, amp=predict),
        )
        paths = Paths(tmp_path / "data", tmp_path / "runs", tmp_path / "submissions")
        return Experiment(
            competition=Competition(),
            name="one",
            config=config,
            source_kind="sample",
            data=data,
            paths=paths,
            device="cpu",
        )

    return made


@pytest.fixture
def timings(monkeypatch) -> list[list[str]]:
    """What is measured from now on; each takes twice as long in float32."""
    measured: list[list[str]] = []

    def ratios(job, parts):
        measured.append(list(parts))
        return dict.fromkeys(parts, 2.0)

    monkeypatch.setattr(precision, "measure", ratios)
    return measured


@HAS_BOTH
def test_both_are_timed_on_the_networks_own_batches(experiment, capsys):
    one = experiment()
    chosen = {one.precise.train.amp, one.precise.predict.amp}
    assert chosen <= {"on", "off"}
    speed = json.loads((one.run.folder / "precision.json").read_text())
    assert speed.keys() == {"train", "predict"} and all(0.01 < value < 100 for value in speed.values())
    assert capsys.readouterr().err.count("precision: training in ") == 1


@HAS_BOTH
def test_a_run_that_goes_on_keeps_to_its_choice(experiment, timings):
    one = experiment()
    assert (one.precise.train.amp, one.precise.predict.amp) == ("on", "on")
    path = one.run.folder / "precision.json"
    path.write_text(json.dumps({"train": 2.0, "predict": 0.7}))  # as if it came from another machine
    again = experiment()
    assert again.run == one.run
    assert (again.precise.train.amp, again.precise.predict.amp) == ("on", "off")
    assert timings == [["train", "predict"]]


@HAS_BOTH
def test_what_cannot_be_read_is_measured_again(experiment, timings, tmp_path):
    one = experiment()
    assert one.precise.train.amp == "on"
    for path in [one.run.folder / "precision.json", *(tmp_path / "data").glob("*/precision/*.json")]:
        path.write_text("{")
    assert experiment().precise.train.amp == "on"
    assert len(timings) == 2


@HAS_BOTH
def test_only_what_is_left_open_is_measured(experiment, timings):
    assert experiment("off", "auto").precise.predict.amp == "on"
    assert experiment("on", "off").precise.train.amp == "on"
    assert timings == [["predict"]]
    assert experiment("auto", "auto").precise.train.amp == "on", (
        "what was not measured is no measurement of 0"
    )
    assert timings == [["predict"], ["train"]]


@HAS_BOTH
def test_runs_that_differ_in_what_costs_no_time_choose_alike(experiment, timings):
    one, other = experiment(), experiment(lr=0.05, seed=3, label_smoothing=0.2)
    assert one.run != other.run
    assert one.precise.train.amp == other.precise.train.amp == "on"
    assert len(timings) == 1


@HAS_BOTH
def test_a_fold_in_another_precision_is_another_fold(experiment, timings):
    measured, typed, other = experiment(), experiment("on", "on"), experiment("off", "on")
    assert measured.training_identity(0) == typed.training_identity(0) != other.training_identity(0)


def test_without_mixed_precision_nothing_is_measured(experiment, timings, monkeypatch):
    monkeypatch.setattr(precision, "amp_dtype", lambda device: None)
    one = experiment()
    assert (one.precise.train.amp, one.precise.predict.amp) == ("off", "off")
    assert timings == []


@HAS_BOTH
def test_predictions_in_bf16_are_those_of_float32_within_its_rounding(experiment):
    exact = experiment("off", "off", lr=0.05)
    rounded = experiment("off", "on", lr=0.05)
    frames = []
    for one in (exact, rounded):
        finish([one])
        frames.append(pd.read_parquet(one.run.folder / "test.parquet").set_index("image_id"))
    difference = (frames[0] - frames[1]).abs().to_numpy().max()
    assert 0 < difference < 0.02


def test_validation_looks_as_prediction_does(experiment):
    config = replace(experiment("off", "on").config.predict, shift=1).plain()
    assert config.amp == "on" and config.shift == 0
