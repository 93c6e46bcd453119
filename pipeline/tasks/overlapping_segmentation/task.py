"""A mask for each class, each by itself: masks may overlap, and an image may have none."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import albumentations as A
import numpy as np
import pandas as pd
import torch

from pipeline.base.errors import UserError, name_some
from pipeline.base.parallel import map_ahead
from pipeline.base.parts import Part
from pipeline.base.progress import progress, say
from pipeline.frame.headers import tell_turned
from pipeline.frame.mask_rows import MaskRows
from pipeline.inputs.batches import Targets
from pipeline.inputs.mask_augment import held_out_transform, segmentation_transform
from pipeline.inputs.preprocess import Preprocess
from pipeline.metrics.metric import Needs
from pipeline.prediction.stored import load_levels
from pipeline.tasks.mask_truth import IGNORE, MaskTruth, RunLengthMasks
from pipeline.tasks.overlapping_segmentation.config import Config
from pipeline.tasks.overlapping_segmentation.counts import counts_by_threshold, mask_counts
from pipeline.tasks.overlapping_segmentation.losses import build_loss
from pipeline.tasks.overlapping_segmentation.pictures import overlay
from pipeline.tasks.overlapping_segmentation.report import report
from pipeline.tasks.overlapping_segmentation.rule import MaskRule, rules_of
from pipeline.tasks.overlapping_segmentation.targets import Masks, truth_rows
from pipeline.tasks.pixelwise import PixelwiseTask
from pipeline.tasks.task import OutputLoss, ReportRequest, Rows


class OverlappingSegmentation(PixelwiseTask[Config]):
    """Truth: the columns of a `MaskTruth`. Predictions: see `PixelwiseTask`; a probability for each class and
    pixel, which do not sum to 1."""

    config = Config

    def __init__(
        self,
        classes: Sequence[str],
        truth: MaskTruth | None = None,
        rows: MaskRows | None = None,
        *,
        may_lack: Sequence[str] = (),
    ) -> None:
        """Parameters
        ----------
        classes : their names, without a background.
        truth : where the masks come from; by default run lengths, see `pipeline.tasks.mask_truth`.
        rows : the submission's; by default ``<image>_<class>`` and run lengths.
        may_lack : classes that need not be in any training mask, as in a part of a known data set.
        """
        self.names, self.may_lack = list(classes), list(may_lack)
        self.truth, self.rows = truth or RunLengthMasks(), rows or MaskRows()
        self.target_columns, self.file_columns = self.truth.columns, self.truth.files

    def check(self, config: Config) -> None:
        """The encoder, the decoder and the losses must exist, and the rows tell the classes apart."""
        super().check(config)
        build_loss(config.train.loss)
        self._check_names()

    def _check_names(self) -> None:
        if not self.names or len(set(self.names)) != len(self.names):
            raise UserError(f"OverlappingSegmentation has the classes {self.names}: name each, once")
        if unknown := sorted(set(self.may_lack) - set(self.names)):
            raise UserError(
                f"OverlappingSegmentation has no class {unknown[0]!r}, which may_lack names: correct it"
            )
        self.rows.of(self.names)

    def classes(self, train: pd.DataFrame) -> list[str]:
        """The names given. Looks at masks until all classes are found.

        Raises
        ------
        UserError : a class that no mask has, but those that may lack.
        """
        self._check_names()
        found = np.zeros(len(self.names), dtype=bool)
        wanted = np.array([name not in self.may_lack for name in self.names])
        # Far apart first: neighbours in a list are often of one kind.
        rows = truth_rows(train.iloc[np.random.default_rng(0).permutation(len(train))], self.truth)
        for row in rows:
            found |= self.truth.present(row, len(self.names))
            if found.any() and found[wanted].all():
                return list(self.names)
        lacking = [name for name, there, must in zip(self.names, found, wanted, strict=True) if must > there]
        raise UserError(
            f"no training mask has a pixel of the class {name_some(lacking or self.names)}: correct what "
            "load_train gives or how the task reads it, or name in may_lack=(...) what may be absent"
        )

    def strata(self, train: pd.DataFrame) -> pd.Series:
        """The rarest class of each image, or that it has none. Reads every mask, so that a broken one is
        found before training."""
        tell_turned(train, "their masks are")
        sizes = train[["height", "width"]].to_numpy().tolist()
        there = []
        with progress("read masks", len(train), "masks") as advance:
            for row, (height, width) in zip(truth_rows(train, self.truth), sizes, strict=True):
                mask = self.truth.read(row, height, width, len(self.names))
                there.append(np.flatnonzero((mask == 1).any(axis=(0, 1))).tolist())
                advance(1)
        counts = Counter(place for places in there for place in places)
        if absent := [name for place, name in enumerate(self.names) if not counts[place]]:
            say(f"warning: {len(absent)} class(es) in no mask, which cannot be learnt: {name_some(absent)}")
        rarest = [min(places, key=lambda place: (counts[place], place), default=-1) for places in there]
        return pd.Series(["" if place < 0 else self.names[place] for place in rarest], index=train.index)

    def targets(self, frame: pd.DataFrame, classes: Sequence[str], config: Config) -> Masks:
        """Masks, uint8 (B, C, S, S) in batches."""
        return Masks(frame, self.truth, len(classes))

    def train_transform(self, config: Config, preprocess: Preprocess) -> A.Compose:
        """The same geometry for image and masks."""
        return segmentation_transform(config.augment, preprocess, IGNORE)

    def held_out(
        self, frame: pd.DataFrame, classes: Sequence[str], config: Config, preprocess: Preprocess
    ) -> tuple[Masks, A.Compose]:
        """See `held_out_transform`; what is padded is ignored."""
        return self.targets(frame, classes, config), held_out_transform(preprocess, IGNORE)

    def draw(self, image: np.ndarray, target: torch.Tensor, classes: Sequence[str]) -> tuple[np.ndarray, str]:
        """The masks' colours over the image; the names of the classes in it."""
        masks = target.numpy()
        names = [name for name, mask in zip(classes, masks, strict=True) if (mask == 1).any()]
        return overlay(image, masks), "\n".join(names[:3])

    def objective(self, config: Config, targets: Targets) -> OutputLoss:
        """The sum of losses that ``train.loss`` names."""
        train = config.train
        return OutputLoss(build_loss(train.loss, train.positive_weight, train.tversky_beta))

    def activate(self, outputs: torch.Tensor) -> torch.Tensor:
        """Sigmoid."""
        return outputs.sigmoid()

    def masks_of(self, predictions: pd.DataFrame, classes: Sequence[str]) -> Iterator[np.ndarray]:
        """bool (C, H, W) of each image, by its decision or, without one, where more probable than not; one in
        memory at a time."""
        for path, rule in zip(predictions["map_file"], rules_of(predictions, classes), strict=True):
            yield rule.masks(load_levels(path))

    def evidence(
        self, needs: Needs, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> tuple[Rows, ...]:
        """Counts of pixels (N, C, 3). Each map is decoded once."""
        if needs == "frames":
            return truth, predictions
        if needs != "pixels":
            raise self.no_evidence(needs)
        rules = rules_of(predictions, classes)

        def counted(place: int, mask: np.ndarray, levels: np.ndarray) -> np.ndarray:
            return mask_counts(mask, rules[place].masks(levels))

        counts = self._with_truth(counted, truth, predictions)
        return (np.stack(counts) if counts else np.zeros((0, len(classes), 3), dtype=np.int64),)

    def threshold_counts(
        self, truth: pd.DataFrame, predictions: pd.DataFrame, cuts: Sequence[int], exclusive: bool
    ) -> list[np.ndarray]:
        """Of each image what `counts_by_threshold` gives."""

        def counted(place: int, mask: np.ndarray, levels: np.ndarray) -> np.ndarray:
            return counts_by_threshold(mask, levels, cuts, exclusive)

        return self._with_truth(counted, truth, predictions)

    def _with_truth(
        self,
        function: Callable[[int, np.ndarray, np.ndarray], np.ndarray],
        truth: pd.DataFrame,
        predictions: pd.DataFrame,
    ) -> list[np.ndarray]:
        """`function` of each image's number, mask (H, W, C) and stored levels (C, H, W)."""
        rows, paths = truth_rows(truth, self.truth), predictions["map_file"].tolist()

        def done(place: int) -> np.ndarray:
            levels = load_levels(paths[place])
            _, height, width = levels.shape
            return function(place, self.truth.read(rows[place], height, width, len(self.names)), levels)

        return list(map_ahead(done, range(len(rows))))

    def report(self, request: ReportRequest) -> Iterator[Part]:
        """See `pipeline.tasks.overlapping_segmentation.report`."""
        return report(request, self.truth)

    def picture(
        self, image: np.ndarray, prediction: Mapping[str, Any], classes: Sequence[str]
    ) -> tuple[np.ndarray, str]:
        """The classes more probable than not over the image, and the share of each."""
        masks = MaskRule.plain(len(classes)).masks(load_levels(prediction["map_file"]))
        found = [f"{name} {mask.mean():.0%}" for name, mask in zip(classes, masks, strict=True) if mask.any()]
        return overlay(image, masks), ", ".join(found) or "nothing"

    def submission_format(self, classes: Sequence[str]) -> MaskRows:
        """A row for each image and class: run lengths."""
        return self.rows.of(classes)

    def to_submission(self, predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
        """The masks as run lengths; one image in memory at a time."""
        form = self.rows.of(classes)
        masks = self.masks_of(predictions, classes)
        rows = [
            row
            for image_id, planes in zip(predictions["image_id"], masks, strict=True)
            for row in form.rows(image_id, planes)
        ]
        return pd.DataFrame(rows, columns=form.columns, dtype="str")
