"""What is particular to one label per image."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.frame.values import frame_of, likely
from pipeline.tasks.classification.config import AugmentConfig, Config, TrainConfig
from pipeline.tasks.classification.task import Classification

TASK = Classification()
CLASSES = ["cat", "dog", "emu"]


def predictions(rows: dict[str, list[float]], classes: list[str] = CLASSES) -> pd.DataFrame:
    return frame_of(list(rows), np.array(list(rows.values())), classes)


class TestTargets:
    def test_classes_are_the_sorted_labels(self):
        assert TASK.classes(pd.DataFrame({"label": ["dog", "cat", "emu", "cat"]})) == CLASSES

    def test_one_class_cannot_be_learnt(self):
        with pytest.raises(
            UserError, match="every training image has the label 'cat': a classifier needs at least"
        ):
            TASK.classes(pd.DataFrame({"label": ["cat", "cat"]}))

    def test_targets_follow_the_stored_class_order_and_not_the_alphabet(self):
        frame = pd.DataFrame({"label": ["cat", "emu", "dog", "cat"]})
        targets = TASK.targets(frame, ["emu", "cat", "dog"], Config()).fixed
        assert targets.tolist() == [1, 0, 2, 1] and targets.dtype == torch.int64

    def test_strata_are_the_labels(self):
        assert TASK.strata(pd.DataFrame({"label": ["a", "b"]})).tolist() == ["a", "b"]

    def test_captions_name_the_class_or_the_mixed_shares(self):
        image = np.zeros((2, 2, 3), dtype="uint8")
        assert TASK.draw(image, torch.tensor(1), CLASSES) == (image, "dog")
        assert TASK.draw(image, torch.tensor([0.3, 0.0, 0.7]), CLASSES)[1] == "emu 0.70\ncat 0.30"
        assert TASK.draw(image, torch.tensor([1.0, 0.0, 0.0]), CLASSES)[1] == "cat 1.00"


def _loss(smoothing: float):
    """The objective of a network that returns its input."""
    config = Config(train=TrainConfig(label_smoothing=smoothing))
    objective = TASK.objective(config, TASK.targets(pd.DataFrame({"label": CLASSES}), CLASSES, config))
    return lambda logits, targets: objective(torch.nn.Identity(), logits, targets)


class TestLoss:
    """Two hand-written label smoothings in the wild give 0.5620 and 0.5829 for these logits."""

    logits = torch.tensor([[2.0, 1.0, 0.1]])

    @pytest.mark.parametrize("smoothing, expected", [(0.0, 0.4170300), (0.1, 0.5136966)])
    def test_label_smoothing_is_torchs(self, smoothing, expected):
        loss = _loss(smoothing)
        assert loss(self.logits, torch.tensor([0])).item() == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("smoothing, expected", [(0.0, 0.4170300), (0.1, 0.5136966)])
    def test_a_mixed_target_of_one_class_costs_the_same(self, smoothing, expected):
        loss = _loss(smoothing)
        assert loss(self.logits, torch.tensor([[1.0, 0, 0]])).item() == pytest.approx(expected, abs=1e-6)

    def test_smoothed_targets_sum_to_one(self):
        """With equal logits every class costs log C, so the loss is log C where the weights sum to 1."""
        for count in (2, 3, 10):
            loss = _loss(0.1)
            assert loss(torch.zeros(1, count), torch.tensor([0])).item() == pytest.approx(
                math.log(count), abs=1e-6
            )


class TestMixer:
    both = Config(augment=AugmentConfig(mixup=1.0, cutmix=1.0))

    def batch(self, count: int = 63) -> tuple[torch.Tensor, torch.Tensor]:
        """Images of one value each, equal to the class number plus one."""
        targets = torch.arange(count) % 3
        return (targets + 1.0).view(-1, 1, 1, 1).expand(-1, 3, 8, 8).clone(), targets

    def test_nothing_asked_for_changes_nothing(self):
        images, targets = self.batch()
        mixed, mixed_targets = TASK.mixer(Config(), CLASSES)(images, targets)
        assert mixed is images and mixed_targets is targets

    @pytest.mark.parametrize("augment", [AugmentConfig(mixup=0.8), AugmentConfig(cutmix=1.0)])
    def test_targets_are_shares_of_what_is_in_the_image(self, augment):
        torch.manual_seed(0)
        mixer = TASK.mixer(Config(augment=augment), CLASSES)
        values = torch.tensor([1.0, 2.0, 3.0])
        lambdas = set()
        for _ in range(5):
            images, targets = mixer(*self.batch())
            assert images.shape == (63, 3, 8, 8) and targets.shape == (63, 3)
            torch.testing.assert_close(targets.sum(dim=1), torch.ones(63))
            assert (targets >= 0).all()
            # The mean pixel is the mean class value under the target's shares: image and target agree.
            torch.testing.assert_close(images.mean(dim=(1, 2, 3)), targets @ values, atol=1e-5, rtol=0)
            lambdas.add(round(targets.max().item(), 4))
        assert len(lambdas) > 1

    def test_with_both_each_batch_draws_one(self):
        torch.manual_seed(0)
        mixer = TASK.mixer(self.both, CLASSES)
        cut = []
        for _ in range(40):
            images, targets = mixer(*self.batch())
            assert targets.sum(dim=1).allclose(torch.ones(63))
            cut.append(bool((images == images.round()).all()))  # cutmix moves whole pixels, mixup blends them
        assert 8 <= sum(cut) <= 32

    def test_the_seed_decides(self):
        mixer = TASK.mixer(self.both, CLASSES)
        results = []
        for _ in range(2):
            torch.manual_seed(3)
            results.append(mixer(*self.batch()))
        assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


class TestPredictions:
    def test_activation_is_softmax_over_classes(self):
        probabilities = TASK.activate(torch.tensor([[0.0, 0.0, math.log(2)], [100.0, 0, 0]]))
        torch.testing.assert_close(probabilities, torch.tensor([[0.25, 0.25, 0.5], [1, 0, 0]]))

    def test_a_frame_has_ids_and_one_float32_column_a_class(self):
        frame = predictions({"007": [0.1, 0.2, 0.7], "x": [1, 0, 0]})
        assert list(frame.columns) == ["image_id", *CLASSES]
        assert frame["image_id"].tolist() == ["007", "x"]
        assert set(frame[CLASSES].dtypes.astype(str)) == {"float32"}
        assert frame["emu"].tolist() == pytest.approx([0.7, 0])

    def test_a_frame_survives_parquet(self, tmp_path):
        frame = predictions({"007": [0.1, 0.2, 0.7], "x": [1, 0, 0]})
        frame.to_parquet(tmp_path / "oof.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "oof.parquet"), frame)

    def test_average_is_the_arithmetic_mean(self, tmp_path):
        first, second = (
            predictions({"a": [1, 0, 0], "b": [0, 1, 0]}),
            predictions({"a": [0, 0, 1], "b": [0, 1, 0]}),
        )
        mean = TASK.average([first, second], tmp_path, Config())
        pd.testing.assert_frame_equal(mean, predictions({"a": [0.5, 0, 0.5], "b": [0, 1, 0]}))

    def test_an_average_of_many_keeps_its_precision(self, tmp_path):
        third = predictions({"a": [1 / 3, 1 / 3, 1 / 3]})
        mean = TASK.average([third] * 1000, tmp_path, Config())
        pd.testing.assert_frame_equal(mean, third, rtol=1e-7)


class TestEvidence:
    truth = pd.DataFrame({"image_id": ["a", "b"], "label": ["dog", "emu"]})
    given = predictions({"a": [0.25, 0.5, 0.25], "b": [0.5, 0.25, 0.25]})

    def test_probabilities_are_those_of_the_frame_with_true_class_indices(self):
        indices, values = TASK.evidence("probabilities", self.truth, self.given, CLASSES)
        assert indices.tolist() == [1, 2] and indices.dtype == np.int64
        assert values.tolist() == [[0.25, 0.5, 0.25], [0.5, 0.25, 0.25]] and values.dtype == np.float64

    def test_the_most_probable_class_is_the_decision(self):
        indices, decided = TASK.evidence("decisions", self.truth, self.given, CLASSES)
        assert indices.tolist() == [1, 2] and decided.tolist() == [1, 0]
        assert likely(self.given, CLASSES).tolist() == ["dog", "cat"]

    def test_the_order_of_the_classes_is_the_one_given(self):
        indices, decided = TASK.evidence("decisions", self.truth, self.given, CLASSES[::-1])
        assert indices.tolist() == [1, 0] and decided.tolist() == [1, 2]

    def test_frames_are_handed_through(self):
        truth, given = TASK.evidence("frames", self.truth, self.given, CLASSES)
        assert truth is self.truth and given is self.given

    @pytest.mark.parametrize("needs", ["pixels", "boxes", "values"])
    def test_a_metric_of_something_else_is_refused(self, needs):
        with pytest.raises(UserError, match=f"classification has no {needs}: choose a metric"):
            TASK.evidence(needs, self.truth, self.given, CLASSES)
