"""Blends of classifiers: honest, and better than their members where these differ."""

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.frame.values import frame_of, likely
from pipeline.tasks.classification.task import Classification
from pipeline.tasks.task import Blended, BlendRequest

TASK = Classification()
CLASSES = ["cat", "dog", "emu"]
COUNT = 600
FITTED = ["stack", "climb"]


def accuracy(truth: pd.DataFrame, predictions: pd.DataFrame) -> float:
    return float(np.mean(likely(predictions, CLASSES) == truth["label"].to_numpy()))


def member(labels: np.ndarray, skill: float, seed: int) -> pd.DataFrame:
    """Predictions that know the labels as far as `skill` goes."""
    random = np.random.default_rng(seed)
    values = np.exp(skill * np.eye(3)[labels] + random.normal(0, 1, (len(labels), 3)))
    ids = np.array([str(number) for number in range(len(labels))], dtype=object)
    return frame_of(ids, values / values.sum(axis=1, keepdims=True), CLASSES)


def named(labels: np.ndarray) -> pd.DataFrame:
    ids = [str(number) for number in range(len(labels))]
    return pd.DataFrame({"image_id": ids, "label": np.asarray(CLASSES, dtype=object)[labels]})


@pytest.fixture(scope="module")
def runs() -> dict:
    """Truth of the training and the test images, and predictions of three runs; the last knows nothing."""
    random = np.random.default_rng(0)
    train, test = random.integers(0, 3, COUNT), random.integers(0, 3, COUNT)
    skills = (1.2, 1.2, 0.0)
    return {
        "truth": named(train),
        "hidden": named(test),
        "oofs": [member(train, skill, seed) for seed, skill in enumerate(skills)],
        "tests": [member(test, skill, seed + 10) for seed, skill in enumerate(skills)],
    }


def blend(method: str, runs: dict, folds: int = 5, score=accuracy) -> Blended:
    return TASK.blend(
        BlendRequest(
            method=method,
            oofs=runs["oofs"],
            tests=runs["tests"],
            truth=runs["truth"],
            folds=np.arange(COUNT) % folds,
            classes=CLASSES,
            score=score,
        )
    )


@pytest.mark.parametrize("method", ["rank", *FITTED])
def test_probabilities_sum_to_one_and_ids_keep_their_order(method, runs):
    blended = blend(method, runs)
    for frame, like in ((blended.oof, runs["oofs"][0]), (blended.test, runs["tests"][0])):
        assert frame["image_id"].tolist() == like["image_id"].tolist()
        assert list(frame.columns) == list(like.columns)
        np.testing.assert_allclose(frame[CLASSES].sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("method", FITTED)
def test_what_is_fitted_beats_the_members_on_images_it_never_saw(method, runs):
    blended = blend(method, runs)
    assert accuracy(runs["truth"], blended.oof) > max(accuracy(runs["truth"], one) for one in runs["oofs"])
    assert accuracy(runs["hidden"], blended.test) > max(
        accuracy(runs["hidden"], one) for one in runs["tests"]
    )


def test_climbing_gives_nothing_to_a_run_that_knows_nothing(runs):
    note = blend("climb", runs).note
    weights = [float(text) for text in note.partition("[")[2].strip("]").split(",")]
    assert weights[2] < 0.2 and sum(weights) == pytest.approx(1, abs=0.01)


def test_climbing_follows_the_score_it_is_given(runs):
    """Where every mistake is an improvement, the run that knows nothing is the best of the three."""
    note = blend("climb", runs, score=lambda truth, given: -accuracy(truth, given)).note
    weights = [float(text) for text in note.partition("[")[2].strip("]").split(",")]
    assert weights[2] > 0.8


def test_climbing_scores_images_with_the_truth_of_the_same_images(runs):
    def score(truth: pd.DataFrame, given: pd.DataFrame) -> float:
        assert truth["image_id"].tolist() == given["image_id"].tolist()
        return accuracy(truth, given)

    blend("climb", runs, score=score)


@pytest.mark.parametrize("method", FITTED)
def test_the_reported_score_is_honest(method, runs):
    """Members that are pure noise: whatever is fitted to them finds nothing in images it has not seen."""
    noise = [member(np.zeros(COUNT, dtype=int), 0.0, seed) for seed in range(20, 23)]
    assert accuracy(runs["truth"], blend(method, runs | {"oofs": noise}).oof) < 0.42


@pytest.mark.parametrize("method", FITTED)
def test_nothing_can_be_fitted_honestly_to_a_lone_fold(method, runs):
    with pytest.raises(UserError, match="one fold"):
        blend(method, runs, folds=1)


def test_ranks_need_no_folds(runs):
    assert accuracy(runs["truth"], blend("rank", runs, folds=1).oof) > 0.6


def test_stacking_copes_with_a_class_that_some_folds_do_not_show(runs):
    """The one emu is in fold 0: what is fitted for that fold has never seen one, and gives it nothing."""
    labels = np.arange(COUNT) % 2
    labels[0] = 2
    oofs = [member(labels, 1.2, seed) for seed in (30, 31)]
    tests = [member(labels, 1.2, seed) for seed in (32, 33)]
    blended = blend("stack", {"truth": named(labels), "oofs": oofs, "tests": tests})
    assert (blended.oof["emu"][::5] == 0).all() and (blended.oof["emu"][1::5] > 0).all()
    np.testing.assert_allclose(blended.oof[CLASSES].sum(axis=1), 1, atol=1e-5)


def test_a_method_that_is_not_there_is_refused_with_those_that_are(runs):
    with pytest.raises(UserError, match="no --method vote: take one of mean, rank, stack, climb"):
        blend("vote", runs)
