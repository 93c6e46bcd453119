"""What is particular to any number of labels per image."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.base.parts import Chart, Table, Tiles
from pipeline.frame.values import frame_of
from pipeline.inputs.batches import Images
from pipeline.prediction.decide import DECIDED
from pipeline.tasks.multilabel.config import AugmentConfig, Config, TrainConfig
from pipeline.tasks.multilabel.losses import Asymmetric, BinaryCrossEntropy, Focal
from pipeline.tasks.multilabel.task import Multilabel
from pipeline.tasks.task import BlendRequest, ReportRequest

TASK = Multilabel()
CLASSES = ["cat", "dog", "emu"]
TRAIN = pd.DataFrame(
    {
        "image_id": ["a", "b", "c", "d"],
        "labels": [["dog", "cat"], [], ["cat"], ["emu", "cat", "dog"]],
    }
)
TABLE = [[1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 1, 1]]


def frame(*labels: object) -> pd.DataFrame:
    return pd.DataFrame({"image_id": list("abcdefgh")[: len(labels)], "labels": pd.Series(labels)})


def predictions(*rows: list[float]) -> pd.DataFrame:
    return frame_of(list("abcdefgh")[: len(rows)], np.array(rows), CLASSES)


class TestClasses:
    def test_they_are_the_sorted_labels(self):
        assert TASK.classes(TRAIN) == CLASSES

    def test_or_the_names_given_in_their_order(self):
        assert Multilabel(["emu", "cat", "dog"]).classes(TRAIN) == ["emu", "cat", "dog"]

    def test_lists_may_come_as_arrays_which_is_what_parquet_makes_of_them(self):
        arrays = TRAIN.assign(labels=[np.array(labels, dtype=object) for labels in TRAIN["labels"]])
        assert TASK.classes(arrays) == CLASSES
        assert TASK.targets(arrays, CLASSES, Config()).fixed.tolist() == TABLE

    @pytest.mark.parametrize("cell", ["cat dog", "", None, float("nan"), 7, ["cat", "cat"]])
    def test_what_is_no_list_of_different_names_is_refused_with_the_image(self, cell):
        with pytest.raises(UserError, match=r"^image b: labels is .*, and must be a list of different names"):
            TASK.classes(frame(["cat"], cell))

    def test_an_unknown_label_is_refused_with_the_image(self):
        with pytest.raises(UserError, match=r"^image d: unknown label 'emu'; correct it, or name it"):
            Multilabel(["cat", "dog"]).classes(TRAIN)

    def test_a_label_that_no_image_has_is_refused_by_name(self):
        with pytest.raises(UserError, match=r"no training image has the label\(s\) gnu"):
            Multilabel([*CLASSES, "gnu"]).classes(TRAIN)

    def test_images_without_any_label_cannot_be_learned_from(self):
        with pytest.raises(UserError, match="no training image has the label"):
            TASK.classes(frame([], []))


class TestTargets:
    def test_they_follow_the_order_of_the_classes(self):
        targets = TASK.targets(TRAIN, ["emu", "cat", "dog"], Config()).fixed
        assert targets.dtype == torch.float32
        assert targets.tolist() == [[0, 1, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]]

    def test_a_stratum_is_the_rarest_label_or_none(self):
        assert TASK.strata(TRAIN).tolist() == ["dog", "", "cat", "emu"]

    def test_strata_keep_the_rows_they_belong_to(self):
        part = TRAIN.iloc[[3, 1]]
        assert TASK.strata(part).index.tolist() == [3, 1]

    def test_captions_name_the_labels_or_their_shares(self):
        image = np.zeros((2, 2, 3), dtype="uint8")
        assert TASK.draw(image, torch.tensor([1.0, 0, 1]), CLASSES) == (image, "cat\nemu")
        assert TASK.draw(image, torch.tensor([0.0, 0.25, 1]), CLASSES)[1] == "dog 0.25\nemu"
        assert TASK.draw(image, torch.zeros(3), CLASSES)[1] == ""


class TestObjective:
    @pytest.mark.parametrize(
        ("train", "expected"),
        [
            (TrainConfig(), BinaryCrossEntropy()),
            (TrainConfig(label_smoothing=0.1), BinaryCrossEntropy(0.1)),
            (TrainConfig(balance=1.0), BinaryCrossEntropy(0.0, torch.tensor([1 / 3, 1, 3]))),
            (TrainConfig(loss="focal"), Focal()),
            (TrainConfig(loss="asymmetric"), Asymmetric()),
        ],
    )
    def test_it_is_the_loss_asked_for(self, train, expected):
        config = Config(train=train)
        targets = TASK.targets(TRAIN, CLASSES, config)
        logits = torch.linspace(-2, 2, 12).view(4, 3)
        found = TASK.objective(config, targets)(torch.nn.Identity(), logits, targets.fixed)
        torch.testing.assert_close(found, expected(logits, targets.fixed))

    @pytest.mark.parametrize("augment", [AugmentConfig(mixup=0.8), AugmentConfig(cutmix=1.0)])
    def test_mixed_labels_are_shares_of_what_is_in_the_image(self, augment):
        """Each image holds one label alone and is as bright as that label's number."""
        torch.manual_seed(0)
        targets = torch.eye(3).repeat(7, 1)
        images = (targets @ torch.tensor([1.0, 2, 3])).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).clone()
        mixed, shares = TASK.mixer(Config(augment=augment), CLASSES)(images, targets)
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), shares @ torch.tensor([1.0, 2, 3]))
        assert ((shares > 0) & (shares < 1)).any()


class TestEvidence:
    given = predictions([0.9, 0.8, 0.1], [0.5, 0.2, 0.6], [0.4, 0.0, 0.0], [1, 1, 1])

    def test_probabilities_are_those_of_the_frame(self):
        true, values = TASK.evidence("probabilities", TRAIN, self.given, CLASSES)
        assert true.dtype == np.int64 and true.tolist() == TABLE
        assert values.dtype == np.float64 and values[1].tolist() == pytest.approx([0.5, 0.2, 0.6])

    def test_what_is_more_probable_than_not_is_decided(self):
        true, decided = TASK.evidence("decisions", TRAIN, self.given, CLASSES)
        assert true.dtype == decided.dtype == bool and true.tolist() == TABLE
        assert decided.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 1, 1]]

    def test_a_decision_that_was_made_counts_instead(self):
        made = self.given.assign(**{DECIDED: pd.Series([["emu"], [], ["dog", "cat"], []])})
        _, decided = TASK.evidence("decisions", TRAIN, made, CLASSES)
        assert decided.tolist() == [[0, 0, 1], [0, 0, 0], [1, 1, 0], [0, 0, 0]]

    def test_the_order_of_the_classes_is_the_one_given(self):
        true, values = TASK.evidence("probabilities", TRAIN, self.given, CLASSES[::-1])
        assert true.tolist() == [row[::-1] for row in TABLE]
        assert values[0].tolist() == pytest.approx([0.1, 0.8, 0.9])

    def test_frames_are_handed_through(self):
        truth, given = TASK.evidence("frames", TRAIN, self.given, CLASSES)
        assert truth is TRAIN and given is self.given

    @pytest.mark.parametrize("needs", ["pixels", "boxes", "values"])
    def test_a_metric_of_something_else_is_refused(self, needs):
        with pytest.raises(UserError, match=f"multilabel has no {needs}: choose a metric"):
            TASK.evidence(needs, TRAIN, self.given, CLASSES)


class TestPredictions:
    def test_each_label_has_a_sigmoid_of_its_own(self):
        values = TASK.activate(torch.tensor([[0.0, 100, 100], [-100, -100, 0]]))
        torch.testing.assert_close(values, torch.tensor([[0.5, 1, 1], [0, 0, 0.5]]))

    def test_an_average_is_not_scaled_to_a_sum_of_1(self, tmp_path):
        mean = TASK.average([predictions([1, 1, 0]), predictions([1, 0.5, 0])], tmp_path, Config())
        pd.testing.assert_frame_equal(mean, predictions([1, 0.75, 0]))

    def test_a_submission_holds_the_probabilities(self):
        task = Multilabel(id_column="image")
        made = task.to_submission(predictions([1 + 1e-7, 0.5, 0]), CLASSES)
        form = task.submission_format(CLASSES)
        sample = form.sample_of(["a"])
        assert form.checked(made, sample, pd.DataFrame({"image_id": ["a"]}), "file").iloc[0].tolist() == [
            "a",
            1,
            0.5,
            0,
        ]


class TestBlend:
    """A run that knows the labels, and one that knows the reverse."""

    truth = pd.DataFrame(
        {"image_id": [str(n) for n in range(40)], "labels": [["cat"], ["dog", "cat"], [], ["emu"]] * 10}
    )
    table = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]] * 10)

    def blend(self, method: str, folds: int = 4):
        ids = self.truth["image_id"].to_numpy()
        noise = np.random.default_rng(0).uniform(0, 0.05, self.table.shape)
        good, bad = (
            frame_of(ids, values + noise, CLASSES) for values in (self.table * 0.9, 0.9 - self.table * 0.9)
        )
        request = BlendRequest(
            method=method,
            oofs=[good, bad],
            tests=[good.iloc[:8].reset_index(drop=True), bad.iloc[:8].reset_index(drop=True)],
            truth=self.truth,
            folds=np.arange(40) % folds,
            classes=CLASSES,
            score=self.score,
        )
        return request, TASK.blend(request)

    @staticmethod
    def score(truth: pd.DataFrame, given: pd.DataFrame) -> float:
        assert truth["image_id"].tolist() == given["image_id"].tolist()
        true, values = TASK.evidence("probabilities", truth, given, CLASSES)
        return -float(np.abs(true - values).mean())

    def test_climbing_gives_all_to_the_run_that_knows_and_scales_nothing(self):
        request, blended = self.blend("climb")
        pd.testing.assert_frame_equal(blended.oof, request.oofs[0])
        pd.testing.assert_frame_equal(blended.test, request.tests[0])
        assert blended.note == "climb, weights [1.0, 0.0]"

    def test_ranks_are_shares_of_the_images_within_each_label(self):
        request, blended = self.blend("rank", folds=1)
        expected = sum(one[CLASSES].rank(pct=True) for one in request.oofs) / 2
        np.testing.assert_allclose(blended.oof[CLASSES], expected, rtol=1e-6)
        assert blended.test[CLASSES].max().max() <= 1 and len(blended.test) == 8

    def test_nothing_can_be_fitted_honestly_to_a_lone_fold(self):
        with pytest.raises(UserError, match="one fold"):
            self.blend("climb", folds=1)

    def test_a_method_that_is_not_there_is_refused_with_those_that_are(self):
        with pytest.raises(UserError, match="no --method vote: take one of mean, rank, stack, climb"):
            self.blend("vote")

    def test_stacking_reads_a_run_that_is_wrong_the_other_way_round_and_sees_the_table(self):
        request, blended = self.blend("stack", folds=5)
        assert self.score(self.truth, blended.oof) > self.score(self.truth, request.oofs[0])
        blind = [frame_of(one["image_id"], np.full((len(one), 3), 0.5), CLASSES) for one in request.oofs]
        tests = [one.iloc[:8].reset_index(drop=True) for one in blind]
        tables = (self.table[:, :1], self.table[:8, :1])
        told = TASK.blend(replace(request, oofs=blind, tests=tests, tables=tables))
        cat = self.table[:, 0] == 1
        assert told.oof["cat"][cat].min() > 0.8 > 0.2 > told.oof["cat"][~cat].max()
        assert told.test["cat"].tolist() == pytest.approx(np.where(cat[:8], 0.9, 0.1), abs=0.1)


@pytest.mark.parametrize("emu", [["emu"], []], ids=["each label", "a label that no validated image has"])
def test_the_report_shows_the_labels_and_the_mistakes(tmp_path, emu):
    truth = pd.DataFrame({"image_id": [str(n) for n in range(12)], "labels": [["cat"], ["dog"], emu] * 4})
    oof = frame_of(truth["image_id"].to_numpy(), np.random.default_rng(0).random((12, 3)), CLASSES)
    request = ReportRequest(
        truth=truth,
        oof=oof,
        images=Images(truth, np.zeros((12, 8, 8, 3), dtype="uint8")),
        classes=CLASSES,
        evidence=lambda needs: TASK.evidence(needs, truth, oof, CLASSES),
        folder=tmp_path,
    )
    labels, mistakes, chart = TASK.report(request)
    assert isinstance(labels, Table) and isinstance(mistakes, Tiles) and isinstance(chart, Chart)
    by_label = {row[0]: row[1:] for row in labels.rows}
    assert set(by_label) == set(CLASSES) and by_label["cat"][4] == 4
    assert np.isnan(by_label["emu"][0]) == (not emu), "an AUC needs both sides"
    first = mistakes.tiles[0]
    there = np.array([[name in labels for name in CLASSES] for labels in truth["labels"]])
    errors = np.abs(there - oof[CLASSES].to_numpy())
    row, place = np.unravel_index(errors.argmax(), errors.shape)
    assert (first.title, first.lines[0].split()[0]) == (truth["image_id"][row], CLASSES[place])
    assert all(line.endswith("there") for line in first.lines)
