"""Blends: aligned, honest, and better than their members where these differ."""

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.experiment.blend import blend_probabilities, check_alike

CLASSES = ["cat", "dog", "emu"]
COUNT = 600


def accuracy(truth: pd.DataFrame, predictions: pd.DataFrame) -> float:
    likely = np.asarray(CLASSES)[predictions[CLASSES].to_numpy().argmax(axis=1)]
    return float(np.mean(likely == truth["label"].to_numpy()))


def member(labels: np.ndarray, skill: float, seed: int) -> pd.DataFrame:
    """Predictions that know the labels as far as `skill` goes."""
    random = np.random.default_rng(seed)
    values = np.exp(skill * np.eye(3)[labels] + random.normal(0, 1, (len(labels), 3)))
    frame = pd.DataFrame((values / values.sum(axis=1, keepdims=True)).astype("float32"), columns=CLASSES)
    frame.insert(0, "image_id", [str(number) for number in range(len(labels))])
    return frame


@pytest.fixture(scope="module")
def runs():
    """Labels of the training and the test images, and out-of-fold and test predictions of three runs."""
    random = np.random.default_rng(0)
    train, test = random.integers(0, 3, COUNT), random.integers(0, 3, COUNT)
    oofs = [member(train, skill, seed) for seed, skill in enumerate((1.2, 1.2, 0.0))]
    tests = [member(test, skill, seed + 10) for seed, skill in enumerate((1.2, 1.2, 0.0))]
    return train, test, oofs, tests


def run(method: str, runs, oofs=None):
    train, _, given, tests = runs
    truth = pd.DataFrame({"image_id": given[0]["image_id"], "label": np.asarray(CLASSES)[train]})
    folds = np.arange(COUNT) % 5
    return truth, blend_probabilities(
        method, oofs or given, tests, truth, folds, CLASSES, accuracy, larger_is_better=True
    )


@pytest.mark.parametrize("method", ["mean", "rank", "climb", "stack"])
def test_probabilities_sum_to_one_and_ids_keep_their_order(method, runs):
    _, blend = run(method, runs)
    for frame, like in ((blend.oof, runs[2][0]), (blend.test, runs[3][0])):
        assert frame["image_id"].tolist() == like["image_id"].tolist()
        np.testing.assert_allclose(frame[CLASSES].sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("method", ["climb", "stack"])
def test_what_is_fitted_beats_the_members_on_images_it_never_saw(method, runs):
    truth, blend = run(method, runs)
    best = max(accuracy(truth, frame) for frame in runs[2])
    hidden = pd.DataFrame({"label": np.asarray(CLASSES)[runs[1]]})
    assert accuracy(truth, blend.oof) > best
    assert accuracy(hidden, blend.test) > max(accuracy(hidden, frame) for frame in runs[3])


def test_climbing_gives_nothing_to_a_run_that_knows_nothing(runs):
    _, blend = run("climb", runs)
    weights = [float(text) for text in blend.note.partition("[")[2].strip("]").split(",")]
    assert weights[2] < 0.2 and sum(weights) == pytest.approx(1, abs=0.01)


def test_the_reported_score_is_honest(runs):
    """Members that are pure noise: whatever is fitted to them finds nothing in images it has not seen."""
    noise = [member(np.zeros(COUNT, dtype=int), 0.0, seed) for seed in range(20, 23)]
    for method in ("climb", "stack"):
        truth, blend = run(method, runs, oofs=noise)
        assert accuracy(truth, blend.oof) < 0.42


def test_nothing_can_be_fitted_honestly_to_a_lone_fold(runs):
    train, _, oofs, tests = runs
    truth = pd.DataFrame({"image_id": oofs[0]["image_id"], "label": np.asarray(CLASSES)[train]})
    arguments = (oofs, tests, truth, np.zeros(COUNT, dtype=int), CLASSES, accuracy, True)
    mean = blend_probabilities("mean", *arguments)
    for method in ("climb", "stack"):
        with pytest.raises(UserError, match="one fold"):
            blend_probabilities(method, *arguments)
    np.testing.assert_allclose(mean.oof["cat"], np.mean([frame["cat"] for frame in oofs], axis=0), atol=1e-6)


def test_runs_of_other_folds_are_refused(runs):
    with pytest.raises(UserError, match="b and a were validated on different images"):
        check_alike([runs[2][0], runs[2][1].iloc[1:]], ["a", "b"])
