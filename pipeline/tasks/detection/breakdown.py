"""What kind of mistakes a detector makes: the error types of TIDE (arXiv 2008.08115)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from ops import box_iou
from pipeline.frame.boxes import box_array

KINDS = ("correct", "classification", "localisation", "both", "duplicate", "background", "missed")
"""correct: the right class, well placed. classification: well placed on an object of another class.
localisation: the right class, badly placed. both: badly placed on another class. duplicate: well placed on an
object that a better-scored prediction has found. background: hardly on any object. missed: an object that no
prediction found, and that no classification or localisation error accounts for."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of the predictions and the objects of an image.

    Attributes
    ----------
    kinds : of each prediction that counts, one of KINDS.
    rows : its row among the image's predictions.
    objects : row of the object that it is about, among the image's; -1 where it is about none.
    missed : rows of the objects that were missed.
    """

    kinds: Sequence[str]
    rows: Sequence[int]
    objects: Sequence[int]
    missed: Sequence[int]


def break_down(
    truth: pd.DataFrame,
    predictions: pd.DataFrame,
    min_score: float = 0.3,
    found_iou: float = 0.5,
    background_iou: float = 0.1,
) -> dict[str, int]:
    """Count predictions and missed objects by KINDS. Each prediction has one kind. Arguments and errors as
    `verdicts`."""
    counts: dict[str, int] = dict.fromkeys(KINDS, 0)
    for verdict in verdicts(truth, predictions, min_score, found_iou, background_iou):
        for kind in verdict.kinds:
            counts[kind] += 1
        counts["missed"] += len(verdict.missed)
    return counts


def verdicts(
    truth: pd.DataFrame,
    predictions: pd.DataFrame,
    min_score: float = 0.3,
    found_iou: float = 0.5,
    background_iou: float = 0.1,
) -> list[Verdict]:
    """What became of each image, in the order of `truth`.

    Parameters
    ----------
    truth : truth frame; a prediction whose greater part lies in a crowd box of its class is not counted
        unless it is correct. See `pipeline.frame.boxes`.
    predictions : predictions frame with the same image ids in any order.
    min_score : predictions below it are left out. Detectors give many, nearly all of them background.
    found_iou : least overlap of what is well placed.
    background_iou : overlap up to which a prediction is on no object.

    Raises
    ------
    ValueError : other image ids in `predictions`.
    """
    if predictions["image_id"].duplicated().any() or set(predictions["image_id"]) != set(truth["image_id"]):
        raise ValueError("the predictions are not one row for each image of the truth")
    predictions = predictions.set_index("image_id").loc[truth["image_id"]]
    made = []
    for boxes, labels, crowd, found, scores, named in zip(
        *(truth[name] for name in ("boxes", "labels", "crowd")),
        *(predictions[name] for name in ("boxes", "scores", "labels")),
        strict=True,
    ):
        scores = np.asarray(scores, dtype=np.float64)
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] >= min_score]
        verdict = _image(
            box_array(boxes),
            np.asarray(labels, dtype=object),
            np.asarray(crowd, dtype=bool),
            box_array(found)[order],
            np.asarray(named, dtype=object)[order],
            (background_iou, found_iou),
        )
        made.append(replace(verdict, rows=order[list(verdict.rows)].tolist()))
    return made


def _image(
    boxes: np.ndarray,
    labels: np.ndarray,
    crowd: np.ndarray,
    found: np.ndarray,
    named: np.ndarray,
    bounds: tuple[float, float],
) -> Verdict:
    """Of one image; `found` by descending score."""
    counted = np.flatnonzero(~crowd)
    absorbed = _inside(found, boxes[crowd], named, labels[crowd])
    overlaps = box_iou(torch.from_numpy(found), torch.from_numpy(boxes[counted])).numpy()
    same = named[:, None] == labels[counted][None]
    matched = _match(np.where(same, overlaps, 0), bounds[1])
    explained = np.zeros(len(counted), dtype=bool)
    explained[matched[matched >= 0]] = True
    used = explained.copy()
    kinds, rows, objects = [], [], []
    for place in range(len(found)):
        if matched[place] < 0 and absorbed[place]:
            continue
        kind, target = ("correct", int(matched[place]))
        if matched[place] < 0:
            kind, target = _mistake(overlaps[place], same[place], used, bounds)
        kinds.append(kind)
        rows.append(place)
        objects.append(int(counted[target]) if target >= 0 else -1)
        if kind in ("classification", "localisation"):
            explained[target] = True
    return Verdict(kinds=kinds, rows=rows, objects=objects, missed=counted[~explained].tolist())


def _match(overlaps: np.ndarray, least: float) -> np.ndarray:
    """Object found by each prediction, the best-scored first and each the best that is free; -1 for none."""
    matched = np.full(len(overlaps), -1)
    overlaps = overlaps.copy()
    for place in range(len(overlaps) if overlaps.shape[1] else 0):
        best = overlaps[place].argmax()
        if overlaps[place, best] >= least:
            matched[place] = best
            overlaps[:, best] = -1
    return matched


def _mistake(
    overlaps: np.ndarray, same: np.ndarray, used: np.ndarray, bounds: tuple[float, float]
) -> tuple[str, int]:
    """Kind of a prediction that found nothing, tested in the order of TIDE's own program, and its object."""
    if not len(overlaps):
        return "background", -1
    background, least = bounds
    own, other = np.where(same, overlaps, 0), np.where(same, 0, overlaps)
    if background < own.max() < least:
        return "localisation", int(own.argmax())
    if other.max() >= least:
        return "classification", int(other.argmax())
    if np.where(used, own, 0).max() >= least:
        return "duplicate", int(own.argmax())
    return ("background", -1) if overlaps.max() <= background else ("both", int(overlaps.argmax()))


def _inside(found: np.ndarray, regions: np.ndarray, named: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether half or more of each prediction lies in one region of its class."""
    low = np.maximum(found[:, None, :2], regions[None, :, :2])
    high = np.minimum(found[:, None, 2:], regions[None, :, 2:])
    area = (found[:, 2:] - found[:, :2]).prod(axis=1)
    shared = (high - low).clip(min=0).prod(axis=2) * (named[:, None] == labels[None])
    return (shared >= 0.5 * np.maximum(area, 1e-12)[:, None]).any(axis=1)
