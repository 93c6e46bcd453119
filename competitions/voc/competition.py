"""PASCAL VOC's segmentation challenge: a VOCdevkit tree, scored by mean intersection over union."""

from pathlib import Path

import pandas as pd

from competitions.voc.official import write_tar
from competitions.voc.sample import write_sample
from pipeline.base.errors import UserError, name_some
from pipeline.base.progress import say
from pipeline.competition import base
from pipeline.competition.base import Mirror, OtherFormat
from pipeline.frame.pairing import pair_labels
from pipeline.metrics.usual import MEAN_IOU, PIXEL_ACCURACY
from pipeline.raw.files import RawFiles
from pipeline.tasks.segmentation.palette import VOC_CLASSES, VOC_COLORS
from pipeline.tasks.segmentation.task import Segmentation

LISTS = "ImageSets/Segmentation"
FOLDERS = ("VOCdevkit/VOC2012/", "VOC2012/", "VOCdevkit/VOC2007/", "VOC2007/", "")
"""Where a year's files may lie in the raw files, the first one first."""


class Competition(base.Competition):
    """The competition, with the usual submission of its task, and the evaluation server's."""

    mirror = Mirror(
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
        "4e443f8a2eca6b1dac8a6c57641b67dd40621a49",
    )
    task = Segmentation(VOC_CLASSES, VOC_COLORS, may_lack=VOC_CLASSES)
    metric = MEAN_IOU
    extra_metrics = (PIXEL_ACCURACY,)
    other_formats = {"voc": OtherFormat(".tar", write_tar)}  # noqa: RUF012  read by name alone

    def load_train(self, raw: RawFiles) -> pd.DataFrame:
        """image_id, path, mask: the path of the mask's PNG."""
        year = _year(raw)
        ids = _train_ids(year)
        masks = year.images("SegmentationClass", (".png",)).rename(columns={"path": "mask"})
        masks = masks[masks["image_id"].isin(ids)]
        without = sorted(set(ids) - set(masks["image_id"]))
        if masks.empty:
            raise UserError(
                f"no image that {year.roots[0] / LISTS} lists for training, such as {ids[0]}, has a mask in "
                "SegmentationClass: check that both are of one data set"
            )
        if without:
            say(f"warning: {len(without):,} listed images without a mask, left out: {name_some(without)}")
        images = year.images("JPEGImages")
        return pair_labels(
            masks, images[images["image_id"].isin(masks["image_id"])], "SegmentationClass", "JPEGImages"
        )

    def load_test(self, raw: RawFiles) -> pd.DataFrame:
        """image_id, path."""
        year = _year(raw)
        if _has(year, "test"):
            name, ids = "test.txt", _ids(year, "test")
        else:
            name, ids = "val.txt", _ids(year, "val")
            say(
                f"{_path(year, 'test')} is not there, as in the public archive: val.txt lists the test "
                "images, and training leaves them out"
            )
        images = year.images("JPEGImages")
        without = sorted(set(ids) - set(images["image_id"]))
        if without:
            say(f"warning: {len(without):,} images of {name} without a file, left out: {name_some(without)}")
        return images[images["image_id"].isin(ids)].reset_index(drop=True)

    def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
        """See `competitions.voc.sample`."""
        return write_sample(raw, seed)


def _year(raw: RawFiles) -> RawFiles:
    """The files of one year's challenge."""
    return RawFiles((raw.find(*(f"{folder}{LISTS}" for folder in FOLDERS)).parents[1],))


def _path(year: RawFiles, name: str) -> Path:
    return year.roots[0] / LISTS / f"{name}.txt"


def _has(year: RawFiles, name: str) -> bool:
    return _path(year, name).is_file()


def _ids(year: RawFiles, name: str) -> list[str]:
    """The image ids that a list names, in its order. Raises UserError where it is missing or empty."""
    path = _path(year, name)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise UserError(f"{path} is missing: check that the raw files are complete") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file: get it again") from error
    ids = [line.strip() for line in lines if line.strip()]
    if not ids:
        raise UserError(f"{path} lists no images: get it again")
    twice = pd.Series(ids)[pd.Series(ids).duplicated()].unique()
    if len(twice):
        raise UserError(f"{path} lists {len(twice)} id(s) more than once: {name_some(twice)}; keep one line")
    return ids


def _train_ids(year: RawFiles) -> list[str]:
    """All that is not for testing: trainval.txt, or train.txt with val.txt, where there is a test.txt."""
    if not _has(year, "test"):
        return _ids(year, "train")
    if _has(year, "trainval"):
        return _ids(year, "trainval")
    return _ids(year, "train") + (_ids(year, "val") if _has(year, "val") else [])
