"""One fold on two devices, by real processes: the steps of one device, and no wait without an end."""

import multiprocessing
import os
import signal
from dataclasses import replace

import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.tasks.classification.config import AugmentConfig, Config, ModelConfig, TrainConfig
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.devices import devices_of, train_on_devices
from pipeline.training.history import Epoch, read_history
from pipeline.training.job import FoldJob, FoldLog
from pipeline.training.loop import train_fold
from pipeline.training.ranks import Ranks
from tests.training.test_loop import job

__all__ = ["job"]

PLAIN = Config(
    model=ModelConfig(name="test_convnext", pretrained=False, image_size=32),
    augment=AugmentConfig(pad=2),
    train=TrainConfig(epochs=2, batch_size=50, lr=0.05, ema=0.5, amp="off", workers=0),
)
"""Without BatchNorm, whose statistics are those of a part of the batch on CPUs."""


def on(config: Config, devices: int) -> Config:
    return replace(config, train=replace(config.train, devices=devices))


def trained(job: FoldJob, log: FoldLog | None = None) -> Checkpoint:
    """The fold on as many devices as its config says."""
    if job.config.train.devices == 1:
        return train_fold(job, log)
    train_on_devices(job, log or FoldLog())
    return Checkpoint.load(job.folder / "last.pt", Config)


def assert_close(one: FoldJob, other: FoldJob) -> None:
    """Equal but for rounding: weights, losses and scores."""
    states = [Checkpoint.load(made.folder / "last.pt", Config).state for made in (one, other)]
    for name, tensor in states[0].items():
        torch.testing.assert_close(states[1][name], tensor, rtol=1e-3, atol=1e-4)
    rows = zip(read_history(one.folder), read_history(other.folder), strict=True)
    for first, second in rows:
        assert first.loss == pytest.approx(second.loss, rel=1e-4)
        assert first.valid_loss == pytest.approx(second.valid_loss, rel=1e-4)
        assert first.score == pytest.approx(second.score, abs=0.021)  # one image of 60 at most


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        PLAIN,
        replace(PLAIN, train=replace(PLAIN.train, accumulate=2, clip_norm=1.0)),
        replace(PLAIN, train=replace(PLAIN.train, batch_size=51, optimizer="adamw", lr=0.002, ema=0.0)),
    ],
    ids=["packed", "accumulate-clip", "uneven-adamw"],
)
def test_two_devices_take_the_steps_of_one(job, config):
    one, two = job(on(config, 1), "one"), job(on(config, 2), "two")
    trained(one)
    trained(two)
    assert_close(one, two)


@pytest.mark.slow
def test_a_fold_goes_on_on_another_number_of_devices(job):
    whole = job(on(PLAIN, 1), "whole")
    trained(whole)
    for first, second in ((1, 2), (2, 1)):
        cut = job(on(PLAIN, first), f"cut{first}")
        with pytest.raises(InterruptedError):
            trained(cut, FoldLog(epoch=_interrupt))
        assert len(read_history(cut.folder)) == 1
        trained(replace(cut, config=on(PLAIN, second)))
        assert_close(whole, cut)


def _interrupt(epoch: Epoch) -> None:
    raise InterruptedError


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"augment": AugmentConfig(pad=2, mixup=0.5, cutmix=0.5)},
        {"augment": AugmentConfig(crop="resized", color_jitter=0.2)},
        {"model": ModelConfig(name="podium_cifarnet", image_size=32)},
        {"train": replace(PLAIN.train, keep="swa", average_epochs=2)},
    ],
    ids=["mixed", "files", "batch-norm", "averaged"],
)
def test_all_that_one_device_does_two_do(job, change):
    config = on(replace(PLAIN, **change), 2)
    epochs: list[Epoch] = []
    made = job(config)
    trained(made, FoldLog(epoch=epochs.append))
    history = read_history(made.folder)
    assert epochs == history and len(history) == 2
    state = Checkpoint.load(made.folder / f"{config.train.keep}.pt", Config).state
    assert all(tensor.isfinite().all() for tensor in state.values())


@pytest.mark.slow
def test_a_killed_process_ends_the_fold_which_goes_on(job):
    made = job(on(replace(PLAIN, train=replace(PLAIN.train, epochs=3)), 2))

    def kill(epoch: Epoch) -> None:
        last = max(multiprocessing.active_children(), key=lambda child: child.pid or 0)
        os.kill(last.pid or 0, signal.SIGKILL)

    with pytest.raises(UserError, match=r"fold 0: one of the 2 processes .* goes on from the last epoch"):
        trained(made, FoldLog(epoch=kill))
    assert not multiprocessing.active_children()
    done = len(read_history(made.folder))
    assert 1 <= done < 3
    trained(made)
    assert len(read_history(made.folder)) == 3


@pytest.mark.slow
def test_what_is_wrong_in_a_process_is_raised_here(job):
    wild = on(replace(PLAIN, train=replace(PLAIN.train, lr=1e30, warmup=0.0)), 2)
    with pytest.raises(UserError, match=r"lower --train\.lr"):
        trained(job(wild))


def test_a_batch_has_an_image_for_each_device(job):
    few = on(replace(PLAIN, train=replace(PLAIN.train, batch_size=2)), 3)
    with pytest.raises(UserError, match=r"--train\.devices is 3, and a batch has 2 image"):
        train_fold(job(few), ranks=Ranks(0, 3))


@pytest.mark.skipif(torch.cuda.device_count() > 4, reason="there are so many GPUs")
def test_more_devices_than_there_are_is_one_sentence():
    with pytest.raises(UserError, match=r"--train\.devices is 5, and from cuda:0 on there is \d"):
        devices_of("cuda", 5)


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("things", [0, 1, 7, 8, 50])
def test_parts_are_whole_and_do_not_overlap(things, count):
    parts = [list(range(things))[Ranks(rank, count).part(things)] for rank in range(count)]
    assert [thing for part in parts for thing in part] == list(range(things))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    if things:
        assert sum(Ranks(rank, count).share(things) for rank in range(count)) == pytest.approx(count)
