"""What a competition folder provides, and the checks on the frames that pass between stages.

Frames
------
train : ``image_id`` (str, unique), ``path`` (str), the task's target columns, optionally ``group``
test : ``image_id`` (str, unique), ``path`` (str)
truth : ``image_id`` and the task's target columns
predictions : ``image_id`` and the task's prediction columns, one row per image; probabilities, never logits
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.delivery.submission import Format
from pipeline.raw.files import RawFiles
from pipeline.tasks.task import Task

if TYPE_CHECKING:
    from pipeline.competition.prepare import Prepared


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
    write: Callable[[pd.DataFrame, "Prepared", Path], None]


class Competition(Protocol):
    """The only object that knows one competition's data. The constructor only stores; every path is an
    argument."""

    slug: str
    """Name of the folder under ``competitions``; names data, run and submission folders."""
    kaggle_slug: str | None
    """Kaggle's name of the competition, or None where Kaggle does not host it."""
    mirror: Mirror | None
    task: Task
    other_formats: Mapping[str, OtherFormat]
    """Submission formats besides the CSV file, by name."""
    metric: str
    """Name of what `score` returns; ``*_score`` is better when larger, ``*_loss`` and ``*_error`` when
    smaller."""

    def load_train(self, raw: RawFiles) -> pd.DataFrame:
        """Train frame. Raises UserError naming the file and row where the raw files make no sense."""

    def load_test(self, raw: RawFiles) -> pd.DataFrame:
        """Test frame."""

    def load_sample_submission(self, raw: RawFiles) -> pd.DataFrame:
        """The organiser's sample submission, every column read as text."""

    def score(self, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]) -> float:
        """The competition's metric over one row per image; both frames hold the same ids in the same
        order."""

    def extra_scores(
        self, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> dict[str, float]:
        """Further figures for the report, by name; frames as for `score`."""

    def submission_format(self, classes: Sequence[str]) -> Format:
        """Columns of the submission and what each may hold."""

    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """Format test predictions as the organiser wants them."""

    def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
        """Write a small generated dataset in the raw layout under `raw`; return the truth of its test
        images."""


def check_image_frame(frame: pd.DataFrame, columns: Sequence[str], source: str) -> pd.DataFrame:
    """Check a train or test frame and return it sorted by image id, so that nothing depends on listing order.

    Parameters
    ----------
    frame : DataFrame with image_id, path and `columns`.
    source : what to call the frame in a message, such as ``train``.

    Raises
    ------
    UserError : a missing column, no rows, a missing value or an image id that occurs twice.
    """
    missing = [column for column in ("image_id", "path", *columns) if column not in frame]
    if missing:
        raise UserError(f"the {source} frame lacks the column(s) {name_some(missing)}")
    if frame.empty:
        raise UserError(f"the {source} data has no images: check that the raw files are complete")
    frame = frame.astype({"image_id": "str", "path": "str"})
    twice = frame.loc[frame["image_id"].duplicated(), "image_id"].unique()
    if len(twice):
        raise UserError(
            f"{source} has {len(twice)} duplicate image id(s): {name_some(twice)}; keep one row for each"
        )
    for column in columns:
        empty = frame.loc[frame[column].isna(), "image_id"]
        if len(empty):
            raise UserError(f"{source} has no {column} for {len(empty)} image(s): {name_some(empty)}")
    return frame.sort_values("image_id", key=natural_order, kind="stable").reset_index(drop=True)


def natural_order(ids: pd.Series) -> pd.Series:
    """Sort key under which ``10`` follows ``9``: digit runs are zero-padded to a fixed width."""
    return ids.str.replace(r"\d+", lambda match: match.group().zfill(20), regex=True)
