"""What is particular to one class for each pixel."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.base.parts import Table, Tiles
from pipeline.competition.evaluate import Evaluation, evaluation_of
from pipeline.inputs.batches import Images
from pipeline.inputs.loading import Loaders
from pipeline.inputs.preprocess import Preprocess
from pipeline.metrics.pixels import class_iou, mean_iou, pixel_accuracy
from pipeline.networks.freeze import set_trainable
from pipeline.prediction.maps import image_map
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request
from pipeline.prediction.stored import load_map, save_map
from pipeline.tasks.segmentation.columns import MaskRows, rows_of_mask
from pipeline.tasks.segmentation.config import AugmentConfig, Config, ModelConfig, PredictConfig, TrainConfig
from pipeline.tasks.segmentation.palette import VOC_CLASSES, VOC_COLORS, write_mask
from pipeline.tasks.segmentation.task import Segmentation
from pipeline.tasks.task import ReportRequest
from tests.helpers import competition_of

TASK = Segmentation(VOC_CLASSES, VOC_COLORS)
PLAIN = Preprocess(64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def frame(tmp_path) -> pd.DataFrame:
    """Three images of different sizes whose masks repeat their red channel: class = red / 10."""
    random, rows = np.random.default_rng(0), []
    for name, (height, width) in {"a": (40, 90), "b": (70, 30), "wide/c": (64, 64)}.items():
        mask = random.integers(0, 4, (height // 5 + 1, width // 5 + 1)).repeat(5, 0).repeat(5, 1)
        mask = mask[:height, :width].astype("uint8")
        stem = name.replace("/", "-")
        pixels = np.stack([mask * 10] * 3, axis=-1)
        Image.fromarray(pixels).save(tmp_path / f"{stem}.png")
        write_mask(tmp_path / f"{stem}-mask.png", mask)
        rows.append((name, str(tmp_path / f"{stem}.png"), str(tmp_path / f"{stem}-mask.png"), height, width))
    return pd.DataFrame(rows, columns=["image_id", "path", "mask", "height", "width"])


class RedToClass(torch.nn.Module):
    """Knows the answer at each pixel, whatever is around it."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        red = ((images[:, :1] * 0.5 + 0.5) * 255 / 10).round()
        return -10 * (red - torch.arange(len(VOC_CLASSES)).view(1, -1, 1, 1)).abs()


def _predict(frame: pd.DataFrame, folder, **options) -> pd.DataFrame:
    return predict(RedToClass(), TASK, _to_predict(frame, folder, **options))


def _to_predict(frame: pd.DataFrame, folder, **options) -> Request:
    config = PredictConfig(batch_size=2, **options)
    return Request(
        images=Images(frame, None),
        rows=np.arange(len(frame)),
        classes=VOC_CLASSES,
        preprocess=PLAIN,
        config=config,
        loaders=Loaders(0, torch.device("cpu")),
        folder=folder,
    )


def _counts(frame: pd.DataFrame, predictions: pd.DataFrame) -> np.ndarray:
    """Pixel counts of each image and class."""
    (counts,) = TASK.evidence("pixels", frame, predictions, VOC_CLASSES)
    assert isinstance(counts, np.ndarray)
    return counts


@pytest.mark.parametrize(
    "options",
    [
        {"flip": False},
        {"flip": True},
        {"tile": 32},
        {"tile": 128, "flip": False},
        {"flip": False, "vertical_flip": True},
        {"flip": False, "rot180": True},
        {"rot90": True},
        {"rot90": True, "tile": 32},
    ],
)
def test_a_perfect_model_scores_one_whole_flipped_or_in_tiles(frame, tmp_path, options):
    predictions = _predict(frame, tmp_path / "maps", **options)
    assert predictions["image_id"].tolist() == ["a", "b", "wide/c"]
    counts = _counts(frame, predictions)
    assert mean_iou(counts) == 1.0 and pixel_accuracy(counts) == 1.0
    assert load_map(predictions["map_file"][0]).shape == (21, 40, 90)


@pytest.mark.parametrize("fit", ["resize", "letterbox"])
def test_images_looked_at_in_the_inputs_size_give_maps_of_their_own(frame, tmp_path, fit):
    class Remembering(RedToClass):
        seen: ClassVar[list] = []

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.seen.append(tuple(images.shape[2:]))
            return super().forward(images)

    request = replace(
        _to_predict(frame, tmp_path / "maps", flip=False), preprocess=replace(PLAIN, size=(96, 160), fit=fit)
    )
    predictions = predict(Remembering(), TASK, request)
    sizes = [(96, 160)] * 2 if fit == "resize" else [(71, 160), (96, 41), (96, 96)]
    assert Remembering.seen == sizes
    assert load_map(predictions["map_file"][0]).shape == (21, 40, 90)
    assert pixel_accuracy(_counts(frame, predictions)) > 0.7  # the edges of the squares blur


def test_tiles_of_a_model_that_looks_at_single_pixels_equal_the_whole_image(frame, tmp_path):
    whole = _predict(frame, tmp_path / "whole", flip=False)
    tiled = _predict(frame, tmp_path / "tiled", flip=False, tile=32, overlap=0.5)
    for one, other in zip(whole["map_file"], tiled["map_file"], strict=True):
        np.testing.assert_allclose(load_map(one), load_map(other), atol=1 / 254)


def test_scales_are_averaged_at_the_images_own_size():
    images = torch.linspace(-1, 1, 2 * 3 * 37 * 53).reshape(2, 3, 37, 53)
    config = PredictConfig(flip=True, scales=(0.5, 1.0, 1.5))
    values = image_map(RedToClass(), images, config, 8, TASK.activate)
    assert values.shape == (2, 21, 37, 53)
    torch.testing.assert_close(values.sum(dim=1), torch.ones(2, 37, 53))


def test_a_map_that_is_there_is_not_predicted_again(frame, tmp_path):
    before = _predict(frame, tmp_path / "maps")
    stamps = [path.stat().st_mtime_ns for path in sorted((tmp_path / "maps").iterdir())]
    after = _predict(frame, tmp_path / "maps")
    pd.testing.assert_frame_equal(before, after)
    assert stamps == [path.stat().st_mtime_ns for path in sorted((tmp_path / "maps").iterdir())]


def test_the_average_of_folds_is_written_image_by_image(frame, tmp_path):
    frames = [_predict(frame, tmp_path / name, flip=False) for name in ("one", "two")]
    mean = TASK.average(frames, tmp_path / "mean", Config())
    assert mean_iou(_counts(frame, mean)) == 1.0
    assert all(path.startswith(str(tmp_path / "mean")) for path in mean["map_file"])


def test_the_stratum_is_the_rarest_class_and_a_mask_of_another_size_is_refused(frame, tmp_path):
    write_mask(tmp_path / "a-mask.png", np.full((40, 90), 7, dtype="uint8"))
    assert TASK.strata(frame).tolist()[0] == VOC_CLASSES[7]
    write_mask(tmp_path / "b-mask.png", np.zeros((70, 31), dtype="uint8"))
    with pytest.raises(UserError, match=r"image b: .*b-mask.png has 31 x 70 pixels and the image 30 x 70"):
        TASK.strata(frame)


class TestClasses:
    colors = VOC_COLORS[:3]

    def frame(self, folder, *masks: list[list[int]]) -> pd.DataFrame:
        for number, mask in enumerate(masks):
            Image.fromarray(np.array(mask, dtype="uint8")).save(folder / f"{number}.png")
        ids = [str(number) for number in range(len(masks))]
        return pd.DataFrame({"image_id": ids, "mask": [str(folder / f"{name}.png") for name in ids]})

    def test_masks_of_0_and_255_do_not_train_on_nothing(self, tmp_path):
        frame = self.frame(tmp_path, [[0, 255]], [[0, 0]])
        message = r"has the class leaf \(value 1\): the values found are 0, 255 \(ignored\); give"
        with pytest.raises(UserError, match=message):
            Segmentation(["none", "leaf"], self.colors).classes(frame)
        task = Segmentation(["none", "leaf"], self.colors, values=(0, 255), ignore=None)
        assert task.classes(frame) == ["none", "leaf"] and task.read(frame["mask"][0], "0").tolist() == [
            [0, 1]
        ]

    def test_only_what_may_lack_may_be_absent(self, tmp_path):
        frame = self.frame(tmp_path, [[0, 2]])
        names = ["none", "leaf", "stem"]
        with pytest.raises(UserError, match=r"the class leaf \(value 1\): the values found are 0, 2;"):
            Segmentation(names, self.colors).classes(frame)
        assert Segmentation(names, self.colors, may_lack=["leaf"]).classes(frame) == names
        with pytest.raises(UserError, match="values found are 0;"):
            Segmentation(names, self.colors, may_lack=names).classes(self.frame(tmp_path, [[0, 0]]))

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"values": (0, 255)}, "the mask value 255 two meanings"),
            ({"values": (1, 1)}, "the mask value 1 two meanings"),
            ({"values": (0, 1, 2)}, "2 classes, 3 values"),
            ({"may_lack": ["loaf"]}, "no class 'loaf'"),
        ],
    )
    def test_values_that_contradict_one_another_are_refused(self, options, message):
        with pytest.raises(UserError, match=message):
            Segmentation(["none", "leaf"], self.colors, **options).check(Config())

    def test_absent_classes_and_turned_images_are_named_before_training(self, frame, capsys):
        exif = Image.Exif()
        exif[0x0112] = 3
        Image.open(frame["path"][0]).save(frame["path"][0], exif=exif)
        TASK.strata(frame)
        said = capsys.readouterr().err
        assert "17 class(es) in no mask, which cannot be learnt: boat, bottle, bus" in said
        assert "1 image(s) are turned or mirrored" in said and "as turned: a;" in said


class TestTraining:
    def batch(self, frame, augment: AugmentConfig):
        config = Config(augment=augment)
        targets = TASK.targets(frame, VOC_CLASSES, config)
        transform = TASK.train_transform(config, PLAIN)
        transform.set_random_seed(3)
        images = Images(frame, None)
        examples = [targets.example(index, images.read, transform) for index in (0, 1, 2) * 4]
        return np.stack([image for image, _ in examples]), targets.batch([mask for _, mask in examples])

    def test_image_and_mask_go_through_the_same_geometry_and_padding_is_ignored(self, frame):
        pixels, masks = self.batch(frame, AugmentConfig(min_scale=1.0, max_scale=1.0, color_jitter=0))
        assert pixels.shape == (12, 64, 64, 3) and masks.shape == (12, 64, 64) and masks.dtype == torch.int64
        seen = masks.numpy() != 255
        assert (pixels[..., 0][seen] == 10 * masks.numpy()[seen]).all()
        assert (pixels[~seen] == 128).all() and (~seen).sum() > 0

    def test_rescaling_keeps_image_and_mask_together(self, frame):
        pixels, masks = self.batch(frame, AugmentConfig(min_scale=0.6, max_scale=1.8, vertical_flip=True))
        seen = masks.numpy() != 255
        wrong = np.abs(pixels[..., 0][seen] / 10 - masks.numpy()[seen]) > 0.5
        assert wrong.mean() < 0.2  # blended at edges, no more

    def test_the_pixels_of_each_class_are_counted_and_the_ignored_are_not(self, frame):
        masks = [TASK.read(path, "a") for path in frame["mask"]]
        masks[0][:2] = 255
        write_mask(Path(frame["mask"][0]), masks[0])
        counts = TASK.targets(frame, VOC_CLASSES, Config()).pixels(21)
        assert counts.tolist() == [sum(int((mask == value).sum()) for mask in masks) for value in range(21)]

    def test_a_crop_of_nothing_but_ignored_pixels_gives_a_finite_loss(self, frame):
        for loss in ("ce", "ce+dice", "focal", "lovasz", "ce+0.5*lovasz"):
            config = Config(train=TrainConfig(loss=loss, logit_adjustment=0.5))
            objective = TASK.objective(config, TASK.targets(frame, VOC_CLASSES, config))
            logits = torch.randn(2, 21, 8, 8, requires_grad=True)
            value = objective(torch.nn.Identity(), logits, torch.full((2, 8, 8), 255))
            value.backward()
            assert value.item() == 0 and torch.equal(logits.grad, torch.zeros_like(logits))

    def test_frozen_stages_and_their_statistics_stay_while_the_decoder_learns(self, frame):
        config = Config(
            model=ModelConfig(name="test_resnet", decoder="fpn"), train=TrainConfig(frozen_stages=-1)
        )
        model = TASK.build_model(config, VOC_CLASSES)
        set_trainable(model, config.train, 0)
        before = {name: value.clone() for name, value in model.backbone.state_dict().items()}
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
        objective = TASK.objective(config, TASK.targets(frame, VOC_CLASSES, config))
        objective(model, torch.randn(2, 3, 64, 64), torch.zeros(2, 64, 64).long()).backward()
        head = [part.clone() for part in model.get_classifier()[1].parameters()]
        optimizer.step()
        assert all(torch.equal(value, before[name]) for name, value in model.backbone.state_dict().items())
        assert any(
            not torch.equal(a, b) for a, b in zip(head, model.get_classifier()[1].parameters(), strict=True)
        )


class TestRows:
    form = MaskRows("id", "rle", 21)
    test = pd.DataFrame({"image_id": ["x_1", "y"], "height": [4, 3], "width": [5, 2]})

    def rows(self, *rows: tuple[str, str]) -> pd.DataFrame:
        return pd.DataFrame(rows, columns=["id", "rle"])

    def test_nothing_but_background_is_a_submission_without_rows_and_said(self, capsys):
        empty = self.rows()
        assert self.form.checked(empty, empty, self.test, "s.csv").empty
        assert "s.csv has no rows: nothing but background" in capsys.readouterr().err

    def test_a_row_for_each_class_but_background(self):
        mask = np.array([[0, 3], [3, 20], [0, 0]], dtype="uint8")
        assert rows_of_mask("y", mask) == [("y_3", "2 1 4 1"), ("y_20", "5 1")]

    @pytest.mark.parametrize(
        "row, message",
        [
            (("z_1", "1 2"), r"z_1 are no test image and class 1 to 20"),
            (("y_0", "1 2"), r"y_0 are no test image"),
            (("y_21", "1 2"), r"y_21 are no test image"),
            (("y_3", "6 2"), r"y_3 has no valid run lengths"),
            (("y_3", "1"), r"y_3 has no valid run lengths"),
            (("y_3", ""), r"y_3 has no pixels: leave its row out"),
            (("y_3", "1 2 3 1"), r"do not survive decoding"),
        ],
    )
    def test_what_the_organiser_cannot_read_is_refused(self, row, message):
        with pytest.raises(UserError, match=message):
            self.form.checked(self.rows(row), self.rows(), self.test, "s.csv")

    def test_an_image_id_may_hold_underscores(self):
        rows = self.rows(("x_1_7", "1 20"), ("y_1", "6 1"))
        assert len(self.form.checked(rows, self.rows(), self.test, "s.csv")) == 2
        with pytest.raises(UserError, match="occur more than once"):
            self.form.checked(pd.concat([rows, rows]), self.rows(), self.test, "s.csv")


class TestEvidence:
    def test_pixels_are_counted_by_image_and_class(self, frame, tmp_path):
        predictions = _predict(frame, tmp_path / "maps", flip=False)
        wrong = np.zeros((21, 40, 90), dtype="float32")
        wrong[20] = 1
        save_map(Path(predictions["map_file"][0]), wrong)
        counts = _counts(frame, predictions)
        assert counts.shape == (3, 21, 3) and counts.dtype == np.int64
        assert counts[0, 20].tolist() == [0, 40 * 90, 0] and counts[0, :, 0].sum() == 0
        assert counts[1:, :, 1:].sum() == 0 and counts[1, :, 0].sum() == 70 * 30

    def test_no_images_have_no_counts(self, frame, tmp_path):
        predictions = _predict(frame, tmp_path / "maps", flip=False)
        assert _counts(frame[:0], predictions[:0]).shape == (0, 21, 3)

    def test_frames_are_handed_through_and_others_refused(self, frame, tmp_path):
        predictions = _predict(frame, tmp_path / "maps", flip=False)
        assert TASK.evidence("frames", frame, predictions, VOC_CLASSES) == (frame, predictions)
        for needs in ("probabilities", "decisions", "boxes", "values"):
            with pytest.raises(UserError, match=f"segmentation has no {needs}: choose a metric"):
                TASK.evidence(needs, frame, predictions, VOC_CLASSES)


def _request(evaluation: Evaluation, frame: pd.DataFrame, folder: Path) -> ReportRequest:
    return ReportRequest(
        truth=evaluation.truth,
        oof=evaluation.predictions,
        images=Images(frame, None),
        classes=VOC_CLASSES,
        evidence=evaluation.evidence,
        folder=folder,
    )


def test_each_map_is_decoded_once_for_all_figures_and_once_more_where_it_is_shown(
    frame, tmp_path, monkeypatch
):
    """A run's score, its other figures, the scores of its folds and its report share one count of pixels;
    the report alone opens a map again, to draw it."""
    predictions = _predict(frame, tmp_path / "maps", flip=False)
    opened, load = [], np.load

    def counting(file, *arguments, **options):
        opened.append(Path(file).name)
        return load(file, *arguments, **options)

    monkeypatch.setattr(np, "load", counting)
    evaluation = evaluation_of(competition_of("voc"), frame, predictions, VOC_CLASSES)
    assert evaluation.score == 1.0 and evaluation.extra == {"pixel_accuracy": 1.0}
    assert evaluation.fold_scores(np.array([0, 1, 1])) == [1.0, 1.0]
    maps = sorted(Path(path).name for path in predictions["map_file"])
    assert sorted(opened) == maps
    list(TASK.report(_request(evaluation, frame, tmp_path)))
    assert sorted(opened) == sorted(2 * maps)


def test_the_score_of_a_fold_is_that_of_its_images_alone(frame, tmp_path):
    predictions = _predict(frame, tmp_path / "maps", flip=False)
    save_map(
        Path(predictions["map_file"][1]), np.eye(21, dtype="float32")[np.full((70, 30), 9)].transpose(2, 0, 1)
    )
    evaluation = evaluation_of(competition_of("voc"), frame, predictions, VOC_CLASSES)
    assert evaluation.fold_scores(np.array([7, 2, 7])) == [0.0, 1.0]
    (counts,) = evaluation.evidence("pixels")
    assert evaluation.score == pytest.approx(np.nanmean(class_iou(counts))) and 0 < evaluation.score < 1


def test_the_report_shows_the_classes_and_the_worst_images(frame, tmp_path):
    predictions = _predict(frame, tmp_path / "maps", flip=False)
    wrong = np.eye(21, dtype="float32")[np.full((70, 30), 9)].transpose(2, 0, 1)
    save_map(Path(predictions["map_file"][1]), wrong)
    evaluation = evaluation_of(competition_of("voc"), frame, predictions, VOC_CLASSES)
    classes, images = TASK.report(_request(evaluation, frame, tmp_path))
    assert isinstance(classes, Table) and isinstance(images, Tiles)
    rows = {row[0]: row for row in classes.rows}
    iou = class_iou(evaluation.evidence("pixels")[0])
    assert rows["chair"][1] == iou[VOC_CLASSES.index("chair")] == 0 and len(rows) == 21
    assert np.isnan(rows["sheep"][1]) and list(rows)[-1] not in ("chair", "background")
    assert images.tiles[0].title == frame["image_id"][1], "the worst first"
    assert images.tiles[0].names == ("image", "truth", "prediction", "errors")
    legend = dict(images.legend)
    assert {"chair", "wrong", "right"} <= set(legend)
    assert (images.tiles[0].pictures[3] == legend["wrong"]).all(axis=2).any()


def test_whole_images_are_not_mixed(frame):
    """There is no option for it: a mixed mask would have two classes in each pixel."""
    assert not {"mixup", "cutmix", "cutout"} & set(Config().to_json()["augment"])
    images, masks = torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8)
    same, unchanged = TASK.mixer(Config(), VOC_CLASSES)(images, masks)
    assert same is images and unchanged is masks


@pytest.mark.parametrize(
    "config, message",
    [
        (Config(model=ModelConfig(name="test_resnet", decoder="bogus")), "bogus"),
        (Config(model=ModelConfig(name="test_resnet"), train=TrainConfig(loss="dise")), "did you mean dice"),
        (Config(model=ModelConfig(name="no_such_encoder")), "no_such_encoder"),
    ],
)
def test_what_does_not_exist_is_refused_before_any_image_is_read(config, message):
    with pytest.raises(UserError, match=message):
        TASK.check(config)
