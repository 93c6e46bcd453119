"""Random transforms of an image and its boxes."""

import albumentations as A

from pipeline.inputs.augment import affine, flips_and_colors
from pipeline.inputs.preprocess import (
    DOWNSCALE,
    MASK_INTERPOLATION,
    PadIfNeeded,
    Preprocess,
    letterbox,
    mean_color,
    squash,
)
from pipeline.tasks.detection.config import AugmentConfig
from pipeline.tasks.detection.targets import LEAST_SIDE


def detection_transform(augment: AugmentConfig, preprocess: Preprocess) -> A.Compose:
    """Random transform of an image and its boxes (xyxy pixels, with an ``index`` each): crops that keep
    boxes, scale jitter, padding, rotation, flips. Boxes of which less than a quarter stays are dropped.

    Call with ``image``, ``bboxes`` and ``index``.
    """
    steps = [
        A.BBoxSafeRandomCrop(erosion_rate=0.2, p=0.3),
        squash(preprocess) if preprocess.fit == "resize" else letterbox(preprocess)[0],
        A.RandomScale(
            (augment.min_scale - 1, augment.max_scale - 1),
            mask_interpolation=MASK_INTERPOLATION,
            area_for_downscale=DOWNSCALE,
            p=1.0,
        ),
        PadIfNeeded(*preprocess.shape, position="random", fill=mean_color(preprocess)),
        A.RandomCrop(*preprocess.shape),
        *affine(augment, fill=mean_color(preprocess)),
        *flips_and_colors(augment, preprocess),
    ]
    return A.Compose(steps, bbox_params=_boxes())


def held_out_transform(preprocess: Preprocess) -> A.Compose:
    """A whole image with its boxes in the network's input; called as `detection_transform` is."""
    steps = [squash(preprocess)] if preprocess.fit == "resize" else letterbox(preprocess)
    return A.Compose([*steps], bbox_params=_boxes())


def _boxes() -> A.BboxParams:
    return A.BboxParams(
        "pascal_voc", ["index"], min_visibility=0.25, min_width=LEAST_SIDE, min_height=LEAST_SIDE, clip=True
    )
