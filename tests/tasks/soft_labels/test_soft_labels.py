"""What is particular to shares of classes as the truth."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.base.parts import Chart, Table, Tiles
from pipeline.frame.values import frame_of
from pipeline.inputs.batches import Images
from pipeline.metrics.usual import ACCURACY, KL_DIVERGENCE
from pipeline.tasks.soft_labels.config import AugmentConfig, Config, TrainConfig
from pipeline.tasks.soft_labels.sample import write_sample
from pipeline.tasks.soft_labels.task import SoftLabels
from pipeline.tasks.task import BlendRequest, ReportRequest

CLASSES = ["cat", "dog", "emu"]
TASK, VOTES = SoftLabels(CLASSES), SoftLabels(CLASSES, votes=True)


def frame(*rows: tuple) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=CLASSES)
    table.insert(0, "image_id", list("abcdefgh")[: len(rows)])
    return table


SHARES = frame((0.5, 0.5, 0), (0, 0.25, 0.75), (1, 0, 0))
BALLOTS = frame((2, 2, 0), (0, 1, 3), (7, 0, 0))


def predictions(*rows: list[float]) -> pd.DataFrame:
    return frame_of(list("abcdefgh")[: len(rows)], np.array(rows), CLASSES)


class TestTruth:
    @pytest.mark.parametrize(("task", "table"), [(TASK, SHARES), (VOTES, BALLOTS)])
    def test_votes_are_divided_by_their_sum_and_shares_are_taken(self, task, table):
        assert task.classes(table) == CLASSES
        assert task.truth(table).tolist() == [[0.5, 0.5, 0], [0, 0.25, 0.75], [1, 0, 0]]
        targets = task.targets(table, CLASSES, Config()).fixed
        assert targets.dtype == torch.float32 and targets.shape == (3, 3)

    def test_numbers_may_come_as_text_which_is_how_a_csv_is_read(self):
        text = BALLOTS.astype(dict.fromkeys(CLASSES, "str"))
        assert VOTES.classes(text) == CLASSES
        assert VOTES.truth(text).tolist() == VOTES.truth(BALLOTS).tolist()

    @given(
        votes=st.lists(
            st.lists(st.integers(0, 50), min_size=3, max_size=3).filter(any), min_size=1, max_size=8
        )
    )
    def test_rows_of_any_votes_sum_to_1_and_keep_their_proportions(self, votes):
        truth = VOTES.truth(frame(*votes))
        np.testing.assert_allclose(truth.sum(axis=1), 1)
        np.testing.assert_allclose(truth * np.sum(votes, axis=1, keepdims=True), votes)

    def test_rounded_shares_are_scaled_to_sum_to_1(self):
        rounded = frame((0.333, 0.333, 0.333), (0.2, 0.2, 0.6))
        assert TASK.classes(rounded) == CLASSES
        assert TASK.truth(rounded)[0].tolist() == [1 / 3] * 3

    @pytest.mark.parametrize(
        ("task", "row", "message"),
        [
            (TASK, (0.5, 0.2, 0), r"of 1 image\(s\) do not sum to 1 \(are they votes\?\): d"),
            (TASK, (1.5, -0.5, 0), r"of 1 image\(s\) are no numbers from 0: d"),
            (TASK, ("half", 0.5, 0), r"are no numbers from 0: d"),
            (TASK, (float("inf"), 0, 0), r"are no numbers from 0: d"),
            (VOTES, (0, 0, 0), r"are all 0: nobody has voted: d"),
        ],
    )
    def test_what_makes_no_shares_is_refused_with_the_image(self, task, row, message):
        table = SHARES if task is TASK else BALLOTS
        with pytest.raises(UserError, match=message):
            task.classes(frame(*table[CLASSES].itertuples(index=False, name=None), row))

    def test_a_class_that_no_image_shows_is_refused_by_name(self):
        with pytest.raises(UserError, match="no training image has a share of emu"):
            TASK.classes(SHARES[["image_id", *CLASSES]].iloc[[2, 2]].assign(cat=0.5, dog=0.5))

    def test_classes_must_be_two_or_more_different_names(self):
        for names in (["cat"], ["cat", "cat"]):
            with pytest.raises(ValueError, match="two or more different names"):
                SoftLabels(names)

    def test_a_stratum_is_the_class_with_the_most(self):
        strata = VOTES.strata(BALLOTS.iloc[[2, 1]])
        assert strata.tolist() == ["cat", "emu"] and strata.index.tolist() == [2, 1]

    def test_captions_name_the_greatest_shares(self):
        image = np.zeros((2, 2, 3), dtype="uint8")
        assert TASK.draw(image, torch.tensor([0.2, 0.8, 0]), CLASSES) == (image, "dog 0.80\ncat 0.20")


class TestTraining:
    def test_the_loss_is_the_divergence_but_for_the_truths_own_entropy(self):
        targets = TASK.targets(SHARES, CLASSES, Config())
        logits = torch.linspace(-2, 2, 9).view(3, 3)
        loss = TASK.objective(Config(), targets)(torch.nn.Identity(), logits, targets.fixed)
        entropy = -torch.xlogy(targets.fixed, targets.fixed).sum(dim=1).mean()
        divergence = F.kl_div(logits.log_softmax(dim=1), targets.fixed, reduction="batchmean")
        torch.testing.assert_close(loss, divergence + entropy)

    @pytest.mark.parametrize("loss", ["ce", "bce", "focal", "symmetric_ce"])
    def test_every_loss_takes_shares_and_weights(self, loss):
        config = Config(train=TrainConfig(loss=loss, class_weights="effective"))
        targets = TASK.targets(SHARES, CLASSES, config)
        logits = torch.zeros(3, 3)
        assert TASK.objective(config, targets)(torch.nn.Identity(), logits, targets.fixed).isfinite()

    @pytest.mark.parametrize("augment", [AugmentConfig(mixup=0.8), AugmentConfig(cutmix=1.0)])
    def test_mixed_shares_still_sum_to_1(self, augment):
        torch.manual_seed(0)
        targets = TASK.targets(SHARES, CLASSES, Config()).fixed
        _, mixed = TASK.mixer(Config(augment=augment), CLASSES)(torch.rand(3, 3, 8, 8), targets)
        torch.testing.assert_close(mixed.sum(dim=1), torch.ones(3))
        assert not torch.equal(mixed, targets)


class TestScores:
    given = predictions([0.4, 0.5, 0.1], [0.1, 0.2, 0.7], [0.8, 0.1, 0.1])

    def test_a_perfect_prediction_diverges_by_nothing(self):
        perfect = predictions(*TASK.truth(SHARES).tolist())
        assert KL_DIVERGENCE.function(
            *TASK.evidence("probabilities", SHARES, perfect, CLASSES)
        ) == pytest.approx(0, abs=1e-9)

    def test_decisions_are_the_class_with_the_most(self):
        true, decided = TASK.evidence("decisions", SHARES, self.given, CLASSES)
        assert (true.tolist(), decided.tolist()) == ([0, 2, 0], [1, 2, 0])
        assert ACCURACY.function(true, decided) == pytest.approx(2 / 3)

    def test_what_shares_do_not_have_is_refused(self):
        with pytest.raises(UserError, match="softlabels has no boxes"):
            TASK.evidence("boxes", SHARES, self.given, CLASSES)


def test_probabilities_of_a_submission_sum_to_1_more_closely_than_float32_has_it():
    values = np.random.default_rng(0).dirichlet(np.ones(3), 200)
    rows = TASK.to_submission(frame_of([str(n) for n in range(200)], values, CLASSES), CLASSES)
    assert list(rows.columns) == ["image_id", *CLASSES]
    assert np.abs(rows[CLASSES].sum(axis=1) - 1).max() < 1e-12


@pytest.mark.parametrize("method", SoftLabels.blend_methods)
def test_blends_keep_rows_that_sum_to_1(method, tmp_path):
    random = np.random.default_rng(0)
    truth = frame_of([str(n) for n in range(60)], random.dirichlet(np.ones(3), 60), CLASSES)
    near, far = (
        frame_of(
            truth["image_id"].to_numpy(),
            truth[CLASSES].to_numpy() * (1 - w) + random.dirichlet(np.ones(3), 60) * w,
            CLASSES,
        )
        for w in (0.2, 0.9)
    )
    if method == "mean":
        made = [TASK.average([near, far], tmp_path, Config())]
    else:
        blended = TASK.blend(
            BlendRequest(
                method=method,
                oofs=[near, far],
                tests=[near, far],
                truth=truth,
                folds=np.arange(60) % 3,
                classes=CLASSES,
                score=lambda truth, given: -float(np.abs(truth[CLASSES] - given[CLASSES]).to_numpy().sum()),
            )
        )
        made = [blended.oof, blended.test]
    for one in made:
        np.testing.assert_allclose(one[CLASSES].sum(axis=1), 1, atol=1e-6)


def test_the_report_shows_the_classes_and_the_greatest_divergence(tmp_path):
    given = TestScores.given
    images = Images(SHARES[["image_id"]].assign(path=""), np.zeros((3, 8, 8, 3), dtype="uint8"))
    table, mistakes, chart = TASK.report(
        ReportRequest(
            truth=SHARES,
            oof=given,
            images=images,
            classes=CLASSES,
            evidence=lambda needs: TASK.evidence(needs, SHARES, given, CLASSES),
            folder=tmp_path,
        )
    )
    assert isinstance(table, Table) and isinstance(mistakes, Tiles) and isinstance(chart, Chart)
    shares = {row[0]: row[1] for row in table.rows}
    assert shares == pytest.approx(SHARES[CLASSES].mean().to_dict())
    divergence = (SHARES[CLASSES] * np.log(SHARES[CLASSES].clip(1e-15) / given[CLASSES].clip(1e-15))).sum(
        axis=1
    )
    assert mistakes.tiles[0].title == SHARES["image_id"][int(divergence.argmax())]


def test_votes_of_the_sample_follow_what_its_images_show(tmp_path):
    write_sample(tmp_path, seed=0)
    table = pd.read_csv(tmp_path / "train.csv")
    assert list(table.columns) == ["image_id", "red", "green", "blue"]
    assert SoftLabels(["red", "green", "blue"], votes=True).classes(table)
