"""Training: what a fold's result depends on, and what it survives."""

import math
import shutil
from dataclasses import replace

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from competitions.cifar10.competition import CLASSES, Competition
from pipeline.base.errors import UserError
from pipeline.inputs.preprocess import normalise
from pipeline.metrics.usual import ACCURACY, LOG_LOSS
from pipeline.tasks.classification.config import AugmentConfig, Config, ModelConfig, TrainConfig
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.history import Epoch, best_epoch, read_history, save_history
from pipeline.training.job import FoldJob
from pipeline.training.loop import train_fold
from pipeline.training.session import Session
from tests.helpers import TINY
from tests.training.small import few

BASIC = Config(
    model=ModelConfig(name=TINY),
    augment=AugmentConfig(pad=2),
    train=TrainConfig(epochs=3, batch_size=50, lr=0.1, ema=0.5, amp="off", workers=0),
)


@pytest.fixture
def job(prepared_sample, tmp_path):
    """Function from a config and a folder's name to a job on 200 + 60 images."""
    data = few(prepared_sample("cifar10").data, tmp_path / "data", train=260)
    folds = tmp_path / "folds.parquet"
    data.train[["image_id"]].assign(fold=[-1] * 200 + [0] * 60).to_parquet(folds)

    def make(config: Config, name: str = "fold0") -> FoldJob:
        return FoldJob(
            competition=Competition(),
            config=config,
            data=data.folder,
            folds=folds,
            fold=0,
            folder=tmp_path / name,
            device="cpu",
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
    losses = [row.loss for row in read_history(job(BASIC).folder)]
    assert losses[-1] < 0.85 * losses[0]
    assert checkpoint.classes == list(CLASSES)


def test_mixup_and_cutmix_train(job):
    config = replace(BASIC, augment=AugmentConfig(mixup=0.2, cutmix=1.0))
    assert train_fold(job(config)).state


def test_the_best_epoch_is_kept_when_asked_for(job):
    config = replace(BASIC, train=replace(BASIC.train, keep="best"))
    kept = train_fold(job(config))
    assert _same(kept, Checkpoint.load(job(config).folder / "best.pt", Config))


def _history(*scores: float, seconds: float = 1.0) -> list[Epoch]:
    return [
        Epoch(
            epoch=number,
            loss=1.0,
            lr=0.1,
            score=score,
            images_per_second=1.0,
            seconds=seconds,
            valid_loss=1.5,
        )
        for number, score in enumerate(scores, start=1)
    ]


def test_the_metrics_direction_says_which_epoch_is_best():
    history = _history(0.3, 0.9, 0.9, 0.5)
    assert best_epoch(history, ACCURACY) == 2
    assert best_epoch(history, LOG_LOSS) == 1


def test_patience_ends_a_fold_early(job):
    impatient = replace(BASIC, train=replace(BASIC.train, epochs=50, lr=0.0, patience=2))
    train_fold(job(impatient, "patience"))
    history = read_history(job(impatient, "patience").folder)
    best = max(history, key=lambda row: (row.score, -row.epoch)).epoch
    assert len(history) == best + 2


def test_a_history_survives_its_file_and_a_damaged_one_is_named(tmp_path):
    history = _history(0.3, float("nan"))
    save_history(history, tmp_path)
    found = read_history(tmp_path)
    assert [row.epoch for row in found] == [1, 2] and found[0] == history[0]
    for content in (
        b"",
        b"epoch,loss\n1,2\n",
        b"\xff\xfe\x00",
        b"epoch,loss,lr,score,images_per_second,seconds\n",
    ):
        (tmp_path / "history.csv").write_bytes(content)
        with pytest.raises(UserError, match=r"history\.csv cannot be read .*: delete it and run again"):
            read_history(tmp_path)


def test_a_history_that_was_lost_is_written_again_and_nothing_is_trained(job, capsys):
    train_fold(job(BASIC))
    path = job(BASIC).folder / "history.csv"
    before = path.read_bytes()
    path.write_text("rubbish")
    capsys.readouterr()
    train_fold(job(BASIC))
    assert path.read_bytes() == before and "epoch 1/3" not in capsys.readouterr().err


def test_a_best_epoch_that_was_lost_is_trained_again(job):
    """The last epoch's checkpoint does not hold it."""
    config = replace(BASIC, train=replace(BASIC.train, epochs=2, keep="best"))
    kept = train_fold(job(config))
    (job(config).folder / "best.pt").unlink()
    assert _same(train_fold(job(config)), kept)


def test_a_loss_that_explodes_says_what_to_lower(job):
    wild = replace(BASIC, train=replace(BASIC.train, lr=1e30, warmup=0.0, ema=0.0))
    with pytest.raises(UserError, match=r"lower --train\.lr"):
        train_fold(job(wild))


def test_a_checkpoint_carries_all_that_prediction_needs(job):
    train_fold(job(BASIC))
    loaded = Checkpoint.load(job(BASIC).folder / "last.pt", Config)  # tensors and plain values only
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


def _last_step(monkeypatch, change) -> None:
    """Change the network right after the last step of the second epoch, which no loss looks at any more."""
    step = Session.step

    def stepping(self, config, number):
        step(self, config, number)
        if number == 8:
            change(self.model)

    monkeypatch.setattr(Session, "step", stepping)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), r"fold 0: the weights are no longer finite after epoch 2 \(.*\): lower --train\.lr"),
        (
            3e38,
            r"fold 0: after epoch 2 the predictions of 60 row\(s\) are not finite \(.*\): lower",
        ),
    ],
    ids=["weights", "predictions"],
)
def test_an_epoch_whose_last_step_broke_the_network_is_not_saved(job, monkeypatch, value, words):
    def broken(model):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(value)

    _last_step(monkeypatch, broken)
    config = replace(BASIC, train=replace(BASIC.train, ema=0.0, keep="best"))
    with pytest.raises(UserError, match=words):
        train_fold(job(config))
    folder = job(config).folder
    assert [row.epoch for row in read_history(folder)] == [1]
    for name in ("last.pt", "best.pt"):
        assert all(
            tensor.isfinite().all() for tensor in Checkpoint.load(folder / name, Config).state.values()
        )


def test_a_loss_of_exactly_0_is_told_once_with_its_likely_cause(job, monkeypatch, capsys):
    monkeypatch.setattr(
        Competition, "objective", lambda *_: lambda model, images, targets: model(images).sum() * 0
    )
    train_fold(job(BASIC))
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "exactly 0" in line]
    assert "warning: fold 0: the loss is exactly 0 in epoch 1: there was nothing to learn" in line


def test_an_epoch_without_a_score_is_never_the_best():
    nan = float("nan")
    for metric in (ACCURACY, LOG_LOSS):
        assert best_epoch(_history(nan, 0.1, nan), metric) == 2
        assert best_epoch(_history(0.1, nan), metric) == 1


@pytest.mark.parametrize("loss", ["ce", "bce"])
def test_the_validation_loss_is_that_of_the_images_as_they_are(job, loss):
    """By the network that predicts, which the average is; dropout and changes of images are for training."""
    augment = AugmentConfig(pad=2, mixup=0.5)
    train = replace(BASIC.train, epochs=1, loss=loss)
    one = job(replace(BASIC, augment=augment, train=train, model=ModelConfig(name=TINY, drop_rate=0.5)))
    checkpoint = train_fold(one)
    (row,) = read_history(one.folder)
    opened = one.open()
    model = checkpoint.build(one.competition.task, torch.device("cpu"))
    images = torch.from_numpy(opened.images.packed[opened.valid_rows]).permute(0, 3, 1, 2)
    with torch.no_grad():
        outputs = model.forward_head(model.forward_features(normalise(images, checkpoint.preprocess)))
    truth = torch.tensor([CLASSES.index(label) for label in opened.truth["label"]])
    hot = F.one_hot(truth, len(CLASSES)).float()
    expected = (
        F.cross_entropy(outputs, truth) if loss == "ce" else F.binary_cross_entropy_with_logits(outputs, hot)
    )
    assert row.valid_loss == pytest.approx(float(expected), rel=1e-4)


def test_a_history_from_before_the_validation_loss_can_be_read(job, tmp_path):
    train_fold(job(replace(BASIC, train=replace(BASIC.train, epochs=1)), "old"))
    table = pd.read_csv(tmp_path / "old" / "history.csv")
    assert table["valid_loss"].notna().all()
    table.drop(columns="valid_loss").to_csv(tmp_path / "old" / "history.csv", index=False)
    (row,) = read_history(tmp_path / "old")
    assert math.isnan(row.valid_loss) and row.loss == table["loss"][0]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_a_compiled_network_learns_the_same(job):
    compiled = replace(BASIC, train=replace(BASIC.train, compile=True))
    ones, others = train_fold(job(BASIC, "plain")).state, train_fold(job(compiled, "compiled")).state
    assert list(ones) == list(others)
    rows = zip(*(read_history(job(BASIC, name).folder) for name in ("plain", "compiled")), strict=True)
    assert all(one.loss == pytest.approx(other.loss, rel=0.02) for one, other in rows)


def test_without_a_compiler_one_sentence_says_so(job, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(UserError, match=r"--train\.compile needs a C\+\+ compiler"):
        train_fold(job(replace(BASIC, train=replace(BASIC.train, compile=True))))
