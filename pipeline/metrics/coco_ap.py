"""COCO's average precision and recall of boxes and masks (https://cocodataset.org/#detection-eval).

Computed by faster-coco-eval, which reproduces the organisers' program to the printed digit.
"""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval.core import mask as coco_mask

from pipeline.frame.boxes import box_array
from pipeline.frame.coco_masks import mask_area, run_lengths
from pipeline.metrics.metric import Metric

Kind = Literal["bbox", "segm"]


def coco_scores(
    truth: pd.DataFrame,
    predictions: pd.DataFrame,
    classes: Sequence[str],
    kind: Kind = "bbox",
    max_detections: tuple[int, int, int] = (1, 10, 100),
) -> dict[str, Any]:
    """COCO's figures over all images of `truth`.

    A truth of class and image counts as found at an IoU threshold by the best-scored prediction that overlaps
    it enough; crowd regions absorb any number of predictions. Objects are small up to 32^2 square pixels,
    medium from there to 96^2, large from there; both bounds belong to both. The size of an object is its
    ``areas`` value, else the area of its mask, else of its box.

    Parameters
    ----------
    truth : truth frame; needs width and height for segm, and for masks without areas. See
        `pipeline.frame.boxes`.
    predictions : predictions frame with the same image ids in any order.
    classes : all class names.
    kind : overlap of boxes or of masks. A box without a mask counts as its rectangle.
    max_detections : best-scored predictions of each class in each image that count, ascending; average
        precision takes the last.

    Returns
    -------
    AP (mean over IoU thresholds .50, .55, ..., .95 and classes), AP50, AP75, AP_small, AP_medium, AP_large;
    AR1, AR10, AR100 (by `max_detections`), AR_small, AR_medium, AR_large; and ``per_class``: name -> AP,
    AP50, AP75 and AR100. All from 0 to 1, or NaN where no object of that class or size is to be found.

    Raises
    ------
    ValueError : other image ids in `predictions`, an unknown class, or a score that is not finite.
    """
    number_of = {name: number for number, name in enumerate(classes, start=1)}
    image_number = {image_id: number for number, image_id in enumerate(truth["image_id"], start=1)}
    if predictions["image_id"].duplicated().any() or set(predictions["image_id"]) != set(image_number):
        raise ValueError("the predictions are not one row for each image of the truth")
    sizes = [(0, 0)] * len(truth)
    if kind == "segm":
        cells = truth[["height", "width"]].to_numpy().tolist()
        sizes = [(int(height), int(width)) for height, width in cells]
    common = {
        "images": [
            {"id": number, "height": height, "width": width}
            for number, (height, width) in enumerate(sizes, start=1)
        ],
        "categories": [{"id": number, "name": name} for name, number in number_of.items()],
    }
    true = _truth_annotations(truth, number_of, kind)
    found = _found_annotations(predictions, number_of, image_number, sizes, kind)
    evaluation = COCOeval_faster(_index({**common, "annotations": true}), _index(common | found), kind)
    evaluation.params.maxDets = list(max_detections)
    return _figures(evaluation, list(classes))


def coco_ap(truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]) -> float:
    """AP at IoU 0.50 to 0.95 of boxes; see `coco_scores`."""
    return float(coco_scores(truth, predictions, classes)["AP"])


def coco_figures(truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    """The figures of `coco_scores` besides AP, but for those that are NaN."""
    figures = coco_scores(truth, predictions, classes)
    del figures["AP"], figures["per_class"]
    return {name: float(value) for name, value in figures.items() if np.isfinite(value)}


COCO_AP = Metric(name="AP", function=coco_ap, needs="boxes")


def score_files(
    truth: Path, results: Path, kind: Kind = "bbox", image_ids: Sequence[int] | None = None
) -> dict[str, Any]:
    """COCO's figures of a results file in COCO's own format against an instances file; see `coco_scores`.

    Parameters
    ----------
    image_ids : score these images alone; None: all that the instances file lists, also those without results,
        whose objects then count as missed. Leaving these out raises the score.

    Raises
    ------
    ValueError : an image id that the instances file does not list.
    """
    true = COCO(str(truth))
    entries = json.loads(results.read_bytes())
    unknown = {entry["image_id"] for entry in entries} - set(true.imgs)
    if unknown:
        raise ValueError(f"{results} has the image id {min(unknown)}, which {truth} does not list")
    if entries:
        found = true.loadRes(entries)
    else:  # not every release of loadRes copes with an empty list
        found = _index({key: true.dataset[key] for key in ("images", "categories")} | {"annotations": []})
    evaluation = COCOeval_faster(true, found, kind)
    if image_ids is not None:
        evaluation.params.imgIds = sorted(image_ids)
    return _figures(evaluation, [true.cats[number]["name"] for number in sorted(true.cats)])


def _index(dataset: dict[str, list[dict]]) -> COCO:
    """What COCO() and loadRes make of a file, without the file: loadRes would write into the results and draw
    a polygon around each box."""
    annotated = COCO()
    annotated.dataset = copy.copy(dataset)
    annotated.createIndex()
    return annotated


def _truth_annotations(truth: pd.DataFrame, number_of: dict[str, int], kind: Kind) -> list[dict]:
    annotations: list[dict] = []
    blank = [[None] * len(boxes) for boxes in truth["boxes"]]
    columns = [truth.get(name, blank) for name in ("masks", "areas")]
    shaped = kind == "segm" or ("masks" in truth and "areas" not in truth)
    columns += [truth[name] if shaped else [0] * len(truth) for name in ("width", "height")]
    for image, (boxes, labels, crowd, masks, areas, width, height) in enumerate(
        zip(truth["boxes"], truth["labels"], truth["crowd"], *columns, strict=True), start=1
    ):
        for box, label, ignored, mask, area in zip(
            box_array(boxes).tolist(), labels, crowd, masks, areas, strict=True
        ):
            if area is None:
                area = mask_area(mask or "", box, height, width)
            entry = _annotation(len(annotations) + 1, image, box, _number(label, number_of), float(area))
            entry["iscrowd"] = int(ignored)
            if kind == "segm":
                entry["segmentation"] = run_lengths(mask or "", box, int(height), int(width))
            annotations.append(entry)
    return annotations


def _found_annotations(
    predictions: pd.DataFrame,
    number_of: dict[str, int],
    image_number: dict[str, int],
    sizes: Sequence[tuple[int, int]],
    kind: Kind,
) -> dict[str, list[dict]]:
    annotations: list[dict] = []
    has_masks = kind == "segm" and "masks" in predictions
    all_masks = predictions["masks"] if has_masks else [[""] * len(boxes) for boxes in predictions["boxes"]]
    for image_id, boxes, scores, labels, masks in zip(
        *(predictions[name] for name in ("image_id", "boxes", "scores", "labels")), all_masks, strict=True
    ):
        if not np.isfinite(np.asarray(scores, dtype=np.float64)).all():
            raise ValueError(f"image {image_id} has a score that is not finite")
        image = image_number[image_id]
        for box, score, label, mask in zip(box_array(boxes).tolist(), scores, labels, masks, strict=True):
            area = (box[2] - box[0]) * (box[3] - box[1])
            entry = _annotation(len(annotations) + 1, image, box, _number(label, number_of), area)
            entry["score"] = float(score)
            if kind == "segm":
                height, width = sizes[image - 1]
                entry["segmentation"] = run_lengths(mask, box, int(height), int(width))
                entry["area"] = float(coco_mask.area(entry["segmentation"]))
            annotations.append(entry)
    return {"annotations": annotations}


def _annotation(number: int, image: int, box: list[float], category: int, area: float) -> dict[str, Any]:
    """Numbered from 1: the evaluation takes the id 0 for "no match"."""
    x1, y1, x2, y2 = box
    shape = [x1, y1, x2 - x1, y2 - y1]
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": shape,
        "area": area,
        "iscrowd": 0,
    }


def _number(label: str, number_of: dict[str, int]) -> int:
    if label not in number_of:
        raise ValueError(f"there is no class {label!r}")
    return number_of[label]


def _figures(evaluation: COCOeval_faster, names: list[str]) -> dict[str, Any]:
    """Evaluate and take all figures from the tables: the library's summary has -1 for NaN, and no classes."""
    evaluation.evaluate()
    evaluation.accumulate()
    most = evaluation.params.maxDets
    precision = evaluation.eval["precision"]  # IoU threshold, recall, class, size, detections
    recall = evaluation.eval["recall"]  # IoU threshold, class, size, detections
    thresholds = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}
    sizes = {"small": 1, "medium": 2, "large": 3}
    figures: dict[str, Any] = {name: _mean(precision[rows, ..., 0, -1]) for name, rows in thresholds.items()}
    figures |= {f"AP_{name}": _mean(precision[..., size, -1]) for name, size in sizes.items()}
    figures |= {f"AR{count}": _mean(recall[..., 0, place]) for place, count in enumerate(most)}
    figures |= {f"AR_{name}": _mean(recall[..., size, -1]) for name, size in sizes.items()}
    figures["per_class"] = {
        label: {name: _mean(precision[rows, :, place, 0, -1]) for name, rows in thresholds.items()}
        | {f"AR{most[-1]}": _mean(recall[:, place, 0, -1])}
        for place, label in enumerate(names)
    }
    return figures


def _mean(values: np.ndarray) -> float:
    """Mean of the entries that are not -1, which stands for "no object"."""
    values = np.asarray(values)
    values = values[values > -1]
    return float(values.mean()) if values.size else float("nan")
