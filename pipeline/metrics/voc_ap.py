"""PASCAL VOC's average precision (https://doi.org/10.1007/s11263-009-0275-4), in both of its definitions."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch

from ops import box_iou
from pipeline.frame.boxes import box_array


class Curve(NamedTuple):
    """One class, prediction by prediction with descending score.

    Attributes
    ----------
    recall, precision, scores : float64 (N,); recall is NaN where there is nothing to be found.
    objects : number of objects that count.
    """

    recall: np.ndarray
    precision: np.ndarray
    scores: np.ndarray
    objects: int


def voc_ap(
    truth: pd.DataFrame,
    predictions: pd.DataFrame,
    classes: Sequence[str],
    iou: float = 0.5,
    points: Literal["all"] | int = "all",
) -> dict[str, Any]:
    """Average precision of each class, and their mean.

    Parameters
    ----------
    truth : truth frame; crowd boxes (VOC's difficult ones) neither count nor punish. See
        `pipeline.frame.boxes`.
    predictions : predictions frame with the same image ids in any order.
    iou : least overlap; equality is enough.
    points : all: the area under the curve, made to fall (VOC from 2010 on); a number such as 11: the mean of
        the highest precision at or beyond that many evenly spaced recalls (VOC 2007).

    Returns
    -------
    ``mAP`` and ``per_class``: name -> AP. From 0 to 1; NaN for a class without objects, which the mean skips.

    Raises
    ------
    ValueError : other image ids in `predictions`.
    """
    curves = precision_recall(truth, predictions, classes, iou)
    scores = {name: average_precision(curve, points) for name, curve in curves.items()}
    known = [score for score in scores.values() if not np.isnan(score)]
    return {"mAP": float(np.mean(known)) if known else float("nan"), "per_class": scores}


def average_precision(curve: Curve, points: Literal["all"] | int = "all") -> float:
    """Average precision of one curve; see `voc_ap`. NaN where there is nothing to be found."""
    if not curve.objects:
        return float("nan")
    # The highest precision at this recall or beyond; 0 beyond the last.
    highest = np.maximum.accumulate(curve.precision[::-1])[::-1]
    if points == "all":
        return float((np.diff(curve.recall, prepend=0) * highest).sum())
    # Recall 3/10 and the third of eleven steps differ in their last bit.
    at = np.searchsorted(curve.recall, np.linspace(0, 1, points) - 1e-9)
    return float(np.append(highest, 0)[at].mean())


def precision_recall(
    truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str], iou: float = 0.5
) -> dict[str, Curve]:
    """The curve of each class; arguments and errors as `voc_ap`.

    As in VOC's program, a prediction is held against the box it overlaps most: found if that one is still
    free, wrong if it is taken, and not counted if it is a crowd box.
    """
    if predictions["image_id"].duplicated().any() or set(predictions["image_id"]) != set(truth["image_id"]):
        raise ValueError("the predictions are not one row for each image of the truth")
    predictions = predictions.set_index("image_id").loc[truth["image_id"]]
    objects = dict.fromkeys(classes, 0)
    verdicts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in classes}
    for boxes, labels, crowd, found, scores, named in zip(
        *(truth[name] for name in ("boxes", "labels", "crowd")),
        *(predictions[name] for name in ("boxes", "scores", "labels")),
        strict=True,
    ):
        boxes, found, scores = box_array(boxes), box_array(found), np.asarray(scores, dtype=np.float64)
        labels, named = np.asarray(labels, dtype=object), np.asarray(named, dtype=object)
        crowd = np.asarray(crowd, dtype=bool)
        for name in {*labels, *named} & set(classes):
            true = labels == name
            objects[name] += int((true & ~crowd).sum())
            mine = np.flatnonzero(named == name)
            mine = mine[np.argsort(-scores[mine], kind="stable")]
            verdict = _match(boxes[true], crowd[true], found[mine], iou)
            verdicts[name].append((scores[mine][verdict >= 0], verdict[verdict >= 0]))
    return {name: _curve(verdicts[name], objects[name]) for name in classes}


def _match(boxes: np.ndarray, crowd: np.ndarray, found: np.ndarray, least: float) -> np.ndarray:
    """For each of `found`, by descending score: 1 right, 0 wrong, -1 not counted."""
    verdict = np.zeros(len(found), dtype=np.int64)
    if not len(boxes) or not len(found):
        return verdict
    overlaps = box_iou(torch.from_numpy(found), torch.from_numpy(boxes)).numpy()
    free = ~crowd
    for place, best in enumerate(overlaps.argmax(axis=1)):
        if overlaps[place, best] < least:
            continue
        verdict[place] = -1 if crowd[best] else int(free[best])
        free[best] = False
    return verdict


def _curve(parts: list[tuple[np.ndarray, np.ndarray]], objects: int) -> Curve:
    scores = np.concatenate([np.zeros(0), *(part[0] for part in parts)])
    right = np.concatenate([np.zeros(0), *(part[1] for part in parts)])
    order = np.argsort(-scores, kind="stable")
    hits = right[order].cumsum()
    recall = hits / objects if objects else np.full(len(hits), np.nan)
    return Curve(recall, hits / np.arange(1, len(hits) + 1), scores[order], objects)
