"""Inputs that are no square, and images of other proportions in them: squashed, with bars, or the middle."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.inputs.augment import augment_batch, batched_is_enough, train_transform
from pipeline.inputs.preprocess import Preprocess, eval_transform
from pipeline.tasks.classification.config import AugmentConfig, ModelConfig

BARS = (128, 102, 76)
FITS = ("resize", "letterbox", "center_crop")


def preprocess(size, fit: str, **options) -> Preprocess:
    return Preprocess(size, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), fit=fit, **options)


def ends() -> np.ndarray:
    """100 x 300: its left sixth red, its right sixth green, blue between."""
    image = np.zeros((100, 300, 3), dtype="uint8")
    image[:, :50, 0] = image[:, 250:, 1] = image[:, 50:250, 2] = 255
    return image


class TestEvaluation:
    @pytest.mark.parametrize("fit", FITS)
    @settings(deadline=None, max_examples=10)
    @given(height=st.integers(1, 90), width=st.integers(1, 90))
    def test_any_image_becomes_the_inputs_size(self, fit, height, width):
        image = np.full((height, width, 3), 7, dtype="uint8")
        assert eval_transform(preprocess((24, 40), fit))(image=image)["image"].shape == (24, 40, 3)

    @pytest.mark.parametrize("fit", FITS)
    def test_an_image_of_the_inputs_size_passes_unchanged(self, fit):
        image = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype="uint8")
        shown = eval_transform(preprocess((24, 40), fit, crop_share=0.875))(image=image)["image"]
        np.testing.assert_array_equal(shown, image)

    def test_the_default_shows_all_of_an_image(self):
        assert ModelConfig().fit == "resize"
        shown = eval_transform(preprocess(60, "resize"))(image=ends())["image"]
        assert (shown[:, :9] == (255, 0, 0)).all() and (shown[:, -9:] == (0, 255, 0)).all()

    def test_bars_keep_the_proportions(self):
        shown = eval_transform(preprocess(60, "letterbox"))(image=ends())["image"]
        assert (shown[:20] == BARS).all() and (shown[40:] == BARS).all()
        assert (shown[20:40, :9] == (255, 0, 0)).all() and (shown[20:40, -9:] == (0, 255, 0)).all()

    def test_the_middle_alone_where_it_is_asked_for(self):
        shown = eval_transform(preprocess(60, "center_crop"))(image=ends())["image"]
        assert (shown == (0, 0, 255)).all()

    def test_what_a_checkpoint_keeps_is_all_there_is_to_know(self):
        value = preprocess((24, 40), "letterbox")
        assert Preprocess.from_json(value.to_json()) == value
        assert value.shape == (24, 40) and preprocess((32, 32), "resize").size == 32


class TestTraining:
    @pytest.mark.parametrize("crop", ["pad", "resized", "none"])
    @pytest.mark.parametrize("fit", FITS)
    @pytest.mark.parametrize("shape", [(100, 300), (3, 90), (90, 3), (24, 40)])
    def test_any_image_becomes_the_inputs_size(self, fit, crop, shape):
        transform = train_transform(AugmentConfig(crop=crop, cutout=4), preprocess((24, 40), fit))
        image = np.full((*shape, 3), 200, dtype="uint8")
        assert transform(image=image)["image"].shape == (24, 40, 3)

    @pytest.mark.parametrize("crop", ["pad", "resized", "none"])
    def test_it_sees_what_evaluation_sees(self, crop):
        """Of an image three times as wide as high both ends, squashed as evaluation squashes them."""
        augment = AugmentConfig(crop=crop, min_area=0.95, pad=2, horizontal_flip=False)
        transform = train_transform(augment, preprocess(60, "resize"))
        for seed in range(5):
            transform.set_random_seed(seed)
            shown = transform(image=ends())["image"].astype(int)
            red, green = (shown[..., channel] > 127 for channel in (0, 1))
            assert 4 <= red[30].sum() <= 14 and 4 <= green[30].sum() <= 14

    def test_a_squashed_crop_is_a_part_of_the_area_that_was_asked_for(self):
        across = np.tile(np.linspace(0, 255, 300), (100, 1))
        down = np.tile(np.linspace(0, 255, 100)[:, None], (1, 300))
        image = np.stack([across, down, down], axis=2).astype("uint8")
        augment = AugmentConfig(crop="resized", min_area=0.5, horizontal_flip=False)
        transform = train_transform(augment, preprocess(64, "resize"))
        transform.set_random_seed(0)
        shares = [np.ptp(transform(image=image)["image"].astype(int), axis=(0, 1)) / 255 for _ in range(40)]
        areas = [share[0] * share[1] for share in shares]
        assert 0.42 < min(areas) < 0.6 and max(areas) > 0.75

    def test_packed_images_of_the_inputs_size_are_changed_in_batches(self):
        augment = AugmentConfig(pad=2, vertical_flip=True, cutout=4)
        assert batched_is_enough(augment, (24, 40), (24, 40))
        assert not batched_is_enough(augment, (40, 24), (24, 40))
        changed = augment_batch(torch.zeros(3, 3, 24, 40, dtype=torch.uint8), augment, (0.5, 0.4, 0.3))
        assert changed.shape == (3, 3, 24, 40)
