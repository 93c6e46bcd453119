"""What a fold learns from: its training images, and what earlier runs predict for them and test images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.competition.prepared import Prepared
from pipeline.config.config import Config
from pipeline.config.reach import Reach
from pipeline.frame.folds import EXTRA
from pipeline.frame.schema import rows_by_id
from pipeline.inputs.batches import Images, JoinedImages, Targets
from pipeline.runs.run import read_frame
from pipeline.tasks.task import Task
from pipeline.training.sampling import WEIGHT


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """Images with their truth.

    Attributes
    ----------
    images : that hold these images, among others.
    rows : (N,) row numbers of `images`.
    frame : N rows with the target columns.
    targets : of these rows.
    notes : what is learned besides the training images' own truth, for people.
    """

    images: Images
    rows: np.ndarray
    frame: pd.DataFrame
    targets: Targets
    notes: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        *,
        data: Prepared,
        reach: Reach | None,
        rows: np.ndarray,
        valid_rows: np.ndarray,
        task: Task[Any],
        config: Config,
        pseudo: Sequence[Path],
        distill: Path | None,
        folder: Path,
    ) -> "Lessons":
        """What a fold learns from.

        Parameters
        ----------
        reach : how much of the images' resolution is used.
        rows, valid_rows : of the training split, to learn from and to measure on.
        pseudo, distill : as in `pipeline.training.job.FoldJob`.
        folder : for files that pseudo-labels name.

        Raises
        ------
        UserError : predictions of other classes or without some of the images; no test image that is
            predicted surely enough.
        """
        images, frame = data.images("train", reach), data.train.iloc[rows]
        learned, notes, soft = np.asarray(rows), [], np.zeros(len(rows))
        taught: list[pd.DataFrame] = []
        if distill is not None:
            predictions = read_frame(distill)
            soft = _known(predictions, frame) * config.distill.weight
            taught.append(_of(predictions, frame))
            notes.append(
                f"{config.distill.weight:g} of the targets of {np.sum(soft > 0):,} images is predicted"
            )
        if pseudo:
            predictions = _mean(pseudo, data.test, task, config, folder)
            added = _added(data, valid_rows, task, config, predictions, folder)
            notes.append(
                f"{len(added):,} of {len(data.test):,} test images added with their {config.pseudo.kind} "
                f"pseudo-labels"
            )
            places = pd.Index(data.test["image_id"]).get_indexer(pd.Index(added["image_id"]))
            learned = np.concatenate([learned, len(images) + places])
            images = JoinedImages.of(images, data.images("test", reach))
            taught = [*(taught or [_of(predictions, frame)]), _of(predictions, added)]
            soft = np.append(soft, np.full(len(added), config.pseudo.kind == "soft"))
            frame = _joined(frame, added)
        targets = task.targets(frame, data.classes, config)
        if soft.any():
            predictions = pd.concat(taught, ignore_index=True)
            targets = task.softened(targets, predictions, data.classes, soft)
        return cls(images=images, rows=learned, frame=frame, targets=targets, notes=notes)


def _of(predictions: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """The predictions of a frame's rows, in its order; 0 where there are none."""
    return predictions.set_index("image_id").reindex(frame["image_id"]).fillna(0).reset_index()


def _known(predictions: pd.DataFrame, frame: pd.DataFrame) -> np.ndarray:
    """bool (N,): which rows have predictions. Raises UserError where others than images from
    outside lack them."""
    known = frame["image_id"].isin(predictions["image_id"])
    wanted = ~frame[EXTRA].to_numpy(dtype=bool) if EXTRA in frame else np.ones(len(frame), dtype=bool)
    missing = frame.loc[~known & wanted, "image_id"]
    if len(missing):
        raise UserError(
            f"the run that --distill names has no out-of-fold predictions of {len(missing):,} image(s) to "
            f"learn from ({name_some(missing)}): take one that trained all its folds"
        )
    return known.to_numpy()


def _mean(
    files: Sequence[Path], test: pd.DataFrame, task: Task[Any], config: Config, folder: Path
) -> pd.DataFrame:
    """The mean of several predictions of the test images, in their order."""
    frames = [rows_by_id(read_frame(path), test["image_id"]) for path in files]
    return task.average(frames, folder / "mean", config)


def _added(
    data: Prepared,
    valid_rows: np.ndarray,
    task: Task[Any],
    config: Config,
    predictions: pd.DataFrame,
    folder: Path,
) -> pd.DataFrame:
    """The test images that join, with target columns. Raises UserError where none does."""
    # A copy of an image that is measured on must not be trained on.
    measured = data.train["content_hash"].iloc[valid_rows]
    allowed = ~data.test["content_hash"].isin(measured).to_numpy()
    test, rows = data.test[allowed], predictions[allowed]
    added = task.pseudo_labels(test, rows, data.classes, config.pseudo.threshold, folder)
    if added.empty:
        raise UserError(
            f"no test image is predicted as surely as --pseudo.threshold {config.pseudo.threshold:g} asks: "
            "lower it"
        )
    return added


def _joined(frame: pd.DataFrame, added: pd.DataFrame) -> pd.DataFrame:
    """Both, one after the other; what is added is drawn as often as an image of weight 1."""
    both = pd.concat([frame, added], ignore_index=True)
    if WEIGHT in frame:
        both[WEIGHT] = [*frame[WEIGHT], *np.ones(len(added))]
    return both
