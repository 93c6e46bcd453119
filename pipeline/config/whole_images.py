"""Groups of options of tasks that say something about an image as a whole."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pipeline.base.errors import UserError
from pipeline.config.groups import AugmentConfig, ImageSize, PredictConfig, sides
from pipeline.config.limits import NATURAL, SHARE, Limit
from pipeline.config.reach import Reach


@dataclass(frozen=True, kw_only=True)
class ImageAugment(AugmentConfig):
    """Random changes to training images. Nothing here touches validation or test images."""

    crop: Literal["pad", "resized", "none"] = "pad"
    """pad: reflect-pad by `pad` and crop back; resized: random area and aspect, then resize."""
    pad: Annotated[int, NATURAL] = 4
    """Pixels of padding on each side for crop=pad."""
    min_area: Annotated[float, Limit(0.01, 1)] = 0.35
    """Smallest share of the image kept by crop=resized."""
    shift: Annotated[float, Limit(0, 0.9)] = 0.0
    """Share of each side by which an image is moved at most, either way."""
    zoom: Annotated[float, Limit(0, 0.9)] = 0.0
    """Share by which an image is made larger or smaller at most."""
    policy: Literal["none", "randaugment", "trivialaugment"] = "none"
    """Random changes of many kinds. randaugment: two of strength `magnitude` (arXiv 1909.13719);
    trivialaugment: one of any strength (arXiv 2103.10158)."""
    magnitude: Annotated[int, Limit(0, 30)] = 9
    """Strength of randaugment's changes; 30 is the strongest."""
    erase: Annotated[float, SHARE] = 0.0
    """Share of the images of which a box of random size becomes noise (random erasing, arXiv 1708.04896)."""
    cutout: Annotated[int, NATURAL] = 0
    """Side in pixels of one square set to the mean colour; 0 is off."""
    mixup: Annotated[float, Limit(0, 1000)] = 0.0
    """Beta parameter of mixup (arXiv 1710.09412); 0 is off."""
    cutmix: Annotated[float, Limit(0, 1000)] = 0.0
    """Beta parameter of CutMix (arXiv 1905.04899); 0 is off. With mixup on too, each batch draws one of
    them."""

    def unused(self) -> dict[str, str]:
        """See Group."""
        needs = {"pad": "pad", "min_area": "resized"}
        reason = f"augment.crop={self.crop} does not use it"
        found = {name: reason for name, crop in needs.items() if crop != self.crop}
        if self.policy != "randaugment":
            found["magnitude"] = f"augment.policy={self.policy} does not use it"
        return found


@dataclass(frozen=True, kw_only=True)
class ViewPredict(PredictConfig):
    """Test-time augmentation: predictions are averaged over every combination of views."""

    shift: Annotated[int, NATURAL] = 0
    """Also the image moved by this many pixels along both diagonals; 0 is off."""
    crops: Literal[1, 5] = 1
    """1: the whole image; 5: also the four corner crops of 7/8 of each side, scaled back up."""

    def plain(self) -> Self:
        """See PredictConfig."""
        return type(self)(batch_size=self.batch_size, amp=self.amp, flip=False)


SEEN = 0.8
"""Least share of an image's shorter side that the middle of it has with which networks are published: 0.875
is usual, 1 is the most."""


def whole_reach(augment: ImageAugment, fit: str, image_size: ImageSize) -> Reach:
    """The reach of images that are looked at as a whole, or by random crops: the smallest crop still has a
    pixel for each of the input's, but where it is drawn longer than the input."""
    margin = augment.min_area**-0.5 if augment.crop == "resized" else 1.0
    if fit == "center_crop":
        margin = max(margin, 1 / SEEN)
    return Reach.of(image_size, margin, covers=fit != "letterbox")


def check_fit(augment: ImageAugment, predict: ViewPredict, image_size: ImageSize) -> None:
    """Raise UserError where padding, shift or hole do not fit an image of this size."""
    size = min(sides(image_size))
    pad = augment.pad if augment.crop == "pad" else 0
    # A mirror has no more to show than the image but one row.
    limits = {
        "augment.pad": (pad, size - 1),
        "predict.shift": (predict.shift, size - 1),
        "augment.cutout": (augment.cutout, size),
    }
    for name, (value, most) in limits.items():
        if value > most:
            raise UserError(
                f"--{name.replace('_', '-')} is {value}, and an image of {size} pixels (--model.image-size) "
                f"allows {most}"
            )
