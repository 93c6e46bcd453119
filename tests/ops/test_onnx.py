"""Exported graphs give onnxruntime the same answers as torch."""

import numpy as np
import pytest
import torch
from torch import nn

from ops.nms import nms
from ops.onnx import translation_table
from ops.roi import roi_align

onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime, onnx and onnxscript")
pytest.importorskip("onnxscript", reason="needs onnxscript")


def _run(module: nn.Module, arguments: tuple[torch.Tensor, ...], path) -> np.ndarray:
    program = torch.onnx.export(
        module.eval(), arguments, dynamo=True, custom_translation_table=translation_table(), verbose=False
    )
    program.save(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    feed = {name: value.numpy() for name, value in zip(names, arguments, strict=True)}
    return session.run(None, feed)[0]


class Nms(nn.Module):
    def __init__(self, max_out: int | None) -> None:
        super().__init__()
        self.max_out = max_out

    def forward(self, boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        return nms(boxes, scores, 0.5, max_out=self.max_out, validate=False)


class Align(nn.Module):
    def __init__(self, aligned: bool, sampling_ratio: int) -> None:
        super().__init__()
        self.aligned, self.sampling_ratio = aligned, sampling_ratio

    def forward(self, features: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
        return roi_align(features, rois, (3, 4), 0.5, self.sampling_ratio, self.aligned, validate=False)


@pytest.mark.parametrize("max_out", [None, 5])
def test_nms(tmp_path, max_out):
    generator = torch.Generator().manual_seed(0)
    start = torch.rand(60, 2, generator=generator) * 50
    boxes = torch.cat([start, start + 10 + torch.rand(60, 2, generator=generator) * 20], dim=1)
    scores = torch.randperm(60, generator=generator) / 60
    found = _run(Nms(max_out), (boxes, scores), tmp_path / "nms.onnx")
    assert found.tolist() == nms(boxes, scores, 0.5, max_out=max_out).tolist()


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [2, -1])
def test_roi_align(tmp_path, aligned, sampling_ratio):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 16, 20, generator=generator)
    rois = torch.tensor([[0, 1, 2, 20, 18], [1, 3.5, 4.25, 30, 12], [0, 0, 0, 39, 31]])
    found = _run(Align(aligned, sampling_ratio), (features, rois), tmp_path / "align.onnx")
    wanted = roi_align(features, rois, (3, 4), 0.5, sampling_ratio, aligned)
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-4)
