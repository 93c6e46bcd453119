"""Photographs to time with, in class folders, and a competition whose data they are."""

from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pipeline.competition import base
from pipeline.competition.prepare import prepare
from pipeline.competition.sources import Source
from pipeline.frame.class_folders import labelled_by_folder, unlabelled
from pipeline.metrics.usual import ACCURACY
from pipeline.raw.files import RawFiles
from pipeline.tasks.classification.config import Config
from pipeline.tasks.classification.task import Classification
from pipeline.training.job import FoldJob

CLASSES = ("round", "square")
HELD_OUT = 5
"""Every fifth image is validated on."""


class Competition(base.Competition):
    """Two classes, a folder of JPEG files for each, of one size."""

    task = Classification()
    metric = ACCURACY

    def __init__(self, count: int = 100, width: int = 64, height: int = 64) -> None:
        self.count, self.width, self.height = count, width, height

    def load_train(self, raw: RawFiles) -> pd.DataFrame:
        """image_id, path, label."""
        return labelled_by_folder(raw, "train", CLASSES)

    def load_test(self, raw: RawFiles) -> pd.DataFrame:
        """image_id, path."""
        return unlabelled(raw, "test")

    def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
        """train/<class>/ and, with as many images as there are classes, test/."""
        random, truth = np.random.default_rng(seed), []
        for number in range(self.count + len(CLASSES)):
            label = CLASSES[number % len(CLASSES)]
            home = raw / "train" / label if number < self.count else raw / "test"
            home.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(home / f"{number:05}.jpg"), draw(self.width, self.height, label, random))
            if number >= self.count:
                truth.append({"image_id": f"{number:05}", "label": label})
        return pd.DataFrame(truth)


def draw(width: int, height: int, label: str, random: np.random.Generator) -> np.ndarray:
    """uint8 (height, width, 3): a coloured shape with the noise and the smooth light of a photograph, so that
    a JPEG file is about as large as one of a camera."""
    light = cv2.resize(random.uniform(60, 200, (4, 6, 3)).astype("float32"), (width, height))
    side, color = int(min(width, height) * random.uniform(0.3, 0.6)), random.uniform(0, 255, 3).tolist()
    x, y = (int(random.uniform(0, length - side)) for length in (width, height))
    if label == "round":
        cv2.circle(light, (x + side // 2, y + side // 2), side // 2, color, -1)
    else:
        cv2.rectangle(light, (x, y), (x + side, y + side), color, -1)
    grain = random.normal(0, 12, (height // 2, width // 2, 3)).astype("float32")
    return np.clip(light + cv2.resize(grain, (width, height)), 0, 255).astype("uint8")


class Work:
    """A fold's job on photographs.

    Attributes
    ----------
    raw : the photographs, ``train/<class>/`` and ``test/``.
    """

    def __init__(self, folder: Path, count: int, width: int, height: int) -> None:
        self.folder, self.raw = folder, folder / f"{width}x{height}x{count}"
        self.competition = Competition(count, width, height)
        if not self.raw.exists():
            self.competition.make_sample(self.raw, seed=0)

    @cached_property
    def data(self) -> Path:
        """The folder of prepared data."""
        home = self.folder / f"{self.raw.name}-data"
        home.mkdir(exist_ok=True)
        return prepare(self.competition, Source("folder", self.raw, None), home).folder

    def job(self, config: Config, name: str) -> FoldJob:
        """Training of the one fold; `name` is that of its folder."""
        folds = self.folder / f"{self.raw.name}-folds.parquet"
        frame = pd.read_parquet(self.data / "train.parquet")[["image_id"]]
        numbers = np.where(np.arange(len(frame)) % HELD_OUT, -1, 0)
        frame.assign(fold=numbers).to_parquet(folds)
        return FoldJob(
            competition=self.competition,
            config=config,
            data=self.data,
            folds=folds,
            fold=0,
            folder=self.folder / name,
            device="cpu",
        )
