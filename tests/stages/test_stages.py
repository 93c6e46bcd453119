"""Stages beyond the plain run: ensembles, the preview picture, and the exported folders."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from competitions.cifar10 import sample
from competitions.cifar10.competition import CLASSES, Competition
from pipeline.stages.main import main
from pipeline.tasks.classification.config import (
    AugmentConfig,
    Config,
    Ensemble,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)
from pipeline.training.checkpoint import Checkpoint
from tests.helpers import TINY

ONE = Config(
    folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
    model=ModelConfig(name=TINY),
    augment=AugmentConfig(cutmix=1.0),
    train=TrainConfig(epochs=1, batch_size=50, amp=False),
    predict=PredictConfig(flip=False),
)
OTHER = replace(ONE, train=replace(ONE.train, seed=7))
CONFIGS = {"one": ONE, "both": Ensemble((ONE, OTHER))}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with 200 training and 40 test images in ``raw``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sample, "TRAIN", 200)
    monkeypatch.setattr(sample, "TEST", 40)
    sample.write_sample(tmp_path / "raw", CLASSES, seed=5)
    return tmp_path


def _stage(capfd, stage: str, *arguments: str) -> str:
    main(Competition(), CONFIGS, [stage, "--raw", "raw", *arguments])
    return capfd.readouterr().out.splitlines()[-1]


def test_an_ensemble_averages_its_members_by_image_id(folder, capfd):
    line = _stage(capfd, "submit", "--config", "both")
    runs = {path.name.split("-")[0]: path for path in (folder / "runs" / "cifar10").iterdir()}
    assert set(runs) == {"both", "both1", "both2"}
    frames = [pd.read_parquet(runs[name] / "test.parquet") for name in ("both", "both1", "both2")]
    joined, first, second = (frame.set_index("image_id").sort_index() for frame in frames)
    assert np.allclose(joined, (first + second) / 2, atol=1e-6)
    about = json.loads((folder / line.removeprefix("submission: ")).with_suffix(".json").read_text())
    assert len(about["folds"]) == 2


def test_overrides_reach_every_member(folder, capfd):
    _stage(capfd, "submit", "--config", "both", "--train.epochs", "2")
    members = [path for path in (folder / "runs" / "cifar10").iterdir() if path.name[4].isdigit()]
    configs = [json.loads((path / "config.json").read_text())["config"] for path in members]
    assert [config["train"]["epochs"] for config in configs] == [2, 2]
    assert sorted(config["train"]["seed"] for config in configs) == [0, 7]


def test_preview_draws_the_augmented_images(folder, capfd):
    _stage(capfd, "preview", "--config", "one", "--out", "grid.png")
    with Image.open(folder / "grid.png") as picture:
        assert picture.width > 800
        assert len(np.unique(np.asarray(picture.convert("L")))) > 100


def test_the_learning_rate_stage_suggests_and_draws(folder, capfd):
    line = _stage(capfd, "lr-find", "--config", "one", "--out", "lr.png")
    assert line == "learning rates: lr.png"
    with Image.open(folder / "lr.png") as picture:
        assert picture.width > 300


def test_losses_that_suggest_no_learning_rate_are_drawn_all_the_same(folder, capfd, monkeypatch):
    monkeypatch.setattr("pipeline.stages.stages.training_step", lambda *_: lambda lr: 1 + lr)
    with pytest.raises(SystemExit) as stop:
        _stage(capfd, "lr-find", "--config", "one", "--out", "lr.png")
    assert stop.value.code == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert "fell at no learning rate" in error and "drawn in lr.png" in error
    with Image.open(folder / "lr.png") as picture:
        assert picture.width > 300


def test_export_links_every_image_once_for_each_use(folder, capfd):
    _stage(capfd, "export", "--config", "one", "--out", "tree")
    assert len(list((folder / "tree" / "train_valid").glob("*/*.png"))) == 200
    assert len(list((folder / "tree" / "valid").glob("*/*.png"))) == 40
    assert len(list((folder / "tree" / "test" / "unknown").iterdir())) == 40


def test_folds_are_shared_by_runs_and_saved_with_each(folder, capfd):
    _stage(capfd, "train", "--config", "both")
    saved = [pd.read_parquet(path) for path in (folder / "runs" / "cifar10").glob("*/folds.parquet")]
    assert len(saved) == 2
    pd.testing.assert_frame_equal(*saved)
    assert len(list((folder / "data" / "cifar10" / "folds").iterdir())) == 1


def test_a_run_that_only_predicts_otherwise_is_not_trained_again(folder, capfd):
    first = _stage(capfd, "submit", "--config", "one").removeprefix("submission: ")
    main(Competition(), CONFIGS, ["submit", "--raw", "raw", "--config", "one", "--predict.shift", "2"])
    told, said = capfd.readouterr()
    assert said.count("differs only in how it predicts") == 1 and "epoch 1/1" not in said
    second = told.splitlines()[-1].removeprefix("submission: ")
    weights, tables = [], []
    for submission in (first, second):
        run = folder / "runs" / "cifar10" / Path(submission).stem
        weights.append(Checkpoint.load(run / "fold0" / "last.pt"))
        tables.append(pd.read_parquet(run / "oof.parquet"))
    assert all(torch.equal(value, weights[1].state[name]) for name, value in weights[0].state.items())
    assert [one.config.predict.shift for one in weights] == [0, 2]
    assert not tables[0].equals(tables[1])


def test_the_best_epoch_is_chosen_by_predicting_so_that_is_trained_again(folder, capfd):
    _stage(capfd, "train", "--config", "one", "--train.keep", "best")
    main(
        Competition(),
        CONFIGS,
        ["train", "--raw", "raw", "--config", "one", "--train.keep", "best", "--predict.shift", "2"],
    )
    assert "epoch 1/1" in capfd.readouterr().err


@pytest.mark.parametrize("shift", ["0", "2"])
def test_a_fold_whose_weights_were_deleted_is_trained_and_not_borrowed(folder, capfd, shift):
    _stage(capfd, "train", "--config", "one")
    next((folder / "runs" / "cifar10").glob("one-*/fold0/last.pt")).unlink()
    main(Competition(), CONFIGS, ["predict", "--raw", "raw", "--config", "one", "--predict.shift", shift])
    assert "epoch 1/1" in capfd.readouterr().err


def test_out_that_cannot_be_written_names_the_submission(folder, capfd):
    (folder / "file").write_text("")
    with pytest.raises(SystemExit) as stop:
        main(Competition(), CONFIGS, ["submit", "--raw", "raw", "--config", "one", "--out", "file/s.csv"])
    error = capfd.readouterr().err.splitlines()[-1]
    assert stop.value.code == 2
    assert "file/s.csv cannot be written" in error and "submissions/cifar10/one-" in error
