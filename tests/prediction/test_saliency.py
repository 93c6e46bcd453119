"""Grad-CAM: it lights up what speaks for a class, for networks of several kinds."""

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from torch import nn

from pipeline.inputs.batches import Images
from pipeline.inputs.preprocess import Preprocess
from pipeline.prediction.saliency import grad_cam, lay_over, looked_at


class Corners(nn.Module):
    """Class 0 is as likely as the first channel is bright, class 1 as the second; features are cells of 8."""

    num_features = 3

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool2d(images, 8)

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        return features.mean((2, 3))[:, :2]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.forward_head(self.forward_features(images))


def scene() -> torch.Tensor:
    """Red in the upper left cell, green in the lower right one."""
    image = torch.zeros(1, 3, 32, 32)
    image[0, 0, :8, :8] = 1
    image[0, 1, -8:, -8:] = 1
    return image


@pytest.mark.parametrize(("output", "place"), [(0, (0, 0)), (1, (3, 3))])
def test_the_place_that_speaks_for_a_class_is_lit(output, place):
    heat = grad_cam(Corners(), scene(), torch.tensor([output]))
    assert heat is not None and heat.shape == (1, 4, 4)
    assert np.unravel_index(heat[0].argmax(), (4, 4)) == place
    assert heat.max() == 1 and (heat > 0).sum() == 1


@pytest.mark.parametrize(
    "name", ["resnet10t", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "podium_cifarnet"]
)
def test_networks_of_all_kinds_can_be_asked(name):
    import pipeline.networks.cifarnet  # noqa: F401  registers podium_cifarnet

    torch.manual_seed(0)
    size = 32 if "cifar" in name else 224
    model = timm.create_model(name, num_classes=3).eval()
    heat = grad_cam(model, torch.randn(2, 3, size, size), torch.tensor([0, 2]))
    assert heat is not None and len(heat) == 2 and heat.ndim == 3
    assert np.isfinite(heat).all() and heat.min() >= 0 and heat.max() <= 1
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_network_without_two_halves_cannot_be_asked():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    images = Images(pd.DataFrame({"image_id": ["a"]}), np.zeros((1, 2, 2, 3), dtype="uint8"))
    preprocess = Preprocess(2, (0.5,) * 3, (0.5,) * 3)
    assert looked_at(model, images, np.array([0]), np.array([1]), preprocess) is None


def test_heat_is_laid_over_the_image():
    image = np.full((16, 24, 3), 90, dtype="uint8")
    heat = np.zeros((2, 3), dtype="float32")
    heat[0, 0] = 1
    made = lay_over(image, heat)
    assert made.shape == image.shape and made.dtype == np.uint8
    assert made[1, 1, 0] > 150 > made[-1, -1, 0], "yellow where it is hot, and darker where not"
