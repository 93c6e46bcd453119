"""Counting pixels by true and predicted class, one image at a time, and the scores that follow."""

import numpy as np

from pipeline.tasks.segmentation.palette import IGNORE


class Confusion:
    """Pixel counts over any number of images.

    Every score is over all pixels together, as PASCAL VOC and Cityscapes define it, and not a mean over
    images.

    Attributes
    ----------
    counts : int64 (C, C); a row is a true class, a column a predicted one.
    """

    def __init__(self, count: int) -> None:
        self.counts = np.zeros((count, count), dtype=np.int64)

    def add(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Count the pixels of one image. Those whose truth is 255 do not count.

        Parameters
        ----------
        truth, predicted : class indices of one shape.

        Raises
        ------
        ValueError : shapes that differ, or an index that is no class.
        """
        truth, predicted = np.asarray(truth), np.asarray(predicted)
        if truth.shape != predicted.shape:
            raise ValueError(f"the truth has the shape {truth.shape} and the prediction {predicted.shape}")
        count = len(self.counts)
        valid = truth != IGNORE
        truth, predicted = truth[valid].astype(np.int64), predicted[valid].astype(np.int64)
        for name, indices in (("truth", truth), ("prediction", predicted)):
            if indices.size and not 0 <= indices.min() <= indices.max() < count:
                raise ValueError(
                    f"the {name} has indices from {indices.min()} to {indices.max()}, and there are {count} "
                    "classes"
                )
        self.counts += np.bincount(truth * count + predicted, minlength=count**2).reshape(count, count)

    @property
    def iou(self) -> np.ndarray:
        """float64 (C,): intersection over union of each class; NaN where neither truth nor prediction has
        it."""
        both = self.counts.diagonal()
        union = self.counts.sum(0) + self.counts.sum(1) - both
        return np.divide(both, union, out=np.full(len(both), np.nan), where=union > 0)

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that truth or prediction has; NaN before the first pixel."""
        iou = self.iou
        present = ~np.isnan(iou)
        return float(iou[present].mean()) if present.any() else float("nan")

    @property
    def pixel_accuracy(self) -> float:
        """Share of the pixels that got their own class; NaN before the first pixel."""
        total = self.counts.sum()
        return float(self.counts.trace() / total) if total else float("nan")
