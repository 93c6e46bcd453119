"""The archive that the VOC evaluation server takes: one palette PNG for each test image."""

import io
import re
import tarfile
from pathlib import Path

import pandas as pd

from pipeline.base.files import atomic_path
from pipeline.competition.prepare import Prepared
from pipeline.prediction.stored import load_map
from pipeline.tasks.segmentation.palette import mask_png

FOLDER = "Segmentation/comp6_test_cls"
"""Where the server looks, under results/<year>; comp6 is for models that have seen other data, such as
pretrained weights."""


def write_tar(predictions: pd.DataFrame, data: Prepared, path: Path) -> None:
    """Write the most probable class of every pixel, one image in memory at a time.

    The same predictions give the same bytes.
    """
    folder = f"results/{_year(data)}/{FOLDER}"
    with atomic_path(path) as temporary, tarfile.open(temporary, "w") as archive:
        for image_id, map_file in zip(predictions["image_id"], predictions["map_file"], strict=True):
            content = mask_png(load_map(map_file).argmax(axis=0).astype("uint8"))
            entry = tarfile.TarInfo(f"{folder}/{image_id}.png")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def _year(data: Prepared) -> str:
    """The year's challenge, such as VOC2007, that the test images' folder is named for; else VOC2012."""
    found = re.match(r"VOC20\d\d", Path(data.test["path"].iloc[0]).parents[1].name)
    return found.group() if found else "VOC2012"
