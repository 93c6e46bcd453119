"""Image and mask are changed together, and what is padded is not learnt."""

import numpy as np
import pytest

from pipeline.inputs.mask_augment import segmentation_transform
from pipeline.inputs.preprocess import Preprocess
from pipeline.tasks.segmentation.config import AugmentConfig

PREPROCESS = Preprocess(288, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def white_rectangle() -> tuple[np.ndarray, np.ndarray]:
    """An image with a white rectangle on black, and its mask."""
    image = np.zeros((120, 160, 3), dtype="uint8")
    image[30:90, 40:110] = 255
    return image, image[..., 0] // 255


@pytest.mark.parametrize("scale", [0.3, 0.8, 1.3])
def test_a_mask_stays_on_its_image_when_both_are_scaled(scale):
    image, mask = white_rectangle()
    augment = AugmentConfig(min_scale=scale, max_scale=scale, horizontal_flip=False)
    both = segmentation_transform(augment, PREPROCESS, ignore=0)(image=image, mask=mask)
    white = np.argwhere(both["image"].min(axis=2) > 127).mean(axis=0)
    assert np.abs(white - np.argwhere(both["mask"]).mean(axis=0)).max() <= 0.5


@pytest.mark.parametrize("options", [{"rotate": 40.0}, {"shear": 20.0}, {"rotate": 180.0, "shear": 10.0}])
def test_a_mask_stays_on_its_image_when_both_are_turned_or_slanted_and_corners_are_ignored(options):
    image, mask = white_rectangle()
    augment = AugmentConfig(min_scale=1.5, max_scale=1.5, horizontal_flip=False, **options)
    transform = segmentation_transform(augment, PREPROCESS, ignore=255)
    for seed in range(5):
        transform.set_random_seed(seed)
        both = transform(image=image, mask=mask)
        assert set(np.unique(both["mask"])) <= {0, 1, 255}
        known = both["mask"] != 255
        white = both["image"].min(axis=2) > 127
        assert np.mean(white[known] == (both["mask"][known] == 1)) > 0.99
        beyond = both["image"][~known].astype(int)
        assert np.mean(np.abs(beyond - (128, 102, 76)).max(axis=1) < 3) > 0.9


def test_padding_has_the_mean_colour_and_is_ignored():
    image, mask = white_rectangle()
    augment = AugmentConfig(min_scale=1.0, max_scale=1.0)
    both = segmentation_transform(augment, PREPROCESS, ignore=255)(image=image, mask=mask)
    padded = both["mask"] == 255
    assert padded.sum() == 288 * 288 - image.shape[0] * image.shape[1]
    assert (both["image"][padded] == (128, 102, 76)).all()
