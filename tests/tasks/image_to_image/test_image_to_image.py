"""What is particular to images of images."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.base.parts import Chart, Tiles
from pipeline.inputs.batches import Images
from pipeline.inputs.loading import Loaders
from pipeline.inputs.preprocess import Preprocess
from pipeline.metrics.images import pixel_mae, pixel_rmse
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request
from pipeline.prediction.stored import load_values
from pipeline.tasks.image_to_image.config import (
    AugmentConfig,
    Config,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)
from pipeline.tasks.image_to_image.targets import ABSENT, masked_loss
from pipeline.tasks.image_to_image.task import ImageToImage
from pipeline.tasks.task import ReportRequest

TASK = ImageToImage()
CLASSES = ["value"]
PLAIN = Preprocess(48, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.fixture
def frame(tmp_path) -> pd.DataFrame:
    """Three images of different sizes; each target is the negative of its image."""
    random, rows = np.random.default_rng(0), []
    for name, (height, width) in {"a": (40, 70), "b": (60, 30), "wide/c": (48, 48)}.items():
        pixels = random.integers(0, 256, (height // 5 + 1, width // 5 + 1)).repeat(5, 0).repeat(5, 1)
        pixels = pixels[:height, :width].astype("uint8")
        paths = [str(tmp_path / f"{name.replace('/', '-')}-{kind}.png") for kind in ("image", "target")]
        for path, values in zip(paths, (pixels, 255 - pixels), strict=True):
            Image.fromarray(values).save(path)
        rows.append((name, *paths, height, width))
    return pd.DataFrame(rows, columns=["image_id", "path", "target", "height", "width"])


class Negative(torch.nn.Module):
    """Knows the answer."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return 1 - (images[:, :1] * 0.5 + 0.5)


def _predict(frame: pd.DataFrame, folder: Path, **options) -> pd.DataFrame:
    request = Request(
        images=Images(frame, None),
        rows=np.arange(len(frame)),
        classes=CLASSES,
        preprocess=PLAIN,
        config=PredictConfig(batch_size=2, **options),
        loaders=Loaders(0, torch.device("cpu")),
        folder=folder,
    )
    return predict(Negative(), TASK, request)


@pytest.mark.parametrize("options", [{"flip": True, "rot90": True}, {"tile": 32, "flip": False}])
def test_a_perfect_model_has_no_error_beyond_a_sixteen_bit_step(frame, tmp_path, options):
    predictions = _predict(frame, tmp_path / "maps", **options)
    (sums,) = TASK.evidence("errors", frame, predictions, CLASSES)
    assert isinstance(sums, np.ndarray) and sums[:, 2].tolist() == [2800, 1800, 2304]
    assert pixel_rmse(sums) < 1 / 65535 and pixel_mae(sums) < 1 / 65535
    half = TASK.average([predictions, predictions], tmp_path / "mean", Config())
    assert (load_values(half["map_file"][0]) == load_values(predictions["map_file"][0])).all()


def test_every_pixel_becomes_a_row_that_is_accepted(frame, tmp_path):
    predictions = _predict(frame, tmp_path / "maps", flip=False)
    form = TASK.submission_format(CLASSES)
    rows = TASK.to_submission(predictions, CLASSES)
    written = form.checked(rows, form.sample_of([]), frame, "s.csv").set_index("id")["value"]
    target = np.asarray(Image.open(frame["target"][2])) / 255
    assert len(written) == 2800 + 1800 + 2304
    assert written["wide/c_7_48"] == pytest.approx(target[6, 47], abs=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_image_and_target_go_through_the_same_geometry(frame, scale):
    config = Config(augment=AugmentConfig(min_scale=scale, max_scale=scale, vertical_flip=True))
    targets, transform = TASK.targets(frame, CLASSES, config), TASK.train_transform(config, PLAIN)
    transform.set_random_seed(3)
    read = Images(frame, None).read
    examples = [targets.example(index, read, transform) for index in (0, 1, 2) * 4]
    truth = targets.batch([target for _, target in examples])
    assert truth.shape == (12, 1, 48, 48) and truth.dtype == torch.float32
    pixels = np.stack([image[..., 0] for image, _ in examples]) / 255
    there = truth[:, 0].numpy() != ABSENT
    assert there.any() and (scale > 1 or (~there).any())
    assert np.abs(pixels + truth[:, 0].numpy() - 1)[there].max() <= 1.01 / 255


def test_what_is_padded_is_not_learnt():
    outputs, targets = torch.tensor([[0.5, 9.0]], requires_grad=True), torch.tensor([[0.0, float(ABSENT)]])
    for name, value in {"mse": 0.25, "l1": 0.5, "smooth_l1": 0.125}.items():
        assert masked_loss(name)(outputs, targets).item() == pytest.approx(value)
    nothing = masked_loss("mse")(outputs, torch.full((1, 2), float(ABSENT)))
    nothing.backward()
    assert nothing.item() == 0 and outputs.grad is not None and outputs.grad.tolist() == [[0, 0]]


def test_a_network_learns_a_batch_and_starts_from_what_it_was_saved_as():
    config = Config(model=ModelConfig(name="test_resnet", decoder="fpn"), train=TrainConfig(loss="l1"))
    model = TASK.build_model(config, CLASSES)
    objective = TASK.objective(config, TASK.targets(pd.DataFrame({"target": [], "image_id": []}), [], config))
    images = torch.rand(2, 3, 40, 56)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        losses.append(objective(model, images, 1 - images[:, :1]))
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]
    again = TASK.build_model(config, CLASSES, load=False)
    again.load_state_dict(model.state_dict())
    assert model.eval()(images).equal(again.eval()(images))


class TestTargets:
    def read(self, values: np.ndarray, tmp_path, size=None, **options) -> np.ndarray:
        path = str(tmp_path / "t.png")
        Image.fromarray(values).save(path)
        return ImageToImage(**options).files.read(path, "x", size)

    def test_white_is_one_whatever_the_bits(self, tmp_path):
        eight = np.array([[0, 51, 255]], dtype="uint8")
        assert self.read(eight, tmp_path).ravel() == pytest.approx([0, 0.2, 1])
        assert self.read(eight.astype("uint16") * 257, tmp_path).ravel() == pytest.approx([0, 0.2, 1])
        assert self.read(eight.astype("uint16"), tmp_path, white=255).ravel() == pytest.approx([0, 0.2, 1])
        assert self.read(np.stack([eight] * 3, axis=2), tmp_path).shape == (1, 3, 1)

    @pytest.mark.parametrize(
        ("values", "options", "message"),
        [
            (np.full((2, 3), 300, "uint16"), {"white": 255}, "300, and black is 0 and white 255"),
            (np.eye(3, dtype="uint8")[None], {}, r"has 3 channel\(s\), and the task is given 1"),
            (np.zeros((2, 3), "uint8"), {"size": (3, 2)}, "3 x 2 pixels and the image 2 x 3"),
        ],
    )
    def test_what_does_not_fit_is_told(self, values, options, message, tmp_path):
        with pytest.raises(UserError, match=f"image x: its target .*{message}"):
            self.read(values, tmp_path, **options)

    def test_folds_keep_the_shares_of_bright_targets(self, frame):
        assert sorted(TASK.strata(frame)) == ["1", "2", "3"]
        Path(frame["target"][1]).unlink()
        with pytest.raises(UserError, match="image b"):
            TASK.strata(frame)


def test_the_report_draws_image_target_prediction_and_error(frame, tmp_path):
    predictions = _predict(frame, tmp_path / "maps", flip=False)
    request = ReportRequest(
        truth=frame,
        oof=predictions,
        images=Images(frame, None),
        classes=CLASSES,
        evidence=lambda needs: TASK.evidence(needs, frame, predictions, CLASSES),
        folder=tmp_path,
    )
    errors, images = TASK.report(request)
    assert isinstance(errors, Chart) and isinstance(images, Tiles) and len(images.tiles) == 3
    image, target, found, error = images.tiles[0].pictures
    assert (found == target).all() and error.max() == 0 and image.shape == target.shape
    seen, caption = TASK.picture(image, predictions.iloc[0].to_dict(), CLASSES)
    assert seen.shape == (40, 140, 3) and caption == "image, prediction"
