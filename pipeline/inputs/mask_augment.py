"""Random transforms of an image together with something of its size: a mask, or another image."""

import albumentations as A
import cv2

from pipeline.config.scales import ScaledAugment
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


def segmentation_transform(
    augment: ScaledAugment, preprocess: Preprocess, ignore: int, interpolation: int = MASK_INTERPOLATION
) -> A.Compose:
    """Random transform of an image and its mask together: brought to the size at which images are looked at,
    rescaled, padded where too small, cropped, turned.

    Where there is no image the mask gets `ignore`, so that what is not there is not learnt.

    Parameters
    ----------
    interpolation : OpenCV's, of the mask where it is resized.
    """
    steps = [
        *fitted(preprocess, interpolation),
        A.RandomScale(
            (augment.min_scale - 1, augment.max_scale - 1),
            interpolation=cv2.INTER_LINEAR,
            mask_interpolation=interpolation,
            area_for_downscale=DOWNSCALE,
            p=1.0,
        ),
        PadIfNeeded(
            *preprocess.shape,
            border_mode=cv2.BORDER_CONSTANT,
            position="random",
            fill=mean_color(preprocess),
            fill_mask=ignore,
        ),
        A.RandomCrop(*preprocess.shape),
        *affine(augment, fill=mean_color(preprocess), fill_mask=ignore),
        *flips_and_colors(augment, preprocess),
    ]
    return A.Compose(steps)


def held_out_transform(
    preprocess: Preprocess, ignore: int, interpolation: int = MASK_INTERPOLATION
) -> A.Compose:
    """The middle of an image with its mask, at the size at which images are looked at, as large as the
    network's input; where there is no image the mask gets `ignore`."""
    fill = mean_color(preprocess)
    pad = PadIfNeeded(*preprocess.shape, position="top_left", fill=fill, fill_mask=ignore)
    return A.Compose([*fitted(preprocess, interpolation), pad, A.CenterCrop(*preprocess.shape)])


def fitted(preprocess: Preprocess, interpolation: int = MASK_INTERPOLATION) -> list[A.BasicTransform]:
    """Steps that bring an image and its mask to the size at which images are looked at; none to their own.
    `interpolation` is the mask's."""
    if preprocess.fit == "resize":
        return [squash(preprocess, mask_interpolation=interpolation)]
    if preprocess.fit == "letterbox":
        return letterbox(preprocess, mask_interpolation=interpolation)[:1]
    return []
