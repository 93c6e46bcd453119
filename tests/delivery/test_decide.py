"""Decisions are fitted on images other than those that they are scored on."""

import numpy as np
import pandas as pd
import pytest

from pipeline.competition import base
from pipeline.competition.evaluate import evaluation_of
from pipeline.delivery.decide import Decided, decide
from pipeline.frame.values import frame_of, values_of
from pipeline.metrics.usual import MAE, f_beta
from pipeline.prediction.decide import DECIDED, Decision, Thresholds
from pipeline.tasks.multilabel.task import Multilabel
from pipeline.tasks.regression.task import Regression

CLASSES = ["cat", "dog"]
COUNT = 24
IDS = [f"i{number:02d}" for number in range(COUNT)]
TRUTH = pd.DataFrame({"image_id": [*IDS, "extra"], "labels": [["cat"], [], ["cat", "dog"]] * 8 + [["dog"]]})
TEST = frame_of(["t1", "t2"], np.array([[0.4, 0.1], [0.2, 0.9]]), CLASSES)


class Recording(Decision):
    """Keeps what it was shown; what it fits is the ids of that."""

    def __init__(self) -> None:
        self.scores: list[float] = []

    def fit(self, predictions, classes, score):
        assert list(predictions.index) == list(range(len(predictions)))
        self.scores.append(score(self.apply(predictions, classes, [])))
        return predictions["image_id"].tolist()

    def apply(self, predictions, classes, fitted):
        names = [[classes[int(row.argmax())]] for row in values_of(predictions, classes)]
        return predictions.assign(**{DECIDED: names, "seen": [fitted] * len(predictions)})


class Labels(base.Competition):
    """A competition whose data are given."""

    task = Multilabel()
    metric = f_beta(average="micro")

    def __init__(self, decision: Decision | None) -> None:
        self.decision = decision

    def load_train(self, raw):
        raise NotImplementedError

    load_test = load_train

    def make_sample(self, raw, seed):
        raise NotImplementedError


def oof(seed: int = 0) -> pd.DataFrame:
    """Probabilities of images in another order than the truth's, all too small by 0.3."""
    order = np.random.default_rng(seed).permutation(COUNT)
    true = np.array([[name in TRUTH["labels"][row] for name in CLASSES] for row in order])
    return frame_of(np.array(IDS)[order], np.where(true, 0.45, 0.15), CLASSES)


def decided_by(decision: Decision | None, given: pd.DataFrame, folds: np.ndarray) -> Decided:
    return decide(Labels(decision), TRUTH, given, TEST, folds, CLASSES)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_no_image_is_decided_by_what_was_fitted_on_its_fold(count):
    given, folds = oof(), np.random.default_rng(1).permutation(np.arange(COUNT) % count)
    made = decided_by(Recording(), given, folds)
    for fold in range(count):
        others = given["image_id"][folds != fold].tolist()
        assert all(seen == others for seen in made.oof["seen"][folds == fold])


def test_one_fold_is_fitted_and_scored_in_two_halves():
    given = oof()
    made = decided_by(Recording(), given, np.full(COUNT, 3))
    halves = {tuple(seen) for seen in made.oof["seen"]}
    assert sorted(map(len, halves)) == [COUNT // 2, COUNT // 2]
    assert sorted(set().union(*halves)) == IDS
    assert all(name not in seen for name, seen in zip(made.oof["image_id"], made.oof["seen"], strict=True))


def test_test_images_are_decided_by_what_was_fitted_on_all():
    given = oof()
    made = decided_by(Recording(), given, np.arange(COUNT) % 3)
    assert made.fitted == given["image_id"].tolist()
    assert all(seen == made.fitted for seen in made.test["seen"])
    assert made.test[DECIDED].tolist() == [["cat"], ["dog"]]


def test_predictions_keep_their_order_and_values():
    given = oof()
    made = decided_by(Recording(), given, np.arange(COUNT) % 3)
    pd.testing.assert_frame_equal(made.oof[given.columns], given)
    pd.testing.assert_frame_equal(made.test[TEST.columns], TEST)


def test_what_is_fitted_is_scored_with_the_truth_of_the_same_images():
    given, recording = oof(), Recording()
    decided_by(recording, given, np.arange(COUNT) % 3)
    whole = recording.apply(given, CLASSES, [])
    assert recording.scores[-1] == evaluation_of(Labels(None), TRUTH, whole, CLASSES).score


def test_a_metric_where_smaller_is_better_is_turned_round():
    recording = Recording()
    competition = Labels(recording)
    competition.task, competition.metric = Regression(["age"], 0, 10), MAE
    ages = frame_of(["a", "b"], np.array([[4.0], [5.0]]), ["age"])
    truth = pd.DataFrame({"image_id": ["a", "b"], "age": [5, 7]})
    decide(competition, truth, ages, ages, np.array([0, 1]), ["age"])
    assert recording.scores == [-2.0, -1.0, -1.5]


def test_thresholds_make_up_for_probabilities_that_are_too_small():
    given = oof()
    made = decided_by(Thresholds(), given, np.arange(COUNT) % 4)
    plain, fitted = (evaluation_of(Labels(None), TRUTH, one, CLASSES).score for one in (given, made.oof))
    assert plain == 0 and fitted == 1
    assert all(0.15 < threshold <= 0.45 for threshold in made.fitted)


def test_without_a_decision_predictions_pass_as_they_are():
    given = oof()
    made = decided_by(None, given, np.arange(COUNT) % 3)
    assert made.oof is given and made.test is TEST and made.fitted is None
