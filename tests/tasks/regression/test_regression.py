"""What is particular to numbers, and to how far they may be off."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.base.parts import Charts, Table, Tiles
from pipeline.frame.values import frame_of
from pipeline.inputs.batches import Images
from pipeline.prediction.decide import DECIDED
from pipeline.tasks.regression.config import AugmentConfig, Config, TrainConfig
from pipeline.tasks.regression.losses import LOSSES, spread_of
from pipeline.tasks.regression.task import Regression
from pipeline.tasks.task import BlendRequest, ReportRequest

AGE = Regression(["age"], low=20, high=120)
BOTH = Regression(["age", "height"], low=0, high=200)
UNSURE = Regression(["age"], low=20, high=120, uncertain=True)
GRADES = Regression(["grade"], low=1, high=5)
LAPLACE = Config(train=TrainConfig(loss="laplace"))


def frame(**columns: list) -> pd.DataFrame:
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"image_id": [str(n) for n in range(count)], **columns})


class TestTargets:
    def test_classes_are_the_columns_of_predictions(self):
        train = frame(age=[20, 120], height=[0.5, 190])
        assert AGE.classes(train) == ["age"] and BOTH.classes(train) == ["age", "height"]
        assert UNSURE.classes(train) == ["age", "age_sigma"]

    @pytest.mark.parametrize("value", [19.9, 120.1, math.nan, math.inf, None, "old"])
    def test_what_is_no_number_of_the_range_is_refused_with_the_images(self, value):
        with pytest.raises(
            UserError, match=r"^age of 2 image\(s\) is no number from 20 to 120: 1, 3; correct"
        ):
            AGE.classes(frame(age=[30, value, 40, value]))

    def test_numbers_may_be_written_as_text(self):
        train = frame(age=["20", "70.0", "120"])
        assert AGE.classes(train) == ["age"]
        assert AGE.targets(train, ["age"], Config()).fixed.tolist() == [[0], [0.5], [1]]

    def test_targets_are_shares_of_the_range(self):
        targets = BOTH.targets(frame(age=[0, 50], height=[200, 150]), ["age", "height"], Config()).fixed
        assert targets.dtype == torch.float32 and targets.tolist() == [[0, 1], [0.25, 0.75]]

    @pytest.mark.parametrize("ends", [(1, 1), (2, 1), (math.nan, 1)])
    def test_a_range_must_rise(self, ends):
        with pytest.raises(ValueError, match="must rise"):
            Regression(["age"], *ends)

    def test_captions_give_values_in_their_unit(self):
        image = np.zeros((2, 2, 3), dtype="uint8")
        assert BOTH.draw(image, torch.tensor([0.25, 0.8]), []) == (image, "age 50\nheight 160")


class TestStrata:
    def test_many_values_are_cut_into_tenths_of_the_images(self):
        values = np.random.default_rng(0).permutation(200) ** 0.5
        strata = Regression(["age"], 0, 20).strata(frame(age=values.tolist()))
        assert strata.value_counts().tolist() == [20] * 10
        assert pd.Series(values).groupby(strata).agg(["min", "max"]).stack().is_monotonic_increasing

    def test_grades_are_strata_themselves(self):
        strata = GRADES.strata(frame(grade=[1, 1, 1, 1, 1, 2, 5, 1, 1, 1, 1, 2]))
        assert strata.tolist() == [1, 1, 1, 1, 1, 2, 5, 1, 1, 1, 1, 2]

    def test_equal_values_share_a_stratum(self):
        train = frame(age=[50] * 60 + list(range(20, 50)))
        assert AGE.strata(train)[:60].nunique() == 1

    def test_one_image_has_one_and_rows_keep_theirs(self):
        assert AGE.strata(frame(age=[30])).nunique() == 1
        assert AGE.strata(frame(age=list(range(20, 50))).iloc[[7, 3]]).index.tolist() == [7, 3]


class TestObjective:
    @pytest.mark.parametrize("loss", LOSSES)
    def test_it_is_the_loss_asked_for(self, loss):
        task = UNSURE if loss == "laplace" else AGE
        config = Config(train=TrainConfig(loss=loss))
        task.check(config)
        targets = task.targets(frame(age=[20, 45, 110]), task.names, config)
        outputs = torch.linspace(-1, 1, 6).view(3, 2)[:, : 2 if loss == "laplace" else 1]
        found = task.objective(config, targets)(torch.nn.Identity(), outputs, targets.fixed)
        torch.testing.assert_close(found, LOSSES[loss](outputs, targets.fixed))

    def test_standard_deviations_and_their_loss_need_one_another(self):
        with pytest.raises(UserError, match=r"^--train.loss is mse, and must be laplace"):
            UNSURE.check(Config())
        with pytest.raises(UserError, match=r"^--train.loss is laplace, and must be another"):
            AGE.check(LAPLACE)
        UNSURE.check(LAPLACE)
        AGE.check(Config())

    @pytest.mark.parametrize("augment", [AugmentConfig(mixup=0.8), AugmentConfig(cutmix=1.0)])
    def test_mixed_values_are_those_of_what_is_in_the_image(self, augment):
        """Each image is as bright as its value."""
        torch.manual_seed(0)
        targets = torch.linspace(0, 1, 21)[:, None]
        images = targets.view(-1, 1, 1, 1).expand(-1, 3, 8, 8).clone()
        mixed, values = AGE.mixer(Config(augment=augment), ["age"])(images, targets)
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), values[:, 0])
        assert not torch.equal(values, targets)


class TestPredictions:
    outputs = torch.tensor([[0.0, -2.0], [-200.0, 0.0], [200.0, 3.0]])

    def test_values_stay_in_their_range(self):
        values = AGE.activate(self.outputs[:, :1])
        torch.testing.assert_close(values, torch.tensor([[70.0], [20], [120]]))

    def test_sigma_is_the_standard_deviation_of_the_distribution_that_is_learned(self):
        law = torch.distributions.Laplace(
            20 + 100 * self.outputs[:, 0].sigmoid(), 100 * spread_of(self.outputs[:, 1])
        )
        values = UNSURE.activate(self.outputs)
        torch.testing.assert_close(values, torch.stack([law.mean, law.stddev], dim=1))

    def test_of_two_targets_the_values_come_first(self):
        both = Regression(["age", "height"], 0, 200, uncertain=True)
        values = both.activate(torch.tensor([[0.0, 200, -200, 0]]))
        assert both.classes(frame(age=[1], height=[1])) == ["age", "height", "age_sigma", "height_sigma"]
        assert values[0, :2].tolist() == [100, 200] and values[0, 2] < values[0, 3]

    def test_an_average_is_the_arithmetic_mean(self, tmp_path):
        frames = [frame_of(["a", "b"], np.array(rows), ["age"]) for rows in ([[20], [120]], [[40], [30]])]
        mean = AGE.average(frames, tmp_path, Config())
        pd.testing.assert_frame_equal(mean, frame_of(["a", "b"], np.array([[30], [75]]), ["age"]))

    def test_a_submission_holds_the_values(self):
        task = Regression(["age"], 20, 120, id_column="id")
        made = task.to_submission(frame_of(["a", "b"], np.array([[20.5], [99]]), ["age"]), ["age"])
        form = task.submission_format(["age"])
        checked = form.checked(made, form.sample_of(["b", "a"]), pd.DataFrame(), "file")
        assert checked.to_numpy().tolist() == [["b", 99], ["a", 20.5]]

    def test_a_value_that_is_no_number_is_refused_with_its_id(self):
        form = AGE.submission_format(["age"])
        made = AGE.to_submission(frame_of(["a", "b"], np.array([[20], [np.nan]]), ["age"]), ["age"])
        with pytest.raises(UserError, match=r"the first .*nan.* at id b; it must be a finite number"):
            form.checked(made, form.sample_of(["a", "b"]), pd.DataFrame(), "file")


class TestEvidence:
    truth = frame(grade=[1, 2, 5])
    given = frame_of(["0", "1", "2"], np.array([[1.4], [2.6], [4.9]]), ["grade"])

    def test_values_are_those_of_the_frames(self):
        true, values = GRADES.evidence("values", self.truth, self.given, ["grade"])
        assert true.tolist() == [[1], [2], [5]] and true.dtype == values.dtype == np.float64
        assert values[:, 0].tolist() == pytest.approx([1.4, 2.6, 4.9])

    def test_standard_deviations_are_handed_on(self):
        given = frame_of(["0"], np.array([[30, 7]]), ["age", "age_sigma"])
        true, values = UNSURE.evidence("values", frame(age=["40"]), given, ["age", "age_sigma"])
        assert true.tolist() == [[40]] and values.tolist() == [[30, 7]]

    def test_decisions_are_rounded_values_counted_from_the_lowest(self):
        true, decided = GRADES.evidence("decisions", self.truth, self.given, ["grade"])
        assert true.tolist() == [0, 1, 4] and decided.tolist() == [0, 2, 4]
        assert true.dtype == decided.dtype == np.int64

    def test_a_decision_that_was_made_counts_instead(self):
        made = self.given.assign(**{DECIDED: [5, 1, 3]})
        assert GRADES.evidence("decisions", self.truth, made, ["grade"])[1].tolist() == [4, 0, 2]

    def test_frames_are_handed_through(self):
        truth, given = GRADES.evidence("frames", self.truth, self.given, ["grade"])
        assert truth is self.truth and given is self.given

    @pytest.mark.parametrize("needs", ["pixels", "boxes", "probabilities"])
    def test_a_metric_of_something_else_is_refused(self, needs):
        with pytest.raises(UserError, match=f"regression has no {needs}: choose a metric"):
            GRADES.evidence(needs, self.truth, self.given, ["grade"])


class TestBlend:
    """Two runs that are off in opposite directions, and one that knows nothing."""

    truth = frame(age=np.linspace(25, 115, 60).tolist())

    def blend(self, method: str, folds: int = 3):
        ids, true = self.truth["image_id"].to_numpy(), self.truth[["age"]].to_numpy()
        runs = [frame_of(ids, values, ["age"]) for values in (true + 4, true - 4, true * 0 + 70)]
        request = BlendRequest(
            method=method,
            oofs=runs,
            tests=[run.iloc[:6].reset_index(drop=True) for run in runs],
            truth=self.truth,
            folds=np.arange(60) % folds,
            classes=["age"],
            score=self.score,
        )
        return AGE.blend(request)

    @staticmethod
    def score(truth: pd.DataFrame, given: pd.DataFrame) -> float:
        assert truth["image_id"].tolist() == given["image_id"].tolist()
        return -float((truth["age"] - given["age"]).abs().mean())

    def test_climbing_finds_the_mean_of_the_runs_that_know(self):
        blended = self.blend("climb")
        assert blended.note == "climb, weights [0.5, 0.5, 0.0]"
        np.testing.assert_allclose(blended.oof["age"], self.truth["age"], rtol=1e-6)
        np.testing.assert_allclose(blended.test["age"], self.truth["age"][:6], rtol=1e-6)

    def test_stacking_weighs_the_runs_and_stays_in_the_range(self):
        blended = self.blend("stack")
        np.testing.assert_allclose(blended.oof["age"], self.truth["age"], atol=0.5)
        assert blended.test["age"].between(AGE.low, AGE.high).all()

    def test_nothing_can_be_fitted_honestly_to_a_lone_fold(self):
        with pytest.raises(UserError, match="one fold"):
            self.blend("climb", folds=1)

    @pytest.mark.parametrize("method", ["rank", "vote"])
    def test_a_method_that_is_not_there_is_refused_with_those_that_are(self, method):
        with pytest.raises(UserError, match=f"no --method {method}: take one of mean, stack, climb"):
            self.blend(method)


@pytest.mark.parametrize("task", [AGE, UNSURE, BOTH], ids=["one", "with sigma", "two"])
def test_the_report_shows_the_values_and_the_mistakes(task, tmp_path):
    truth = frame(age=[30.0] * 12, height=[150.0] * 12)
    classes = task.classes(truth)
    random = np.random.default_rng(0)
    oof = frame_of(truth["image_id"].to_numpy(), random.uniform(20, 120, (12, len(classes))), classes)
    request = ReportRequest(
        truth=truth,
        oof=oof,
        images=Images(truth, np.zeros((12, 8, 8, 3), dtype="uint8")),
        classes=classes,
        evidence=lambda needs: task.evidence(needs, truth, oof, classes),
        folder=tmp_path,
    )
    targets, charts, mistakes = task.report(request)
    assert isinstance(targets, Table) and isinstance(charts, Charts) and isinstance(mistakes, Tiles)
    assert [row[0] for row in targets.rows] == list(task.names)
    off = oof[classes[0]].to_numpy() - 30
    assert targets.rows[0][1] == pytest.approx(np.abs(off).mean())
    assert targets.rows[0][4] == pytest.approx(off.mean()) and np.isnan(targets.rows[0][5])
    assert len(charts.charts) == len(task.names) and len(mistakes.tiles) == 12
    if len(task.names) == 1:
        worst = int(np.abs(off).argmax())
        assert mistakes.tiles[0].title == truth["image_id"][worst]
        assert f"predicted {oof[classes[0]][worst]:.4g}, is 30" in mistakes.tiles[0].lines[0]
