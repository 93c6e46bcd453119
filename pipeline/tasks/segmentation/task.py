"""One class for each pixel."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import albumentations as A
import numpy as np
import pandas as pd
import torch

from pipeline.base.errors import UserError, name_some
from pipeline.base.parts import Part
from pipeline.base.progress import progress, say
from pipeline.frame.headers import tell_turned
from pipeline.inputs.batches import Targets
from pipeline.inputs.mask_augment import held_out_transform, segmentation_transform
from pipeline.inputs.preprocess import Preprocess
from pipeline.metrics.metric import Needs
from pipeline.prediction.maps import map_path
from pipeline.prediction.stored import load_map
from pipeline.tasks.pixelwise import PixelwiseTask
from pipeline.tasks.segmentation.columns import MaskRows, rows_of_mask
from pipeline.tasks.segmentation.config import Config
from pipeline.tasks.segmentation.counts import pixel_counts
from pipeline.tasks.segmentation.losses import LogitAdjusted, build_loss
from pipeline.tasks.segmentation.palette import IGNORE
from pipeline.tasks.segmentation.pictures import overlay
from pipeline.tasks.segmentation.reading import read_mask
from pipeline.tasks.segmentation.report import report
from pipeline.tasks.segmentation.targets import Masks, check_size, save_predicted
from pipeline.tasks.task import OutputLoss, ReportRequest, Rows


class Segmentation(PixelwiseTask[Config]):
    """Truth: a ``mask`` column with the path of each image's mask file. Predictions: see `PixelwiseTask`; the
    probabilities of a pixel sum to 1."""

    config = Config
    target_columns = ("mask",)
    file_columns = ("mask",)
    teachable: ClassVar[tuple[str, ...]] = ("hard",)

    def __init__(
        self,
        classes: Sequence[str],
        colors: np.ndarray,
        id_column: str = "id",
        rle_column: str = "rle",
        *,
        values: Sequence[int] | None = None,
        ignore: int | None = IGNORE,
        may_lack: Sequence[str] = (),
    ) -> None:
        """`classes`, background first; `colors` uint8 (K, 3) in their order, one for each class or more; and
        the columns of the usual submission.

        Parameters
        ----------
        values : the value of each class in the masks, such as ``(0, 255)``; without it 0, 1, 2, ...
        ignore : the value of pixels that neither train nor count; None where every pixel counts.
        may_lack : classes that need not be in any training mask, as in a part of a known data set.
        """
        self.names, self.colors = list(classes), colors
        self.id_column, self.rle_column = id_column, rle_column
        self.values = list(range(len(self.names))) if values is None else list(values)
        self.ignore, self.may_lack = ignore, list(may_lack)

    def check(self, config: Config) -> None:
        """The encoder, the decoder and the losses must exist, and each value have one meaning."""
        super().check(config)
        build_loss(config.train.loss)
        self._check_values()
        if config.pseudo.run is not None and config.pseudo.threshold and self.ignore is None:
            raise UserError("--pseudo.threshold ignores pixels, and Segmentation is given no value for them")

    def _check_values(self) -> None:
        count = len(self.names)
        if not len(set(self.names)) == count == len(self.values) <= min(len(self.colors), IGNORE):
            raise UserError(
                f"Segmentation has {count} classes, {len(self.values)} values, {len(self.colors)} colours: "
                f"give each of at most {IGNORE} classes a name of its own, a value and a colour"
            )
        meanings = Counter([*self.values, *([] if self.ignore is None else [self.ignore])])
        twice = [value for value, uses in meanings.items() if uses > 1]
        if twice:
            raise UserError(
                f"Segmentation gives the mask value {twice[0]} two meanings: values={tuple(self.values)}, "
                f"ignore={self.ignore}; write ignore=None where no pixel is ignored"
            )
        if unknown := sorted(set(self.may_lack) - set(self.names)):
            raise UserError(f"Segmentation has no class {unknown[0]!r}, which may_lack names: correct it")

    def classes(self, train: pd.DataFrame) -> list[str]:
        """The names given: masks hold numbers alone. Reads masks until all classes are found.

        Raises
        ------
        UserError : a class that no mask holds, but those that may lack, or less than two in all.
        """
        self._check_values()
        wanted = set(range(len(self.names))) - {self.names.index(name) for name in self.may_lack}
        found: set[int] = set()
        # Far apart first: neighbours in a list are often of one kind.
        order = np.random.default_rng(0).permutation(len(train))
        for row in train.iloc[order][["image_id", "mask"]].itertuples():
            found.update(np.unique(self.read(str(row.mask), str(row.image_id))).tolist())
            if wanted <= found and len(found - {IGNORE}) > 1:
                return list(self.names)
        lacking = [index for index in range(len(self.names)) if index not in found]
        lacking = [index for index in lacking if index in wanted] or lacking
        named = [f"{self.names[index]} (value {self.values[index]})" for index in lacking]
        there = sorted(self.values[index] for index in found - {IGNORE})
        values = [*map(str, there), *([f"{self.ignore} (ignored)"] if IGNORE in found else [])]
        raise UserError(
            f"no training mask has the class {name_some(named)}: the values found are "
            f"{name_some(values, limit=12)}; give Segmentation the classes, values=(...) and ignore=... that "
            "the masks have, or name in may_lack=(...) what may be absent"
        )

    def read(self, path: str, image_id: str) -> np.ndarray:
        """One mask, uint8 (H, W): class indices, 255 where ignored. Raises UserError where it is unreadable
        or has unknown values."""
        return read_mask(path, image_id, len(self.names), self.colors, self.values, self.ignore)

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """The rarest class of each image. Reads every mask, so that a broken one is found before training."""
        tell_turned(train, "their masks are")
        found = []
        with progress("read masks", len(train), "masks") as advance:
            columns = (train[name] for name in ("image_id", "mask", "height", "width"))
            for image_id, path, height, width in zip(*columns, strict=True):
                mask = self.read(path, image_id)
                check_size(image_id, path, mask.shape, (height, width))
                found.append([int(value) for value in np.unique(mask) if value not in (0, IGNORE)])
                advance(1)
        counts = Counter(value for values in found for value in values)
        if absent := [name for index, name in enumerate(self.names) if index and not counts[index]]:
            say(f"warning: {len(absent)} class(es) in no mask, which cannot be learnt: {name_some(absent)}")
        rarest = [min(values, key=lambda value: (counts[value], value), default=0) for values in found]
        return pd.Series([self.names[value] for value in rarest], index=train.index)

    def pseudo_labels(
        self,
        test: pd.DataFrame,
        predictions: pd.DataFrame,
        classes: Sequence[str],
        threshold: float,
        folder: Path,
    ) -> pd.DataFrame:
        """See Task. Masks are written; pixels below the threshold are ignored, and images of such pixels
        alone are left out."""
        files = []
        with progress("write predicted masks", len(test), "masks") as advance:
            for image_id, map_file in zip(test["image_id"], predictions["map_file"], strict=True):
                path = folder / f"{map_path(folder, image_id).stem}.png"
                there = save_predicted(path, load_map(map_file), threshold, self.values, self.ignore)
                files.append(str(path) if there else "")
                advance(1)
        added = test.assign(mask=files)
        return added[added["mask"] != ""]

    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: Config) -> Masks:
        """Masks, int64 (B, S, S) in batches."""
        return Masks(frame, self.read)

    def train_transform(self, config: Config, preprocess: Preprocess) -> A.Compose:
        """The same geometry for image and mask."""
        return segmentation_transform(config.augment, preprocess, IGNORE)

    def held_out(
        self, frame: pd.DataFrame, classes: Sequence[str], config: Config, preprocess: Preprocess
    ) -> tuple[Masks, A.Compose]:
        """See `held_out_transform`; what is padded is ignored."""
        return self.targets(frame, classes, config), held_out_transform(preprocess, IGNORE)

    def activate(self, outputs: torch.Tensor) -> torch.Tensor:
        """Softmax."""
        return outputs.softmax(dim=1)

    @property
    def load(self) -> Callable[[str | Path], np.ndarray]:
        """See `load_map`."""
        return load_map

    def draw(self, image: np.ndarray, target: torch.Tensor, classes: Sequence[str]) -> tuple[np.ndarray, str]:
        """The mask's colours over the image; the names of the classes in it."""
        mask = target.numpy().astype("uint8")
        names = [classes[int(value)] for value in np.unique(mask) if 0 < value < len(classes)]
        return overlay(image, mask, self.colors, 0.5), "\n".join(names[:2])

    def objective(self, config: Config, targets: Targets) -> OutputLoss:
        """The sum of losses that ``train.loss`` names, of adjusted logits where that is asked for."""
        train = config.train
        if not train.logit_adjustment:
            return OutputLoss(build_loss(train.loss, train.label_smoothing))
        assert isinstance(targets, Masks)  # as `targets` makes them
        pixels = targets.pixels(len(self.names)).tolist()
        adjust = partial(LogitAdjusted, pixels=pixels, tau=train.logit_adjustment)
        return OutputLoss(build_loss(train.loss, train.label_smoothing, adjust))

    def evidence(
        self, needs: Needs, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> tuple[Rows, ...]:
        """Counts of pixels (N, C, 3). Each map is decoded once."""
        if needs == "frames":
            return truth, predictions
        if needs != "pixels":
            raise self.no_evidence(needs)
        rows = zip(predictions["image_id"], truth["mask"], predictions["map_file"], strict=True)
        counts = [
            pixel_counts(self.read(mask, image_id), load_map(map_file).argmax(axis=0), len(self.names))
            for image_id, mask, map_file in rows
        ]
        return (np.stack(counts) if counts else np.zeros((0, len(self.names), 3), dtype=np.int64),)

    def report(self, request: ReportRequest) -> Iterator[Part]:
        """See `pipeline.tasks.segmentation.report`."""
        return report(request, self.read, self.colors)

    def picture(
        self, image: np.ndarray, prediction: Mapping[str, Any], classes: Sequence[str]
    ) -> tuple[np.ndarray, str]:
        """The most probable class of each pixel over the image, and the share of each class."""
        mask = load_map(prediction["map_file"]).argmax(axis=0)
        shares = np.bincount(mask.ravel(), minlength=len(classes)) / mask.size
        found = [f"{name} {share:.0%}" for name, share in zip(classes, shares, strict=True) if share > 0]
        return overlay(image, mask.astype("uint8"), self.colors, 0.5), ", ".join(found)

    def submission_format(self, classes: Sequence[str]) -> MaskRows:
        """One row for each class found in an image: its id and run lengths."""
        return MaskRows(self.id_column, self.rle_column, len(classes))

    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """The most probable class of each pixel, as run lengths; one image in memory at a time."""
        rows = [
            row
            for image_id, map_file in zip(predictions["image_id"], predictions["map_file"], strict=True)
            for row in rows_of_mask(image_id, load_map(map_file).argmax(axis=0))
        ]
        return pd.DataFrame(rows, columns=[self.id_column, self.rle_column], dtype="str")
