"""Training: what a fold's result depends on, and what it survives."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from competitions.cifar10.competition import Competition
from pipeline.base.errors import UserError
from pipeline.inputs.batches import Images
from pipeline.tasks.classification.config import AugmentConfig, Config, ModelConfig, TrainConfig
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.job import Epoch, FoldJob
from pipeline.training.loop import train_fold
from pipeline.training.session import Session
from tests.helpers import TINY

BASIC = Config(
    model=ModelConfig(name=TINY),
    augment=AugmentConfig(pad=2),
    train=TrainConfig(epochs=3, batch_size=50, lr=0.1, ema=0.5, amp=False, workers=0),
)


@pytest.fixture
def job(prepared_sample, tmp_path):
    """Function from a config and a folder's name to a job on 200 + 60 images."""
    data = prepared_sample("cifar10").data
    images = Images(data.train, data.packed("train"))

    def make(config: Config, name: str = "fold0") -> FoldJob:
        rows = np.arange(200), np.arange(200, 260)
        return FoldJob(
            Competition(), config, images, data.classes, *rows, 0, tmp_path / name, torch.device("cpu")
        )

    return make


def _same(a: Checkpoint, b: Checkpoint) -> bool:
    return all(torch.equal(tensor, b.state[name]) for name, tensor in a.state.items())


def _stop_after(monkeypatch, epochs: int) -> None:
    """Make the process "die" right after an epoch was saved."""
    save = Session.save

    def saving(self, *arguments):
        save(self, *arguments)
        if len(self.history) == epochs:
            raise KeyboardInterrupt

    monkeypatch.setattr(Session, "save", saving)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"optimizer": "adamw", "lr": 0.002, "ema": 0.0},
        {"accumulate": 2, "clip_norm": 1.0, "schedule": "one_cycle"},
    ],
    ids=["sgd-ema", "adamw", "accumulate-clip"],
)
def test_an_interrupted_fold_ends_like_one_that_was_not(job, monkeypatch, change):
    config = replace(BASIC, train=replace(BASIC.train, **change))
    whole = train_fold(job(config, "whole"))
    with monkeypatch.context() as patch:
        _stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            train_fold(job(config, "cut"))
    assert _same(train_fold(job(config, "cut")), whole)


def test_the_albumentations_path_resumes_to_the_same_result_whatever_the_workers(job, monkeypatch):
    augment = AugmentConfig(crop="resized", color_jitter=0.3, cutout=8)
    config = replace(BASIC, augment=augment, train=replace(BASIC.train, epochs=2))
    whole = train_fold(job(config, "whole"))
    with monkeypatch.context() as patch:
        _stop_after(patch, 1)
        with pytest.raises(KeyboardInterrupt):
            train_fold(job(config, "cut"))
    with_workers = replace(config, train=replace(config.train, workers=2))
    assert _same(train_fold(job(with_workers, "cut")), whole)


def test_another_seed_gives_other_weights(job):
    other = replace(BASIC, train=replace(BASIC.train, seed=1))
    assert not _same(train_fold(job(BASIC, "a")), train_fold(job(other, "b")))


def test_it_learns(job):
    checkpoint = train_fold(job(replace(BASIC, train=replace(BASIC.train, epochs=8))))
    losses = [Epoch(*row).loss for row in checkpoint.training["history"]]
    assert losses[-1] < 0.85 * losses[0]
    assert checkpoint.classes == job(BASIC).classes


def test_mixup_and_cutmix_train(job):
    config = replace(BASIC, augment=AugmentConfig(mixup=0.2, cutmix=1.0))
    assert train_fold(job(config)).state


def test_the_best_epoch_is_kept_when_asked_for(job):
    config = replace(BASIC, train=replace(BASIC.train, keep="best"))
    kept = train_fold(job(config))
    assert _same(kept, Checkpoint.load(job(config).folder / "best.pt"))


def _history(*scores: float, seconds: float = 1.0) -> list[Epoch]:
    return [Epoch(number, 1.0, 0.1, score, 1.0, seconds) for number, score in enumerate(scores, start=1)]


def test_the_metrics_name_says_which_epoch_is_best():
    session = Session(None, [], None, None, None, None, _history(0.3, 0.9, 0.9, 0.5))
    assert session.best_epoch("accuracy_score") == 2
    assert session.best_epoch("log_loss") == 1
    assert session.best_epoch("top5_error") == 1


def test_patience_and_the_time_limit_end_a_fold_early(job):
    impatient = replace(BASIC, train=replace(BASIC.train, epochs=50, lr=0.0, patience=2))
    history = [Epoch(*row) for row in train_fold(job(impatient, "patience")).training["history"]]
    best = max(history, key=lambda row: (row.score, -row.epoch)).epoch
    assert len(history) == best + 2
    hurried = replace(BASIC, train=replace(BASIC.train, epochs=50, max_minutes=1e-6))
    assert len(train_fold(job(hurried, "time")).training["history"]) == 1


def test_a_loss_that_explodes_says_what_to_lower(job):
    wild = replace(BASIC, train=replace(BASIC.train, lr=1e30, warmup=0.0, ema=0.0))
    with pytest.raises(UserError, match=r"lower --train\.lr"):
        train_fold(job(wild))


def test_a_checkpoint_carries_all_that_prediction_needs(job):
    train_fold(job(BASIC))
    loaded = Checkpoint.load(job(BASIC).folder / "last.pt")  # weights_only
    assert loaded.config == BASIC
    assert loaded.preprocess.size == 32
    assert loaded.preprocess.mean == (0.4914, 0.4822, 0.4465)


def test_a_damaged_checkpoint_is_named(job):
    folder = job(BASIC).folder
    folder.mkdir()
    (folder / "last.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"last\.pt is no checkpoint"):
        train_fold(job(BASIC))


def test_any_timm_network_trains(job):
    model = ModelConfig(name="resnet10t")
    config = replace(BASIC, model=model, train=replace(BASIC.train, epochs=1, lr=0.05))
    assert train_fold(job(config)).config.model.name == "resnet10t"
