"""The mean of several epochs' weights: which ones, what it is, and that a killed fold ends the same."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from pipeline.metrics.usual import ACCURACY, LOG_LOSS
from pipeline.tasks.classification.config import Config, TrainConfig
from pipeline.training.averaging import Snapshots, average, choose, mean_weights
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.history import Epoch
from pipeline.training.loop import train_fold
from pipeline.training.session import Session
from tests.training.test_loop import BASIC, _same, _stop_after, job

__all__ = ["job"]  # a fixture

SWA, SOUP = TrainConfig(keep="swa"), TrainConfig(keep="soup")


def history(*scores: float) -> list[Epoch]:
    return [
        Epoch(epoch=number, loss=1.0, lr=0.1, score=score, images_per_second=1.0, seconds=1.0)
        for number, score in enumerate(scores, start=1)
    ]


class TestMean:
    def test_it_is_that_of_each_tensor_and_whole_numbers_are_the_last_ones(self):
        states = [
            {"w": torch.tensor([value, 1.0]), "n": torch.tensor(int(value))} for value in (1.0, 2.0, 6.0)
        ]
        mean = mean_weights(states)
        assert mean["w"].tolist() == [3.0, 1.0] and mean["n"].item() == 6 and mean["n"].dtype == torch.int64

    def test_half_precision_loses_nothing_on_the_way(self):
        states = [{"w": torch.full((1,), 1.0, dtype=torch.bfloat16)}] * 1000
        assert mean_weights(states)["w"].item() == 1 and mean_weights(states)["w"].dtype == torch.bfloat16

    def test_statistics_are_those_that_torch_measures(self):
        torch.manual_seed(0)
        models = [nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)) for _ in range(3)]
        data = [torch.randn(8, 4) for _ in range(5)]
        expected, found = (nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)) for _ in range(2))
        states = [model.state_dict() for model in models]
        expected.load_state_dict(mean_weights(states))
        update_bn(data, expected)

        def passes() -> None:
            for batch in data:
                found(batch)

        average(states, found, found.train, passes)
        for name, tensor in expected.state_dict().items():
            torch.testing.assert_close(found.state_dict()[name], tensor)
        assert found[1].momentum == 0.1

    def test_statistics_of_what_is_frozen_stay(self):
        model = nn.Sequential(nn.BatchNorm1d(3), nn.BatchNorm1d(3))
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}

        def prepare() -> None:
            model.train()
            model[0].eval()

        average([state, state], model, prepare, lambda: model(torch.randn(8, 3) + 5))
        assert model[0].running_mean.tolist() == [0, 0, 0] and (model[1].running_mean != 0).all()


class TestChoice:
    def test_swa_takes_all(self):
        assert choose(SWA, history(0.1, 0.9, 0.5), [2, 3], ACCURACY, lambda chosen: 0.0) == [2, 3]

    @pytest.mark.parametrize(("metric", "sign"), [(ACCURACY, 1), (LOG_LOSS, -1)])
    def test_a_soup_tries_the_best_first_and_keeps_what_makes_it_no_worse(self, metric, sign):
        tried = []
        worth = {(3,): 0.7, (1, 3): 0.8, (1, 2, 3): 0.75, (1, 3, 4): 0.8}

        def score(chosen) -> float:
            tried.append(list(chosen))
            return sign * worth[tuple(sorted(chosen))]

        scores = [sign * one for one in (0.6, 0.5, 0.7, 0.4)]
        assert choose(SOUP, history(*scores), [1, 2, 3, 4], metric, score) == [1, 3, 4]
        assert tried == [[3], [3, 1], [3, 1, 2], [3, 1, 4]]

    def test_epochs_and_means_without_a_score_are_left_out_of_a_soup(self):
        nan = float("nan")
        assert choose(SOUP, history(nan, 0.5), [1, 2], ACCURACY, lambda chosen: nan) == [2]


def test_of_snapshots_only_the_last_are_kept(tmp_path):
    snapshots = Snapshots(tmp_path, 3)
    snapshots.folder.mkdir()
    for epoch in range(1, 6):
        snapshots.path(epoch).touch()
        snapshots.forget(epoch)
    assert sorted(path.name for path in snapshots.folder.iterdir()) == ["3.pt", "4.pt", "5.pt"]
    assert snapshots.are_there(5) and not snapshots.are_there(4)
    assert Snapshots(tmp_path, 9).last(2) == [1, 2]


def averaged(**options) -> Config:
    return replace(BASIC, train=replace(BASIC.train, average_epochs=2, **options))


def weights_of_epochs(monkeypatch) -> list[dict[str, torch.Tensor]]:
    """What each epoch from now on leaves."""
    seen, save = [], Session.save

    def saving(self, *arguments):
        seen.append(self.weights())
        save(self, *arguments)

    monkeypatch.setattr(Session, "save", saving)
    return seen


@pytest.mark.parametrize("ema", [0.0, 0.5])
def test_swa_predicts_with_the_mean_of_the_last_epochs(job, monkeypatch, ema):
    seen = weights_of_epochs(monkeypatch)
    found = train_fold(job(averaged(keep="swa", ema=ema)))
    expected = mean_weights(seen[1:])
    learned = [name for name in expected if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(found.state[name], expected[name]) for name in learned)
    measured = [name for name in expected if "running" in name]
    assert measured and not any(torch.equal(found.state[name], expected[name]) for name in measured)
    folder = job(BASIC).folder
    assert sorted(path.name for path in folder.iterdir()) == ["best.pt", "history.csv", "last.pt", "swa.pt"]
    assert _same(Checkpoint.load(folder / "swa.pt", Config), found)


def test_a_soup_of_one_epoch_has_its_weights(job, monkeypatch):
    monkeypatch.setattr("pipeline.training.loop.choose", lambda *arguments: [3])
    seen = weights_of_epochs(monkeypatch)
    found = train_fold(job(averaged(keep="soup")))
    assert all(
        torch.equal(tensor, seen[2][name])
        for name, tensor in found.state.items()
        if "running" not in name and "num_batches" not in name
    )


@pytest.mark.parametrize("keep", ["swa", "soup"])
def test_a_fold_that_is_killed_while_it_trains_or_averages_ends_the_same(job, monkeypatch, keep):
    config = averaged(keep=keep)
    whole = train_fold(job(config, "whole"))
    with monkeypatch.context() as patch:
        _stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            train_fold(job(config, "cut"))
    with monkeypatch.context() as patch:
        save = Checkpoint.save

        def saving(self, path):
            if path.name == f"{keep}.pt":
                raise KeyboardInterrupt
            save(self, path)

        patch.setattr(Checkpoint, "save", saving)
        with pytest.raises(KeyboardInterrupt):
            train_fold(job(config, "cut"))
    assert not (job(config, "cut").folder / f"{keep}.pt").exists()
    assert _same(train_fold(job(config, "cut")), whole)


def test_epochs_that_were_lost_are_trained_again(job):
    config = averaged(keep="swa")
    whole = train_fold(job(config))
    (job(config).folder / "swa.pt").unlink()
    assert _same(train_fold(job(config)), whole)


def test_the_learning_rate_stops_falling_where_epochs_are_averaged():
    from pipeline.training.schedule import lr_factor

    for schedule in ("cosine", "one_cycle", "step"):
        train = TrainConfig(schedule=schedule, keep="swa", average_lr=0.3, warmup=0.1)
        run = [lr_factor(step, 100, train) for step in range(100)]
        plain = [lr_factor(step, 100, replace(train, keep="last")) for step in range(100)]
        assert run[:10] == plain[:10] and min(run[10:]) == 0.3
        assert all(one == max(other, 0.3) for one, other in zip(run[10:], plain[10:], strict=True))
        assert all(later <= earlier for earlier, later in itertools.pairwise(run[10:]))
