"""What is particular to boxes with a class each."""

import json
from dataclasses import replace
from pathlib import Path

import albumentations as A
import numpy as np
import pandas as pd
import pytest
import torch
from faster_coco_eval.core import mask as coco_mask
from PIL import Image
from torch import nn

from pipeline.base.errors import UserError
from pipeline.base.page import section
from pipeline.inputs.batches import Images, TrainingBatches
from pipeline.inputs.loading import Loaders
from pipeline.inputs.preprocess import Preprocess
from pipeline.metrics.coco_ap import coco_scores
from pipeline.metrics.voc_ap import voc_ap
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request
from pipeline.tasks.detection.breakdown import break_down, verdicts
from pipeline.tasks.detection.config import AugmentConfig, Config, ModelConfig, PredictConfig, TrainConfig
from pipeline.tasks.detection.predict import from_frame, fuse, to_frame
from pipeline.tasks.detection.report import told
from pipeline.tasks.detection.targets import mosaic, paste
from pipeline.tasks.detection.task import Detection
from pipeline.tasks.task import ReportRequest

NAMES = ["red", "green", "blue"]
"""Of the classes, and of the colours of their rectangles on black."""
TASK = Detection(NAMES)
PLAIN = Preprocess(64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
SCENES = {
    "a": (60, 120, [("red", [10, 8, 50, 40]), ("blue", [70, 20, 110, 50])]),
    "tall": (100, 40, [("green", [5, 30, 30, 80])]),
    "empty": (50, 50, []),
}
"""Height, width and contents."""


def scene(height: int, width: int, things: list) -> np.ndarray:
    pixels = np.zeros((height, width, 3), dtype="uint8")
    for name, (x1, y1, x2, y2) in things:
        pixels[y1:y2, x1:x2, NAMES.index(name)] = 255
    return pixels


def frame_of(scenes: dict, folder) -> pd.DataFrame:
    rows = []
    for name, (height, width, things) in scenes.items():
        Image.fromarray(scene(height, width, things)).save(folder / f"{name}.png")
        boxes = [list(map(float, box)) for _, box in things]
        none = [0] * len(boxes)
        labels = [label for label, _ in things]
        rows.append(
            (name, str(folder / f"{name}.png"), width, height, boxes, labels, none, [""] * len(boxes))
        )
    columns = ["image_id", "path", "width", "height", "boxes", "labels", "crowd", "masks"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def frame(tmp_path) -> pd.DataFrame:
    return frame_of(SCENES, tmp_path)


def bounds(mask: np.ndarray) -> list[int]:
    """The box around the pixels that are set."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


class Finder(nn.Module):
    """A detector that finds the rectangle of each colour, if its sides have at least `least` pixels."""

    def __init__(self, masks: bool = False, least: int = 1) -> None:
        super().__init__()
        self.mask_head, self.least = nn.Identity() if masks else None, least

    def detect(self, images, score_threshold, iou_threshold, max_boxes, sizes):
        return [self.find(image, size) for image, size in zip(images, sizes, strict=True)]

    def find(self, image: torch.Tensor, size: tuple[int, int]) -> dict[str, torch.Tensor]:
        there = image > 0.1  # the padding is 0, or a little more for being rounded
        assert not there[:, size[0] :].any() and not there[:, :, size[1] :].any()
        boxes = [bounds(mask) if mask.any() else [0, 0, 0, 0] for mask in there.numpy()]
        boxes = torch.tensor(boxes).float()
        kept = ((boxes[:, 2:] - boxes[:, :2]) >= self.least).all(dim=1).nonzero()[:, 0]
        found = {"boxes": boxes[kept], "scores": 0.9 - 0.1 * torch.arange(len(kept)), "labels": kept}
        return found | ({"masks": there[kept]} if self.mask_head else {})


class BlindAtFirst(Finder):
    """Finds nothing when it is asked for the first time."""

    looks = 0

    def detect(self, images, *arguments):
        self.looks += 1
        return super().detect(torch.zeros_like(images) if self.looks == 1 else images, *arguments)


def request_for(frame: pd.DataFrame, folder, **options) -> Request:
    config = PredictConfig(**{"batch_size": 2, **options})
    return Request(
        images=Images(frame, None),
        rows=np.arange(len(frame)),
        classes=NAMES,
        preprocess=PLAIN,
        config=config,
        loaders=Loaders(0, torch.device("cpu")),
        folder=folder,
    )


class TestPrediction:
    @pytest.mark.parametrize(
        "options",
        [
            {"flip": False},
            {"flip": True},
            {"flip": True, "fusion": "nms"},
            {"flip": True, "scales": (0.5, 1.0, 2.0)},
            {"flip": False, "tile": 128},
            {"flip": False, "vertical_flip": True},
            {"flip": True, "rot90": True},
        ],
    )
    def test_boxes_come_back_in_pixels_of_the_image(self, frame, tmp_path, options):
        found = predict(Finder(), TASK, request_for(frame, tmp_path, **options))
        assert found["image_id"].tolist() == ["a", "tall", "empty"]
        for row, truth in zip(found.itertuples(), frame.itertuples(), strict=True):
            assert sorted(row.labels) == sorted(truth.labels)
            assert row.scores == sorted(row.scores, reverse=True) and len(row.scores) == len(row.boxes)
            for label, box in zip(row.labels, row.boxes, strict=True):
                wanted = truth.boxes[truth.labels.index(label)]
                # A pixel of the input is almost two of the image, one of the half-sized input almost four.
                np.testing.assert_allclose(box, wanted, atol=4 if "scales" in options else 2)
        assert coco_scores(frame, found, NAMES)["AP50"] == 1.0

    @pytest.mark.parametrize("fit", ["letterbox", "resize"])
    @pytest.mark.parametrize("turn", ["flip", "vertical_flip", "rot180"])
    def test_a_turned_view_alone_finds_the_same_boxes_in_an_oblong_input(self, frame, tmp_path, fit, turn):
        def request(**options):
            shaped = replace(PLAIN, size=(64, 128), fit=fit)
            config = {"flip": False, "fusion": "nms", "batch_size": 3, **options}
            return replace(request_for(frame, tmp_path, **config), preprocess=shaped)

        plain = predict(Finder(), TASK, request())
        other = predict(BlindAtFirst(), TASK, request(**{turn: True}))
        assert plain["labels"].tolist() == other["labels"].tolist()
        for one, two in zip(plain["boxes"], other["boxes"], strict=True):
            np.testing.assert_allclose(one, two, atol=0.01)

    def test_the_mirrored_view_alone_finds_the_same_boxes(self, frame, tmp_path):
        """A detector that is blind in every first look at a batch sees the mirrored images alone."""
        plain = predict(Finder(), TASK, request_for(frame, tmp_path, flip=False))
        options = {"flip": True, "fusion": "nms", "batch_size": 3}
        mirrored = predict(BlindAtFirst(), TASK, request_for(frame, tmp_path, **options))
        assert plain["labels"].tolist() == mirrored["labels"].tolist()
        assert [len(labels) for labels in plain["labels"]] == [2, 1, 0]
        for one, other in zip(plain["boxes"], mirrored["boxes"], strict=True):
            np.testing.assert_allclose(one, other, atol=0.01)

    def test_the_batch_size_changes_nothing(self, frame, tmp_path):
        one, all_ = (predict(Finder(), TASK, request_for(frame, tmp_path, batch_size=n)) for n in (1, 3))
        pd.testing.assert_frame_equal(one, all_)

    def test_a_small_object_is_found_once_in_slices(self, tmp_path):
        box = [104, 100, 116, 112]  # in two neighbours along both axes, so in four slices
        frame = frame_of({"large": (200, 256, [("green", box)]), "small": (64, 64, [])}, tmp_path)
        model = Finder(least=6)
        whole = predict(model, TASK, request_for(frame, tmp_path, flip=False))
        assert whole["boxes"].tolist() == [[], []], "3 pixels of the input"
        sliced = predict(model, TASK, request_for(frame, tmp_path, flip=False, tile=64, overlap=0.5))
        assert sliced["labels"].tolist() == [["green"], []]
        np.testing.assert_allclose(sliced["boxes"][0], [box], atol=0.01)

    @pytest.mark.parametrize("options", [{"flip": True}, {"flip": False, "scales": (0.5, 1.0)}])
    def test_what_only_slices_show_is_as_sure_as_what_they_said(self, tmp_path, options):
        """Weighted fusion lowers what few views saw; a small object is in no view of the whole image."""
        frame = frame_of({"large": (200, 256, [("green", [104, 100, 116, 112])])}, tmp_path)
        found = predict(Finder(least=9), TASK, request_for(frame, tmp_path, tile=64, overlap=0.5, **options))
        assert found["scores"].tolist() == [pytest.approx([0.9], abs=0.01)]

    def test_slices_reach_the_borders(self, tmp_path):
        box = [244, 190, 256, 200]
        frame = frame_of({"large": (200, 256, [("red", box)])}, tmp_path)
        found = predict(Finder(least=6), TASK, request_for(frame, tmp_path, flip=False, tile=60, overlap=0))
        np.testing.assert_allclose(found["boxes"][0], [box], atol=1.0)


class TestPredictedMasks:
    def test_masks_have_the_images_own_size(self, frame, tmp_path):
        found = predict(Finder(masks=True), TASK, request_for(frame, tmp_path, flip=False))
        assert [len(masks) for masks in found["masks"]] == [2, 1, 0]
        for row, truth in zip(found.itertuples(), frame.itertuples(), strict=True):
            for label, text in zip(row.labels, row.masks, strict=True):
                assert json.loads(text)["size"] == [truth.height, truth.width]
                mask = coco_mask.decode(json.loads(text)).astype(bool)
                wanted = scene(truth.height, truth.width, SCENES[truth.image_id][2])[..., NAMES.index(label)]
                assert (mask & (wanted > 0)).sum() / (mask | (wanted > 0)).sum() > 0.85
        scores = coco_scores(frame, found, NAMES, kind="segm")
        assert scores["AP75"] == 1.0 and scores["AP"] > 0.8

    @pytest.mark.parametrize("options", [{"flip": True}, {"scales": (0.5, 1.0)}, {"tile": 32, "flip": False}])
    def test_several_views_have_no_masks(self, frame, tmp_path, options):
        found = predict(Finder(masks=True), TASK, request_for(frame, tmp_path, **options))
        assert list(found.columns) == ["image_id", "boxes", "scores", "labels"]


class TestFusion:
    one = (torch.tensor([[0.0, 0, 10, 10], [30, 30, 50, 50]]), torch.tensor([0.8, 0.6]), torch.tensor([0, 1]))
    two = (torch.tensor([[0.0, 0, 12, 10]]), torch.tensor([0.4]), torch.tensor([0]))
    none = (torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))

    def test_one_list_stays_as_it_is_up_to_its_limit(self):
        for limit in (100, 1):
            alone = fuse([self.one], PredictConfig(max_boxes=limit))
            assert all(torch.equal(part, whole[:limit]) for part, whole in zip(alone, self.one, strict=True))

    def test_weighted_fusion_averages_and_doubts_what_one_view_alone_sees(self):
        boxes, scores, labels = fuse([self.one, self.two], PredictConfig(fusion="wbf"))
        assert labels.tolist() == [0, 1]
        torch.testing.assert_close(boxes[0], torch.tensor([0, 0, (0.8 * 10 + 0.4 * 12) / 1.2, 10]))
        torch.testing.assert_close(scores, torch.tensor([0.6, 0.3]))

    def test_suppression_keeps_the_best(self):
        boxes, scores, _ = fuse([self.one, self.two], PredictConfig(fusion="nms"))
        assert torch.equal(boxes, self.one[0]) and torch.equal(scores, self.one[1])

    @pytest.mark.parametrize("fusion", ["wbf", "nms"])
    def test_limits_and_nothing(self, fusion):
        boxes, scores, labels = fuse([self.one, self.two], PredictConfig(fusion=fusion, max_boxes=1))
        assert len(boxes) == len(scores) == len(labels) == 1
        boxes, scores, labels = fuse([self.none, self.none], PredictConfig(fusion=fusion))
        assert boxes.shape == (0, 4) and len(scores) == len(labels) == 0

    def test_a_frame_and_back_through_parquet(self, tmp_path):
        frame = to_frame(["x", "y"], [self.one, self.none], NAMES)
        frame.to_parquet(tmp_path / "frame.parquet")
        for row, found in zip(
            pd.read_parquet(tmp_path / "frame.parquet").itertuples(), (self.one, self.none), strict=True
        ):
            assert all(torch.equal(a, b) for a, b in zip(from_frame(row, NAMES), found, strict=True))


class TestAverage:
    def test_folds_are_fused_and_masks_of_several_dropped(self, tmp_path):
        frames = [to_frame(["x", "y"], [found, TestFusion.none], NAMES, [["m"] * len(found[0]), []])
                  for found in (TestFusion.one, TestFusion.two)]  # fmt: skip
        assert TASK.average(frames[:1], tmp_path, Config()) is frames[0]
        mean = TASK.average(frames, tmp_path, Config())
        assert list(mean.columns) == ["image_id", "boxes", "scores", "labels"]
        assert mean["labels"].tolist() == [["red", "green"], []] and mean["boxes"][1] == []
        assert mean["scores"][0] == pytest.approx([0.6, 0.3])

    @pytest.mark.parametrize("limit", [1, 120])
    def test_folds_are_fused_as_the_run_says(self, tmp_path, limit):
        corners = torch.arange(150.0).view(-1, 1) * 10
        boxes = torch.cat((corners, corners, corners + 5, corners + 5), dim=1)
        many = boxes, torch.full((150,), 0.5), torch.zeros(150).long()
        frames = [to_frame(["x"], [many], NAMES)] * 2
        mean = TASK.average(frames, tmp_path, Config(predict=PredictConfig(max_boxes=limit)))
        assert len(mean["boxes"][0]) == limit

    def test_no_box_anywhere(self, tmp_path):
        frames = [to_frame(["x"], [TestFusion.none], NAMES)] * 2
        assert TASK.average(frames, tmp_path, Config())["boxes"].tolist() == [[]]


def drawn_box(image: np.ndarray, label: int) -> list[int]:
    return bounds(image[..., label] > 160)  # more than the padding


class TestTargets:
    def examples(self, frame, count=12, mask_head=True, **augment):
        model = ModelConfig(detector="faster_rcnn", mask_head=mask_head)
        config = Config(augment=AugmentConfig(**{"min_scale": 0.7, "max_scale": 1.5, **augment}), model=model)
        targets = TASK.targets(frame, NAMES, config)
        transform = TASK.train_transform(config, PLAIN)
        transform.set_random_seed(5)
        images = Images(frame, None)
        found = [targets.example(row, images.read, transform) for row in [0, 1, 2] * (count // 3)]
        assert all(image.shape == (64, 64, 3) and image.dtype == np.uint8 for image, _ in found)
        return found, targets

    @pytest.mark.parametrize("options", [{}, {"vertical_flip": True}, {"mosaic": 1.0}])
    def test_image_boxes_and_masks_stay_together(self, frame, options):
        found, _ = self.examples(frame, 24, **options)
        seen = []
        for image, (boxes, labels, masks) in found:
            assert boxes.dtype == np.float32 and labels.dtype == np.int64 and masks.dtype == np.uint8
            assert len(boxes) == len(labels) == len(masks) and masks.shape[1:] == (64, 64)
            assert (boxes >= 0).all() and (boxes <= 64).all()
            for box, label, mask in zip(boxes, labels, masks, strict=True):
                np.testing.assert_allclose(bounds(mask), box, atol=2.5)
                if (labels == label).sum() == 1 and not options.get("mosaic"):
                    np.testing.assert_allclose(drawn_box(image, label), box, atol=2)
                seen.append((image[mask > 0][:, label] > 160).mean())
        assert len(seen) > 10 and np.mean(seen) > 0.8

    def test_the_same_seed_gives_the_same_examples(self, frame):
        one, other = (self.examples(frame, 6, mosaic=0.5, copy_paste=0.5)[0] for _ in range(2))
        for (image, truth), (same, again) in zip(one, other, strict=True):
            assert np.array_equal(image, same)
            assert all(np.array_equal(a, b) for a, b in zip(truth, again, strict=True))

    def test_crowds_and_unwanted_masks_are_left_out(self, frame):
        frame["crowd"] = [[0, 1], [0], []]
        found, targets = self.examples(frame, mask_head=False)
        assert {label for _, (_, labels, _) in found for label in labels.tolist()} == {0, 1}
        assert all(masks is None for _, (_, _, masks) in found)
        batch = targets.batch([truth for _, truth in found])
        assert [set(one) for one in batch] == [{"boxes", "labels"}] * len(found)
        assert batch[2]["boxes"].shape == (0, 4) and batch[2]["labels"].dtype == torch.int64

    def test_polygons_are_drawn(self, frame):
        triangle = json.dumps([[10, 8, 50, 8, 10, 40]])
        frame["masks"] = [[triangle, ""], [""], []]
        targets = TASK.targets(frame, NAMES, Config(model=ModelConfig(mask_head=True)))
        as_it_is = A.Compose([A.NoOp()], bbox_params=A.BboxParams("pascal_voc", ["index"]))
        _, (_, _, drawn) = targets.example(0, Images(frame, None).read, as_it_is)
        assert drawn.shape == (2, 60, 120) and drawn[1].sum() == 40 * 30, "without a mask: its rectangle"
        assert drawn[0].sum() == pytest.approx(40 * 32 / 2, rel=0.06)
        assert drawn[0, 10, 12] and not drawn[0, 38, 48]


def square(place: list[int], label: int = 0, size: int = 40) -> tuple[np.ndarray, tuple]:
    image = scene(size, size, [(NAMES[label], place)])
    mask = (image[..., label] > 0).astype("uint8")
    return image, (np.array([place], dtype="float32"), np.array([label]), mask[None])


NOTHING = (
    np.full((40, 40, 3), 7, dtype="uint8"),
    (np.zeros((0, 4), dtype="float32"), np.zeros(0, dtype="int64"), np.zeros((0, 40, 40), dtype="uint8")),
)


class Fixed:
    """A generator that draws what it was given."""

    def __init__(self, drawn: list[int]) -> None:
        self.drawn = np.array(drawn)

    def integers(self, low: int, high: int, count: int) -> np.ndarray:
        assert ((low <= self.drawn) & (self.drawn < high)).all() and len(self.drawn) == count
        return self.drawn


class TestMosaic:
    def test_each_part_has_its_quarter_and_boxes_are_cut_with_it(self):
        places = ([20, 20, 40, 40], [0, 20, 20, 40], [20, 0, 40, 20])
        parts = [square(place, label) for label, place in enumerate(places)]
        image, (boxes, labels, masks) = mosaic([*parts, NOTHING], Fixed([24, 15]))
        # The parts meet at 40 - 24, 40 - 15.
        assert labels.tolist() == [0, 1, 2]
        assert boxes.tolist() == [[0, 5, 16, 25], [16, 5, 36, 25], [0, 25, 16, 40]]
        assert [bounds(mask) for mask in masks] == boxes.tolist()
        assert all(drawn_box(image, label) == boxes[label].tolist() for label in range(3))
        assert (image[25:, 16:] == 7).all()

    def test_what_is_cut_off_almost_whole_is_dropped(self):
        corner = square([0, 0, 9, 9])  # of the upper left part at least ten pixels are cut away
        image, (boxes, labels, masks) = mosaic([corner, NOTHING, NOTHING, NOTHING], np.random.default_rng(0))
        assert boxes.shape == (0, 4) and labels.shape == (0,) and masks.shape == (0, 40, 40)
        assert (image[..., 0] < 100).all()

    def test_without_masks(self):
        bare = [(image, (boxes, labels, None)) for image, (boxes, labels, _) in [square([5, 5, 35, 35])] * 4]
        _, (boxes, _, masks) = mosaic(bare, np.random.default_rng(1))
        assert masks is None and len(boxes) >= 1


class TestPaste:
    def test_an_object_hidden_in_part_shrinks_and_one_hidden_whole_is_forgotten(self):
        image, truth = square([4, 4, 24, 24])
        other = square([14, 0, 40, 40], 1)
        pasted, (boxes, labels, masks) = paste(image, truth, *other, np.random.default_rng(0))
        assert labels.tolist() == [0, 1] and boxes.tolist() == [[4, 4, 14, 24], [14, 0, 40, 40]]
        assert [bounds(mask) for mask in masks] == boxes.tolist() and masks.dtype == np.uint8
        assert drawn_box(pasted, 0) == [4, 4, 14, 24] and drawn_box(pasted, 1) == [14, 0, 40, 40]
        _, (boxes, labels, _) = paste(image, truth, *square([6, 0, 40, 40], 1), np.random.default_rng(0))
        assert labels.tolist() == [1], "a tenth of the first was left"
        assert image[10, 20].tolist() == [255, 0, 0], "the image given stays as it is"

    def test_into_and_from_an_image_without_objects(self):
        image, truth = square([4, 4, 24, 24])
        pasted, (boxes, labels, _) = paste(*NOTHING, image, truth, np.random.default_rng(0))
        assert boxes.tolist() == [[4, 4, 24, 24]] and labels.tolist() == [0] and boxes.dtype == np.float32
        assert (pasted[5, 5] == [255, 0, 0]).all() and (pasted[30, 30] == 7).all()
        same, unchanged = paste(image, truth, *NOTHING, np.random.default_rng(0))
        assert same is image and unchanged is truth


@pytest.mark.parametrize("mask_head", [False, True])
def test_a_training_step_and_a_prediction(frame, tmp_path, mask_head):
    config = Config(
        model=ModelConfig(name="test_resnet", detector="faster_rcnn", mask_head=mask_head, image_size=64),
        augment=AugmentConfig(min_scale=0.8, max_scale=1.2, mosaic=0.5, copy_paste=0.5),
        train=TrainConfig(batch_size=3, passes=2, workers=0),
    )
    torch.manual_seed(0)
    model = TASK.build_model(config, NAMES)
    targets = TASK.targets(frame, NAMES, config)
    batches = TrainingBatches(
        images=Images(frame, None),
        rows=np.arange(3),
        targets=targets,
        transform=TASK.train_transform(config, PLAIN),
        batch_transform=TASK.batch_transform(config, None),
        train=config.train,
        preprocess=PLAIN,
        device=torch.device("cpu"),
    )
    optimizer, objective = torch.optim.AdamW(model.parameters(), 1e-3), TASK.objective(config, targets)
    before = [part.detach().clone() for part in model.get_classifier()[-1].parameters()]
    losses = []
    for pixels, truth in batches.epoch(0):
        assert pixels.shape == (3, 3, 64, 64) and len(truth) == 3
        assert all(("masks" in one) == mask_head for one in truth)
        loss = objective(model, pixels, truth)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert len(losses) == 2 and np.isfinite(losses).all() and min(losses) > 0
    after = model.get_classifier()[-1].parameters()
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    found = predict(model, TASK, request_for(frame, tmp_path, flip=False, min_score=0.0, max_boxes=5))
    assert ("masks" in found) == mask_head
    for row, truth in zip(found.itertuples(), frame.itertuples(), strict=True):
        boxes = np.asarray(row.boxes)
        assert len(boxes) == 5 and (boxes >= 0).all()
        assert (boxes[:, 2:] <= [truth.width + 1e-3, truth.height + 1e-3]).all()
        if mask_head:
            sizes = {tuple(json.loads(text)["size"]) for text in row.masks}
            assert len(row.masks) == 5 and sizes == {(truth.height, truth.width)}
    scores = coco_scores(frame, found, NAMES, kind="segm" if mask_head else "bbox")
    assert 0 <= scores["AP"] <= 1


class TestFrames:
    def test_classes_keep_the_order_given(self, frame):
        assert TASK.classes(frame) == NAMES
        assert TASK.classes(frame.iloc[:1]) == ["red", "blue"], "what does not occur cannot be learnt"
        assert Detection().classes(frame) == ["blue", "green", "red"]

    def test_classes_without_a_box_that_counts_are_named(self, frame, capsys):
        TASK.classes(frame.assign(crowd=[[0, 1], [0], []]))
        assert (
            "1 class(es) without a box that counts, which cannot be learnt: blue" in capsys.readouterr().err
        )
        with pytest.raises(UserError, match="all boxes are marked as crowd or difficult"):
            TASK.classes(frame.assign(crowd=[[1, 1], [1], []]))

    def test_the_organisers_category_ids_are_kept(self, frame):
        task = Detection(categories={"red": 1, "green": 7, "blue": 9})
        classes = task.classes(frame)
        assert classes == NAMES
        found = frame[["image_id", "boxes", "labels"]].assign(scores=[[0.5, 0.5], [0.5], []])
        cells = task.to_submission(found, classes)["PredictionString"]
        assert cells.tolist() == ["1 0.5 10 8 40 32 9 0.5 70 20 40 30", "7 0.5 5 30 25 50", ""]
        assert not task.submission_format(classes).columns["PredictionString"].wrong(cells).any()
        with pytest.raises(UserError, match="'blue' has no id in the categories"):
            Detection(NAMES, categories={"red": 1, "green": 7}).classes(frame)
        with pytest.raises(UserError, match="category ids 1, 1: give each"):
            Detection(categories={"red": 1, "green": 1}).check(Config())

    def test_a_submission_without_any_box_is_said(self, frame, capsys):
        nothing = frame[["image_id"]].assign(**{name: [[], [], []] for name in ("boxes", "labels", "scores")})
        assert TASK.to_submission(nothing, NAMES)["PredictionString"].tolist() == ["", "", ""]
        assert "the submission has no box in any image" in capsys.readouterr().err

    def test_boxes_that_vanish_at_the_networks_size_are_counted(self, frame, capsys):
        frame["boxes"] = [[[10, 8, 14, 40], [70, 20, 110, 50]], [[5, 30, 30, 80]], []]
        TASK.targets(frame, NAMES, Config(model=ModelConfig(image_size=48)))
        said = capsys.readouterr().err
        assert "1 of 3 training box(es) are under 2 pixels in images of 48" in said and "in a; raise" in said
        TASK.targets(frame, NAMES, Config(model=ModelConfig(image_size=64)))
        assert capsys.readouterr().err == ""

    def test_images_that_are_turned_are_named(self, frame, capsys):
        exif = Image.Exif()
        exif[0x0112] = 3
        Image.open(frame["path"][0]).save(frame["path"][0], exif=exif)
        TASK.strata(frame)
        assert "1 image(s) are turned or mirrored" in capsys.readouterr().err

    def test_nothing_to_learn_and_unknown_names_are_refused(self, frame):
        with pytest.raises(UserError, match="no training image has a box"):
            TASK.classes(frame.iloc[2:])
        with pytest.raises(UserError, match="unknown class 'blue'"):
            Detection(["red", "green"]).classes(frame)

    def test_the_stratum_is_the_rarest_class_and_a_box_outside_is_refused(self, frame):
        more = pd.concat([frame, frame.iloc[:1].assign(boxes=[[[0, 0, 5, 5]]], labels=[["red"]])])
        assert TASK.strata(more).tolist() == ["blue", "green", "", "red"]
        frame.at[1, "boxes"] = [[5.0, 30, 80, 30]]
        with pytest.raises(UserError, match=r"image tall \(40 x 100 pixels\) has a box that ends outside"):
            TASK.strata(frame)

    def test_whole_images_are_not_mixed(self):
        """There is no option for it: boxes are mixed by mosaics and pasted objects."""
        assert not {"mixup", "cutmix", "cutout"} & set(Config().to_json()["augment"])
        images, targets = torch.zeros(2, 3, 8, 8), [{}, {}]
        same, unchanged = TASK.mixer(Config(), NAMES)(images, targets)
        assert same is images and unchanged is targets

    @pytest.mark.parametrize("needs", ["boxes", "frames"])
    def test_metrics_get_the_frames(self, frame, needs):
        found = frame[["image_id", "boxes", "labels"]]
        assert TASK.evidence(needs, frame, found, NAMES) == (frame, found)

    @pytest.mark.parametrize("needs", ["probabilities", "decisions", "pixels", "values"])
    def test_metrics_of_something_else_are_refused(self, frame, needs):
        with pytest.raises(UserError, match=f"detection has no {needs}: choose a metric"):
            TASK.evidence(needs, frame, frame, NAMES)

    @pytest.mark.parametrize(
        "model, message",
        [
            ({"name": "no_such_backbone"}, "no_such_backbone"),
            ({"name": "test_resnet", "detector": "fcos", "mask_head": True}, "faster_rcnn"),
        ],
    )
    def test_a_network_that_does_not_exist_is_refused_before_any_image_is_read(self, model, message):
        with pytest.raises(UserError, match=message):
            TASK.check(Config(model=ModelConfig(**model)))


def test_a_preview_shows_the_boxes(frame):
    image = scene(*SCENES["a"])
    target = {"boxes": torch.tensor(frame["boxes"][0]), "labels": torch.tensor([0, 2])}
    drawn, text = TASK.draw(image.copy(), target, NAMES)
    assert text == "2 boxes" and drawn.shape == image.shape
    assert (drawn[8:40, 10] != image[8:40, 10]).any()


def report_of(frame: pd.DataFrame, oof: pd.DataFrame) -> list:
    request = ReportRequest(
        truth=frame,
        oof=oof,
        images=Images(frame, None),
        classes=NAMES,
        evidence=lambda needs: TASK.evidence(needs, frame, oof, NAMES),
        folder=Path(),
    )
    return list(TASK.report(request))


def test_the_report_shows_classes_kinds_mistakes_and_curves(frame, tmp_path):
    found = predict(Finder(), TASK, request_for(frame, tmp_path))
    found.to_parquet(tmp_path / "oof.parquet")  # lists become arrays
    oof = pd.read_parquet(tmp_path / "oof.parquet")
    classes, kinds, mistakes, curves = report_of(frame, oof)
    assert {row[0]: row[1] for row in classes.rows} == pytest.approx(
        voc_ap(frame, oof, NAMES)["per_class"], nan_ok=True
    )
    assert {row[0]: row[1] for row in kinds.rows} == break_down(frame, oof)
    assert [name for name, _ in mistakes.legend] == ["truth (dashed)", "predicted, right", "predicted, wrong"]
    assert len(curves.charts) == 2


def test_the_report_of_a_model_that_finds_nothing_names_all_it_missed(frame):
    nothing = to_frame(frame["image_id"].tolist(), [TestFusion.none] * 3, NAMES)
    _, _, mistakes, curves = report_of(frame, nothing)
    missed = [line for tile in mistakes.tiles for line in tile.lines]
    real = sum(not crowd for crowds in frame["crowd"] for crowd in crowds)
    assert len(missed) == real and all(line.startswith("missed: ") for line in missed)
    most = frame.loc[
        [sum(not one for one in crowd) for crowd in frame["crowd"]].index(
            max(sum(not one for one in crowd) for crowd in frame["crowd"])
        ),
        "image_id",
    ]
    assert mistakes.tiles[0].title == most
    assert "there is nothing to draw" in section(curves)


@pytest.mark.parametrize(
    ("box", "label", "line"),
    [
        ([8.0, 8.0, 48.0, 48.0], "dog", "wrong class: dog 0.90, is cat"),
        ([28.0, 8.0, 68.0, 48.0], "cat", "badly placed: cat 0.90"),
        ([200.0, 200.0, 240.0, 240.0], "cat", "nothing there: cat 0.90"),
    ],
)
def test_a_wrong_box_says_what_is_wrong_with_it(box, label, line):
    truth = pd.DataFrame(
        {"image_id": ["a"], "boxes": [[[8.0, 8.0, 48.0, 48.0]]], "labels": [["cat"]], "crowd": [[0]]}
    )
    found = pd.DataFrame({"image_id": ["a"], "boxes": [[box]], "scores": [[0.9]], "labels": [[label]]})
    (verdict,) = verdicts(truth, found)
    assert line in told(truth.iloc[0], found.iloc[0], verdict)
