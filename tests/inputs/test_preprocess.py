"""Evaluation changes nothing at random: resize, centre crop, the network's own statistics."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.functional import normalize

from pipeline.inputs.preprocess import Preprocess, eval_transform, normalise
from pipeline.networks.build import build_classifier
from pipeline.tasks.classification.config import ModelConfig

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def preprocess(size: int = 32, **options) -> Preprocess:
    return Preprocess(size, MEAN, STD, **options)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An image without two equal neighbourhoods, so that every shift shows."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype="uint8")


def batch_of(image: np.ndarray, count: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([image] * count)).permute(0, 3, 1, 2)


class TestEval:
    @pytest.mark.parametrize("options", [{}, {"crop_share": 0.875}, {"interpolation": "nearest"}])
    def test_an_image_of_the_inputs_size_passes_unchanged(self, options):
        image = noise(32, 32)
        np.testing.assert_array_equal(eval_transform(preprocess(**options))(image=image)["image"], image)

    @settings(deadline=None, max_examples=20)
    @given(st.integers(3, 90), st.integers(3, 90), st.sampled_from([1.0, 0.875]))
    def test_any_size_becomes_the_inputs_and_nothing_is_random(self, height, width, share):
        image = noise(height, width)
        results = [eval_transform(preprocess(crop_share=share))(image=image)["image"] for _ in range(2)]
        assert results[0].shape == (32, 32, 3) and results[0].dtype == np.uint8
        np.testing.assert_array_equal(*results)

    def test_the_middle_is_kept_in_proportion(self):
        image = np.zeros((64, 128, 3), dtype="uint8")
        image[:, 32:96] = 255  # the central square
        assert eval_transform(preprocess())(image=image)["image"].min() == 255

    def test_crop_share_cuts_the_border_off(self):
        image = np.full((160, 160, 3), 255, dtype="uint8")
        image[10:150, 10:150] = 0  # a frame of one sixteenth on each side
        assert eval_transform(preprocess(140, crop_share=0.875))(image=image)["image"].max() == 0
        assert eval_transform(preprocess(140, crop_share=1.0))(image=image)["image"].max() == 255

    def test_shrinking_averages_rather_than_skips(self):
        """One-pixel stripes become grey, as with Pillow's anti-aliased resize, and no moiré pattern."""
        image = np.zeros((200, 200, 3), dtype="uint8")
        image[:, ::2] = 255
        shrunk = eval_transform(preprocess(40))(image=image)["image"].astype(float)
        reference = np.asarray(Image.fromarray(image).resize((40, 40), Image.Resampling.BICUBIC)).astype(
            float
        )
        assert abs(shrunk.mean() - 127.5) < 1
        assert np.abs(shrunk - reference).mean() < 30 < np.abs(image[::5, ::5] - reference).mean()

    def test_it_can_be_sent_to_a_loader_process(self):
        image = noise(50, 40)
        transform = eval_transform(preprocess())
        copy = pickle.loads(pickle.dumps(transform))
        np.testing.assert_array_equal(copy(image=image)["image"], transform(image=image)["image"])


class TestPreprocess:
    def test_normalise_is_torchvisions_channels_last(self):
        batch = batch_of(noise(12, 10), 3)
        result = normalise(batch, preprocess())
        torch.testing.assert_close(result, normalize(batch.float() / 255, MEAN, STD), atol=1e-6, rtol=1e-6)
        assert result.dtype == torch.float32 and result.is_contiguous(memory_format=torch.channels_last)

    def test_a_model_brings_its_own_statistics(self):
        model = build_classifier(ModelConfig(name="vit_tiny_patch16_224", image_size=64), 2)
        found = Preprocess.of_model(model, 64)
        assert found == Preprocess(64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic", 0.9)

    def test_json_round_trip(self):
        value = preprocess(crop_share=0.9)
        assert Preprocess.from_json(value.to_json()) == value
        assert value.to_json()["mean"] == [0.5, 0.4, 0.3]
