"""What a competition folder provides: a subclass of `Competition`, the only object that knows its data.

Two methods are needed, `load_train` and `load_test`; the task and the metric are chosen, and everything else
has a default that a folder replaces where the competition differs.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import albumentations as A
import numpy as np
import pandas as pd

from pipeline.base.errors import UserError
from pipeline.competition.prepared import Prepared
from pipeline.config.config import Config
from pipeline.config.groups import FoldConfig
from pipeline.config.reach import Reach
from pipeline.frame.schema import natural_order
from pipeline.frame.submission import Format
from pipeline.inputs.batches import Targets
from pipeline.inputs.preprocess import Preprocess
from pipeline.inputs.table import Table
from pipeline.metrics.metric import Metric
from pipeline.prediction.decide import Decision
from pipeline.raw.files import RawFiles
from pipeline.raw.levels import Levels
from pipeline.readers.photographs import Photographs
from pipeline.readers.reader import Reader
from pipeline.tasks.task import Objective, Task

SAMPLE_FILES = ("sample_submission.csv", "sampleSubmission.csv", "SampleSubmission.csv")
"""What organisers call their sample submission."""


@dataclass(frozen=True)
class Mirror:
    """A public archive with the competition's raw layout (or a small version of it) and its SHA-1."""

    url: str
    sha1: str


@dataclass(frozen=True)
class OtherFormat:
    """A further way to hand predictions in.

    Attributes
    ----------
    suffix : of the file, such as ``.tar``.
    write : function of test predictions, the prepared data and the path, which it writes atomically.
    """

    suffix: str
    write: Callable[[pd.DataFrame, Prepared, Path], None]


class Competition(ABC):
    """One competition. It has no state: every path is an argument, and an instance can be pickled."""

    task: Task[Any]
    metric: Metric
    """What the competition grades by."""
    extra_metrics: Sequence[Metric] = ()
    """Further figures for the report and the ledger's sidecar."""
    decision: Decision | None = None
    """What turns predictions into decisions, such as thresholds, fitted on out-of-fold predictions."""
    reader: Reader = Photographs()
    """How the image of a row is read; see `pipeline.readers`."""
    levels: tuple[float, float] | tuple[Sequence[float], Sequence[float]] | None = None
    """Stored values of black and white, of all channels or of each, in images of more than 8 bits; what is
    outside is cut off. None: the reader knows them, or they are measured on training images."""
    may_mirror: bool = True
    """Whether an image mirrored from left to right still shows its truth. False (text, left and right):
    neither training nor prediction mirrors, whatever the config's default, and who asks for it is refused."""
    table: Table | None = None
    """Columns of the train and test frames that the network sees beside the image: numbers and categories."""
    kaggle_slug: str | None = None
    """Kaggle's name of the competition, or None where Kaggle does not host it."""
    mirror: Mirror | None = None
    other_formats: ClassVar[Mapping[str, OtherFormat]] = {}
    """Submission formats besides the CSV file, by name."""

    @property
    def slug(self) -> str:
        """Name of the folder under ``competitions``; names data, run and submission folders."""
        parts = type(self).__module__.split(".")
        return parts[-2] if len(parts) > 1 else parts[0]

    def named_levels(self) -> Levels | None:
        """`levels`, checked. Raises UserError where white is not above black."""
        if self.levels is None:
            return None
        ends = [np.atleast_1d(np.asarray(end, dtype="float64")) for end in self.levels]
        if len(ends) != 2 or ends[0].shape != ends[1].shape or not (ends[0] < ends[1]).all():
            raise UserError(
                f"the competition's levels are {self.levels}: give (black, white), two numbers or two lists "
                "of as many numbers as there are channels, with white above black"
            )
        low, high = (
            tuple(end.tolist()) if np.ndim(given) else given
            for end, given in zip(ends, self.levels, strict=True)
        )
        return Levels(low, high, cut=True)

    @abstractmethod
    def load_train(self, raw: RawFiles) -> pd.DataFrame:
        """Train frame, see `pipeline.frame.schema`. Raises UserError naming the file and row where the raw
        files make no sense."""

    @abstractmethod
    def load_test(self, raw: RawFiles) -> pd.DataFrame:
        """Test frame; further columns, such as a width, go to `to_submission` as they are."""

    def load_sample_submission(self, raw: RawFiles) -> pd.DataFrame:
        """The organiser's sample submission, every column read as text. By default sample_submission.csv, or
        made from the test images where there is none."""
        name = raw.first_of(*SAMPLE_FILES)
        if name:
            return raw.read_csv(name, [])
        ids = self.load_test(raw)["image_id"].astype("str").sort_values(key=natural_order)
        return self.submission_format(self.task.classes(self.load_train(raw))).sample_of(ids.tolist())

    def split(self, train: pd.DataFrame, folds: FoldConfig) -> pd.Series | None:
        """The fold of each row of the train frame, in its order, instead of the split that `folds` names: 0,
        1, ..., or -1, always trained on. None keeps that. Identical images must share a fold. A CSV of folds
        (`folds.csv`) goes before it."""
        return None

    def augment(self, config: Any, preprocess: Preprocess) -> A.Compose | None:
        """Random transform of a training image with its truth, as `Task.train_transform` makes it, instead
        of the task's own; None keeps that. It ends at the network's input size, ``preprocess.shape``: height
        and width (of a square, ``preprocess.size`` is its side)."""
        return None

    def reach(self, config: Config) -> Reach | None:
        """How much of an image's resolution is used, see `pipeline.config.reach`; None: all of it, as where
        the competition has its own `augment`, which may look at any pixel."""
        return config.reach() if type(self).augment is Competition.augment else None

    def objective(self, config: Any, targets: Targets) -> Objective | None:
        """What training minimises instead of the task's own loss; None keeps that. `targets` are the truth
        of all that is learned from. Labels are class indices (B,), or shares (B, C) where images are mixed or
        predictions are learned from."""
        return None

    def extra_scores(
        self, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> dict[str, float]:
        """Figures that are no metric of their own, by name; the frames hold the same ids in one order."""
        return {}

    def submission_format(self, classes: Sequence[str]) -> Format:
        """Columns of the submission and what each may hold; by default the task's usual ones."""
        return self.task.submission_format(classes)

    def to_submission(
        self, predictions: pd.DataFrame, test: pd.DataFrame, classes: Sequence[str]
    ) -> pd.DataFrame:
        """Format test predictions as the organiser wants them; by default the task's usual way.

        Parameters
        ----------
        test : the rows of the test manifest that belong to `predictions`, in its order.
        """
        return self.task.to_submission(predictions, classes)

    @abstractmethod
    def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
        """Write a small generated dataset in the raw layout under `raw`; return the truth of its test
        images."""
