"""A graph for other programs: its own resize is the pipeline's, and its files give what the network gives."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from pipeline.base.errors import UserError
from pipeline.export.write import Model, write_model
from pipeline.inputs.batches import Images
from pipeline.inputs.loading import Loaders
from pipeline.inputs.preprocess import Preprocess, eval_transform, normalise
from pipeline.networks.build import build_classifier
from pipeline.prediction.predict import predict
from pipeline.prediction.request import Request
from pipeline.tasks.detection import config as detection
from pipeline.tasks.detection.task import Detection
from pipeline.tasks.export import Graph, Mean, PixelGraph, WholeImageGraph
from pipeline.tasks.segmentation.config import ModelConfig
from tests.helpers import TINY

pytest.importorskip("onnxruntime", reason="needs onnxruntime, onnx and onnxscript")
SIDE = 40


def preprocess(interpolation: str = "bilinear", crop_share: float = 0.875) -> Preprocess:
    return Preprocess(SIDE, (0.5, 0.4, 0.3), (0.25, 0.2, 0.3), interpolation, crop_share, {})


def photograph(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, 3)).astype("uint8")


def network(seed: int = 0, classes: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return build_classifier(ModelConfig(name=TINY, image_size=32), classes).eval()


def model_of(graph: nn.Module, kind: Graph, size: tuple[int, int]) -> Model:
    return Model(
        graph=graph,
        size=size,
        any_size=kind.any_size,
        channels=3,
        deep=False,
        outputs=dict(kind.outputs),
        about={"classes": ["a", "b", "c"]},
    )


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(100, 130), (131, 57), (40, 40), (20, 33), (46, 46), (41, 300)])
def test_images_are_resized_and_cropped_as_for_prediction(interpolation, size):
    """Within one of 256 levels: OpenCV rounds its weights, too."""
    how, image = preprocess(interpolation), photograph(*size)
    wanted = normalise(
        torch.from_numpy(eval_transform(how)(image=image)["image"]).permute(2, 0, 1)[None], how
    )
    (found,) = WholeImageGraph(nn.Identity(), how, lambda values: values)(torch.from_numpy(image)[None])
    levels = (found - wanted) * torch.tensor(how.std).view(1, 3, 1, 1) * 255
    assert found.shape == (1, 3, SIDE, SIDE)
    assert levels.abs().max() < 1.01 and (levels.abs() > 0.5).float().mean() < 0.2


@pytest.mark.parametrize("fit", ["resize", "letterbox", "center_crop"])
@pytest.mark.parametrize("size", [(90, 60), (30, 80), (17, 11), (60, 20), (40, 56)])
def test_every_fit_is_that_of_prediction(fit, size):
    """In an input that is no square, also of an image of which one side shrinks and the other grows."""
    how = Preprocess((SIDE, 56), (0.5, 0.4, 0.3), (0.25, 0.2, 0.3), "bicubic", 0.9, {}, fit)
    image = photograph(*size)
    wanted = normalise(
        torch.from_numpy(eval_transform(how)(image=image)["image"]).permute(2, 0, 1)[None], how
    )
    (found,) = WholeImageGraph(nn.Identity(), how, lambda values: values)(torch.from_numpy(image)[None])
    levels = (found - wanted) * torch.tensor(how.std).view(1, 3, 1, 1) * 255
    assert found.shape == (1, 3, SIDE, 56)
    assert levels.abs().max() < 1.01 and (levels.abs() > 0.5).float().mean() < 0.2


def softmax(values: torch.Tensor) -> torch.Tensor:
    return values.softmax(dim=1)


def test_the_mean_of_two_networks_is_one_onnx_file_for_any_batch_and_size(tmp_path):
    import onnxruntime

    how = Preprocess(32, (0.5,) * 3, (0.25,) * 3, "bilinear", 1.0, {})
    graphs = [WholeImageGraph(network(seed), how, softmax).eval() for seed in (1, 2)]
    path = tmp_path / "mean.onnx"
    assert write_model(model_of(Mean(graphs, [0.25, 0.75]), graphs[0], (41, 53)), "onnx", path) < 1e-4
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for count, height, width in ((1, 32, 32), (4, 90, 70)):
        images = torch.from_numpy(np.stack([photograph(height, width)] * count))
        (found,) = session.run(None, {"images": images.numpy()})
        wanted = 0.25 * graphs[0](images)[0] + 0.75 * graphs[1](images)[0]
        np.testing.assert_allclose(found, wanted.detach().numpy(), atol=1e-4)
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["a", "b", "c"]
    about = json.loads(path.with_suffix(".json").read_text())
    assert about["classes"] == ["a", "b", "c"] and "predictions" in about["outputs"]


class Off(nn.Module):
    """Gives another result each time."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) + torch.rand(images.shape[0], 3)


def test_a_file_that_would_not_give_the_networks_results_is_not_left(tmp_path):
    graph = WholeImageGraph(Off(), Preprocess(32, (0.5,) * 3, (0.25,) * 3), softmax)
    with pytest.raises(UserError, match="would give other results than the network"):
        write_model(model_of(graph, graph, (32, 32)), "pt2", tmp_path / "off.pt2")
    assert list(tmp_path.iterdir()) == []


def test_masks_of_one_size_become_a_program(tmp_path):
    conv = nn.Conv2d(3, 4, 3, padding=1)
    graph = PixelGraph(conv, Preprocess(24, (0.5,) * 3, (0.25,) * 3), softmax).eval()
    path = tmp_path / "masks.pt2"
    assert write_model(model_of(graph, graph, (24, 16)), "pt2", path) == 0
    images = torch.from_numpy(np.stack([photograph(24, 16)] * 3))
    (found,) = torch.export.load(path).module()(images)
    assert found.shape == (3, 4, 24, 16) and torch.allclose(found.sum(dim=1), torch.ones(3, 24, 16))


def detector(name: str) -> tuple[Graph, detection.Config]:
    task = Detection(["a", "b", "c"])
    config = detection.Config(
        model=detection.ModelConfig(name="resnet10t", image_size=64, detector=name),  # pyright: ignore
        predict=detection.PredictConfig(max_boxes=12),
    )
    torch.manual_seed(0)
    model = task.build_model(config, ["a", "b", "c"], load=False).eval()
    if name == "fcos":
        nn.init.normal_(model.class_head.weight, std=0.3)
    how = Preprocess.of_model(model, 64)
    return task.graph(model, how, config).eval(), config


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fcos", "retinanet", "faster_rcnn"])
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_detectors_become_files_with_our_suppression(name, kind, tmp_path):
    graph, _ = detector(name)
    path = tmp_path / f"boxes.{kind}"
    assert write_model(model_of(graph, graph, (73, 85)), kind, path) < 1e-4
    images = torch.from_numpy(np.stack([photograph(50, 90)] * 2))
    boxes, scores, labels = graph(images)
    assert boxes.shape == (2, 12, 4) and scores.shape == labels.shape == (2, 12)
    assert (boxes[..., 2:] >= boxes[..., :2]).all() and (boxes[..., 2] <= 90.01).all()


def test_a_detectors_graph_finds_what_prediction_finds(tmp_path):
    """But for what a rounded pixel changes: the image is enlarged."""
    graph, config = detector("fcos")
    image, path = photograph(50, 90), tmp_path / "a.png"
    Image.fromarray(image).save(path)
    frame = pd.DataFrame({"image_id": ["a"], "path": [str(path)]})
    request = Request(
        images=Images(frame, None),
        rows=np.arange(1),
        classes=["a", "b", "c"],
        preprocess=graph.preprocess,
        config=config.predict.plain(),
        loaders=Loaders(0, torch.device("cpu")),
        folder=tmp_path,
    )
    wanted = predict(graph.model, Detection(["a", "b", "c"]), request).iloc[0]
    boxes, scores, labels = graph(torch.from_numpy(image)[None])
    count = int((labels[0] >= 0).sum())
    assert count == len(wanted["boxes"]) > 0
    np.testing.assert_allclose(boxes[0, :count].detach().numpy(), np.stack(wanted["boxes"]), atol=0.2)
    np.testing.assert_allclose(scores[0, :count].detach().numpy(), wanted["scores"], atol=5e-3)


def test_a_detector_without_boxes_of_its_own_is_refused():
    with pytest.raises(UserError, match="Ssd cannot be exported: fcos, retinanet and faster_rcnn can"):
        detector("ssd")
