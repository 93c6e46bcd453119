"""How often images are drawn, whose augmentation and loss are used, and which optimizers there are."""

from dataclasses import replace

import albumentations as A
import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.networks.groups import check_optimizer
from pipeline.tasks.classification.config import Config, ModelConfig, TrainConfig
from pipeline.tasks.task import OutputLoss
from pipeline.training.job import FoldJob
from pipeline.training.loop import start, train_fold
from pipeline.training.sampling import drawing_weights
from tests.helpers import TINY, competition_of

FRAME = pd.DataFrame({"image_id": list("abcd"), "label": ["x", "x", "x", "y"]})
QUICK = Config(
    model=ModelConfig(name=TINY), train=TrainConfig(epochs=1, batch_size=50, amp="off", workers=0, lr=0.01)
)


@pytest.fixture
def job(prepared_sample, tmp_path):
    """Function from a config and a competition to a job on a fifth of the generated images."""
    data = prepared_sample("cifar10").data
    folds = pd.DataFrame({"image_id": data.train["image_id"], "fold": np.arange(len(data.train)) % 5})
    folds.to_parquet(tmp_path / "folds.parquet")

    def make(config: Config, competition=None) -> FoldJob:
        return FoldJob(
            competition=competition or competition_of("cifar10"),
            config=config,
            data=data.folder,
            folds=tmp_path / "folds.parquet",
            fold=0,
            folder=tmp_path / "fold0",
            device="cpu",
        )

    return make


def test_without_weights_or_oversampling_every_image_is_visited_once():
    assert drawing_weights(FRAME, FRAME["label"], 0.0) is None


def test_oversampling_by_one_draws_strata_equally_often_and_by_half_in_between():
    whole = drawing_weights(FRAME, FRAME["label"], 1.0)
    half = drawing_weights(FRAME, FRAME["label"], 0.5)
    assert whole is not None and half is not None
    assert whole[:3].sum() == pytest.approx(whole[3])
    assert 1 < half[3] / half[0] < whole[3] / whole[0]


def test_given_weights_count_and_nonsense_is_refused_by_id():
    weighted = drawing_weights(FRAME.assign(weight=[1, 2, 3, "4"]), FRAME["label"], 0.0)
    assert weighted is not None and weighted.tolist() == [1, 2, 3, 4]
    with pytest.raises(UserError, match=r"weight of 2 image.*: b, d"):
        drawing_weights(FRAME.assign(weight=[1, 0, 3, float("nan")]), FRAME["label"], 0.0)


def test_an_oversampled_epoch_holds_rare_labels_as_often_as_others(job, monkeypatch):
    competition = competition_of("cifar10")

    def every_twentieth(task, frame):
        return pd.Series(np.where(np.arange(len(frame)) % 20 == 0, "rare", "usual"), frame.index)

    monkeypatch.setattr(type(competition.task), "strata", every_twentieth)
    config = replace(QUICK, train=replace(QUICK.train, oversample=1.0))
    batches = job(config).open().batches(start(job(QUICK)).preprocess)
    torch.manual_seed(0)
    drawn = torch.multinomial(batches.weights, 2000, replacement=True)
    assert (drawn % 20 == 0).double().mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("name", ["lion", "lamb", "nadamw", "adamw", "sgd"])
def test_optimizers_of_timm_train(job, name):
    config = replace(QUICK, train=replace(QUICK.train, optimizer=name, lr=1e-3))
    assert np.isfinite(train_fold(job(config)).training["history"][0][1])


def test_an_unknown_optimizer_is_refused_with_the_closest_names():
    with pytest.raises(UserError, match=r"no optimizer is called 'loin': did you mean .*lion"):
        check_optimizer("loin")


def test_momentum_is_an_option_of_those_that_have_one():
    assert "momentum" in TrainConfig(optimizer="lion").unused()
    assert "momentum" not in TrainConfig(optimizer="rmsprop").unused()


def test_a_competitions_own_augmentation_and_loss_take_the_place_of_the_tasks(job):
    seen = []

    class Own(type(competition_of("cifar10"))):
        def augment(self, config, preprocess):
            return A.Compose([A.Resize(preprocess.size, preprocess.size), A.Rotate(30, p=1.0)])

        def objective(self, config, targets):
            def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
                seen.append(len(labels))
                return torch.nn.functional.multi_margin_loss(outputs, labels)

            return OutputLoss(loss)

    opened = job(QUICK, Own()).open()
    batches = opened.batches(start(job(QUICK)).preprocess)
    assert batches.batch_transform is None  # the batched path knows nothing of rotations
    train_fold(job(QUICK, Own()))
    assert seen and set(seen) == {50}


def test_gradient_checkpointing_changes_no_result(job):
    plain = replace(QUICK, model=ModelConfig(name="resnet10t"))
    saved = replace(plain, model=replace(plain.model, grad_checkpointing=True))
    losses = [start(job(config)) for config in (plain, saved)]
    values = []
    for fold in losses:
        images, labels = next(fold.batches.epoch(1))
        values.append(fold.objective(fold.session.model.train(), images, labels).item())
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_what_a_network_lacks_is_refused(job):
    for change, part in (
        ({"grad_checkpointing": True}, "activations"),
        ({"drop_path": 0.1}, "stochastic depth"),
    ):
        config = replace(QUICK, model=replace(QUICK.model, **change))
        with pytest.raises(UserError, match=part):
            start(job(config))
