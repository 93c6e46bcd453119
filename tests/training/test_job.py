"""A fold's job is small enough to be sent anywhere, and means the same there."""

import importlib
import pickle
from dataclasses import replace

import pytest
import torch

from pipeline.base.paths import Paths
from pipeline.config.config import members_of
from pipeline.experiment.experiment import Experiment
from pipeline.track.wandb_log import TrackConfig, Tracker
from pipeline.training.job import FoldJob
from pipeline.training.loop import train_fold
from tests.helpers import SLUGS, TINY
from tests.training.small import few


def job_of(slug: str, prepped, tmp_path, **changes) -> FoldJob:
    """The first fold of the config sample, as the stages make it."""
    entry = importlib.import_module(f"competitions.{slug}.configs").CONFIGS["sample"]
    experiment = Experiment(
        competition=prepped.competition,
        name="sample",
        config=replace(members_of(entry)[0], **changes),
        source_kind="sample",
        data=few(prepped.data, tmp_path / "few", train=60),
        paths=Paths(tmp_path / "data", tmp_path / "runs", tmp_path / "submissions"),
        device="cpu",
        listener=lambda run: Tracker(TrackConfig(), slug, run.name, run.folder),
    )
    return experiment.job(0)


@pytest.mark.parametrize("slug", SLUGS)
def test_a_job_of_any_competition_is_small(slug, prepared_sample, tmp_path):
    """With its log, and without a pixel: of full CIFAR-10 they would be 154 MB."""
    job = job_of(slug, prepared_sample(slug), tmp_path)
    sent = pickle.dumps(job)
    assert len(sent) < 100_000
    arrived = pickle.loads(sent)
    assert (arrived.config, arrived.data, arrived.fold) == (job.config, job.data, job.fold)
    assert arrived.data.is_absolute() and arrived.folds.is_absolute() and arrived.folder.is_absolute()


def test_a_job_that_was_sent_trains_the_same_weights(prepared_sample, tmp_path):
    prepped = prepared_sample("cifar10")
    config = members_of(importlib.import_module("competitions.cifar10.configs").CONFIGS["sample"])[0]
    changes = {
        "model": replace(config.model, name=TINY),
        "train": replace(config.train, epochs=1, batch_size=20, amp="off"),
    }
    job = job_of("cifar10", prepped, tmp_path, **changes)
    here = train_fold(job)
    arrived = pickle.loads(pickle.dumps(replace(job, folder=tmp_path / "elsewhere")))
    there = train_fold(arrived)
    assert all(torch.equal(tensor, there.state[name]) for name, tensor in here.state.items())
