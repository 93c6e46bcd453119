"""What each task makes of predictions that become targets."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.config.teachers import DistillConfig, PseudoConfig
from pipeline.frame.values import frame_of
from pipeline.prediction.stored import save_map
from pipeline.tasks.classification.config import Config as ClassificationConfig
from pipeline.tasks.classification.task import Classification
from pipeline.tasks.detection import config as detection
from pipeline.tasks.detection.task import Detection
from pipeline.tasks.multilabel.config import Config as MultilabelConfig
from pipeline.tasks.multilabel.task import Multilabel
from pipeline.tasks.regression.config import Config as RegressionConfig
from pipeline.tasks.regression.task import Regression
from pipeline.tasks.segmentation.config import Config as SegmentationConfig
from pipeline.tasks.segmentation.task import Segmentation
from pipeline.tasks.soft_labels.config import Config as SoftLabelsConfig
from pipeline.tasks.soft_labels.task import SoftLabels

NAMES = ["a", "b", "c"]
TEST = pd.DataFrame({"image_id": ["1", "2", "3"], "path": ["1.png", "2.png", "3.png"]})
VALUES = np.array([[0.9, 0.06, 0.04], [0.2, 0.5, 0.3], [0.05, 0.05, 0.9]])
PREDICTIONS = frame_of(TEST["image_id"].to_numpy(), VALUES, NAMES)
COLORS = np.array([[0, 0, 0], [255, 0, 0]], dtype="uint8")


def pseudo(
    task, predictions: pd.DataFrame, classes: list[str], threshold: float, folder: Path
) -> pd.DataFrame:
    added = task.pseudo_labels(TEST, predictions, classes, threshold, folder)
    assert (added["path"] == added["image_id"] + ".png").all()
    return added.set_index("image_id")


class TestClasses:
    def test_labels_are_the_most_probable_of_those_that_are_sure(self, tmp_path):
        added = pseudo(Classification(), PREDICTIONS, NAMES, 0.8, tmp_path)
        assert added["label"].to_dict() == {"1": "a", "3": "c"}
        assert pseudo(Classification(), PREDICTIONS, NAMES, 0, tmp_path)["label"].tolist() == ["a", "b", "c"]

    @pytest.mark.parametrize("task", [Classification(), SoftLabels(NAMES)])
    def test_ranks_are_taken_as_shares(self, task, tmp_path):
        """A blend of ranks does not sum to 1."""
        ranks = frame_of(TEST["image_id"].to_numpy(), 3 * VALUES, NAMES)
        assert len(pseudo(task, ranks, NAMES, 0.95, tmp_path)) == 0
        added = task.pseudo_labels(TEST, ranks, NAMES, 0, tmp_path)
        targets = task.targets(added, NAMES, task.config())
        softened = task.softened(targets, ranks, NAMES, np.ones(3))
        np.testing.assert_allclose(softened.fixed, VALUES, atol=1e-6)

    def test_shares_become_one_class_or_stay_shares(self, tmp_path):
        task = SoftLabels(NAMES)
        added = pseudo(task, PREDICTIONS, NAMES, 0.5, tmp_path)
        assert added[NAMES].to_numpy().tolist() == np.eye(3).tolist()
        targets = task.targets(added.reset_index(), NAMES, SoftLabelsConfig())
        half = task.softened(targets, PREDICTIONS, NAMES, np.array([1, 0.5, 0])).fixed
        np.testing.assert_allclose(half, [VALUES[0], [0.1, 0.75, 0.15], [0, 0, 1]], atol=1e-6)


class TestSeveralLabels:
    values = np.array([[0.95, 0.97, 0.02], [0.6, 0.1, 0.1], [0.1, 0.05, 0.01]])
    predictions = frame_of(TEST["image_id"].to_numpy(), values, NAMES)

    def test_every_label_must_be_sure_to_be_there_or_not(self, tmp_path):
        task = Multilabel(NAMES)
        assert pseudo(task, self.predictions, NAMES, 0, tmp_path)["labels"].tolist() == [
            ["a", "b"],
            ["a"],
            [],
        ]
        assert pseudo(task, self.predictions, NAMES, 0.8, tmp_path)["labels"].to_dict() == {
            "1": ["a", "b"],
            "3": [],
        }

    def test_targets_are_probabilities_from_0_to_1(self):
        task = Multilabel(NAMES)
        frame = TEST.assign(labels=[["a"], [], ["c"]])
        targets = task.targets(frame, NAMES, MultilabelConfig())
        given = self.predictions.assign(a=[1.5, 0.6, -0.1])
        soft = task.softened(targets, given, NAMES, np.array([1, 0.5, 0.5])).fixed
        np.testing.assert_allclose(soft, [[1, 0.97, 0.02], [0.3, 0.05, 0.05], [0, 0.025, 0.505]], atol=1e-6)


class TestNumbers:
    predictions = frame_of(
        TEST["image_id"].to_numpy(), np.array([[10.0, 3], [60, 3], [120, 3]]), ["y", "y_sigma"]
    )

    def test_values_stay_in_their_range_and_sigmas_are_no_targets(self, tmp_path):
        task = Regression(["y"], 0, 100, uncertain=True)
        added = pseudo(task, self.predictions, ["y", "y_sigma"], 0, tmp_path)
        assert added["y"].tolist() == [10, 60, 100] and "y_sigma" not in added
        targets = task.targets(added.reset_index(), ["y", "y_sigma"], RegressionConfig())
        soft = task.softened(targets, self.predictions, ["y", "y_sigma"], np.full(3, 0.5)).fixed
        np.testing.assert_allclose(soft, [[0.1], [0.6], [1.0]], atol=1e-6)

    @pytest.mark.parametrize("options", [{"kind": "soft"}, {"threshold": 0.5}])
    def test_what_is_for_classes_is_refused(self, options):
        config = RegressionConfig(pseudo=PseudoConfig(run="a", **options))
        with pytest.raises(UserError, match="are for classes: leave them out here"):
            Regression(["y"], 0, 1).check(config)


class TestMasks:
    def task(self, ignore: int | None = 9, values: tuple[int, int] = (0, 255)) -> Segmentation:
        return Segmentation(["none", "it"], COLORS, values=values, ignore=ignore)

    def predictions(self, folder: Path) -> pd.DataFrame:
        sure = [[0.9, 0.6], [0.1, 0.3]], [[0.5, 0.5], [0.5, 0.5]], [[0.0, 1.0], [1.0, 0.0]]
        paths = []
        for image_id, values in zip(TEST["image_id"], sure, strict=True):
            paths.append(str(folder / "maps" / f"{image_id}.npz"))
            save_map(Path(paths[-1]), np.stack([np.array(values), 1 - np.array(values)]))
        return TEST[["image_id"]].assign(map_file=paths, height=2, width=2)

    def test_unsure_pixels_are_ignored_and_images_of_nothing_else_left_out(self, tmp_path):
        task = self.task()
        added = pseudo(task, self.predictions(tmp_path), task.names, 0.8, tmp_path / "masks")
        assert added.index.tolist() == ["1", "3"]
        read = [task.read(added.loc[image_id, "mask"], image_id).tolist() for image_id in added.index]
        assert read == [[[0, 255], [1, 255]], [[1, 0], [0, 1]]]

    def test_all_pixels_count_without_a_threshold(self, tmp_path):
        task = self.task(ignore=None, values=(0, 65535))
        added = pseudo(task, self.predictions(tmp_path), task.names, 0, tmp_path / "masks")
        with Image.open(added.loc["1", "mask"]) as mask:
            assert np.asarray(mask).tolist() == [[0, 0], [65535, 65535]]
        assert task.read(added.loc["1", "mask"], "1").tolist() == [[0, 0], [1, 1]]

    def test_soft_ones_and_a_threshold_without_a_value_to_ignore_are_refused(self):
        with pytest.raises(UserError, match=r"no pseudo-labels of --pseudo\.kind soft: take hard"):
            self.task().check(SegmentationConfig(pseudo=PseudoConfig(run="a", kind="soft")))
        with pytest.raises(UserError, match="is given no value for them"):
            self.task(ignore=None).check(SegmentationConfig(pseudo=PseudoConfig(run="a", threshold=0.5)))
        with pytest.raises(UserError, match="segmentation has no soft targets: leave out --distill"):
            self.task().check(SegmentationConfig(distill=DistillConfig(run="a")))


class TestBoxes:
    predictions = TEST[["image_id"]].assign(
        boxes=[[[0, 0, 5, 5], [1, 1, 9, 9]], [[2, 2, 4, 4]], []],
        scores=[[0.9, 0.3], [0.4], []],
        labels=[["a", "b"], ["a"], []],
    )

    def test_sure_boxes_are_the_truth_of_images_that_have_any(self, tmp_path):
        added = pseudo(Detection(), self.predictions, ["a", "b"], 0.5, tmp_path)
        assert added.index.tolist() == ["1"]
        row = added.loc["1"]
        assert (row["boxes"], row["labels"], row["crowd"]) == ([[0, 0, 5, 5]], ["a"], [0])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"pseudo": PseudoConfig(run="a")}, r"every box, however low its score: set --pseudo\.threshold"),
            (
                {
                    "pseudo": PseudoConfig(run="a", threshold=0.5),
                    "augment": detection.AugmentConfig(copy_paste=0.5),
                },
                "boxes without masks",
            ),
        ],
    )
    def test_boxes_of_any_score_and_what_needs_masks_are_refused(self, changes, message):
        with pytest.raises(UserError, match=message):
            Detection().check(detection.Config(**changes))


def test_a_loss_takes_soft_targets_as_it_takes_labels():
    """Without any predictions in them they are the labels."""
    task, logits = Classification(), torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    frame, config = TEST.assign(label=NAMES), ClassificationConfig()
    hard = task.targets(frame, NAMES, config)
    soft = task.softened(hard, PREDICTIONS, NAMES, np.zeros(3))
    losses = [task.objective(config, one).loss(logits, one.fixed) for one in (hard, soft)]
    torch.testing.assert_close(*losses)
