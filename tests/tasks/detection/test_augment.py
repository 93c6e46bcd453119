"""Image, boxes and masks are changed together."""

import cv2
import numpy as np
import pytest

from pipeline.inputs.preprocess import Preprocess
from pipeline.tasks.detection.augment import detection_transform
from pipeline.tasks.detection.config import AugmentConfig

PREPROCESS = Preprocess(288, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3))


def test_a_mask_and_a_box_stay_on_their_object_when_all_are_turned_and_slanted():
    image = np.zeros((288, 288, 3), dtype="uint8")
    cv2.circle(image, (180, 130), 40, (255, 255, 255), -1)
    augment = AugmentConfig(min_scale=1, max_scale=1, horizontal_flip=False, rotate=40, shear=8)
    transform = detection_transform(augment, PREPROCESS)
    centres = set()
    for seed in range(12):
        transform.set_random_seed(seed)
        box = np.array([[140, 90, 221, 171]], dtype="float32")
        found = transform(image=image, masks=image[None, ..., 0] // 255, bboxes=box, index=np.array([0]))
        white, masked = np.argwhere(found["image"][..., 0] > 160), np.argwhere(found["masks"][0])
        assert np.abs(white.mean(axis=0) - masked.mean(axis=0)).max() <= 1
        left, top, right, bottom = found["bboxes"][0]
        corners = [*white.min(axis=0), *(white.max(axis=0) + 1)]
        np.testing.assert_allclose([top, left, bottom, right], corners, atol=12)
        centres.add(tuple(white.mean(axis=0).round()))
    assert len(centres) > 6


@pytest.mark.parametrize("scale", [0.3, 0.8, 1.3])
def test_a_mask_and_a_box_stay_on_their_object_when_all_are_scaled(scale):
    image = np.zeros((120, 160, 3), dtype="uint8")
    image[30:90, 40:110] = 255
    augment = AugmentConfig(min_scale=scale, max_scale=scale, horizontal_flip=False)
    transform = detection_transform(augment, PREPROCESS)
    transform.set_random_seed(0)
    boxes = np.array([[40, 30, 110, 90]], dtype="float32")
    found = transform(image=image, masks=image[None, ..., 0] // 255, bboxes=boxes, index=np.array([0]))
    white = np.argwhere(found["image"].min(axis=2) > 127)
    masked = np.argwhere(found["masks"][0])
    assert np.abs(white.mean(axis=0) - masked.mean(axis=0)).max() <= 0.5
    left, top, right, bottom = found["bboxes"][0]
    corners = [*white.min(axis=0), *(white.max(axis=0) + 1)]
    np.testing.assert_allclose([top, left, bottom, right], corners, atol=1.5)
