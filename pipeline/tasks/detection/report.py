"""What a detector finds, misses and makes up, for the run's page."""

from collections.abc import Iterator, Mapping, Sequence

import cv2
import numpy as np
import pandas as pd

from pipeline.base.parts import Chart, Charts, Part, Series, Table, Tile, Tiles
from pipeline.frame.boxes import box_array
from pipeline.metrics.voc_ap import Curve, average_precision, precision_recall
from pipeline.tasks.detection.breakdown import KINDS, Verdict, verdicts
from pipeline.tasks.detection.pictures import RIGHT, TRUE, WRONG, draw_boxes
from pipeline.tasks.showing import MISTAKES, picture_of
from pipeline.tasks.task import ReportRequest

SHOWN_SCORE = 0.3
"""Least score of a box that is shown and counts as a mistake."""
SIDE = 480
"""Pixels of the longer side of an image with its boxes."""
LINES = 8
"""Classes that have a curve: those with the most objects."""
TOLD = 6
"""Mistakes of an image that are told in words."""
MEANT = {
    "correct": "the right class, well placed (IoU 0.5)",
    "classification": "well placed on an object of another class",
    "localisation": "the right class, badly placed",
    "both": "badly placed on an object of another class",
    "duplicate": "an object that a better-scored box has found",
    "background": "hardly on any object",
    "missed": "an object that no box found",
}


def report(request: ReportRequest) -> Iterator[Part]:
    """Classes, kinds of mistakes, the images with the most of them, precision against recall."""
    truth, oof = request.truth, request.oof
    curves = precision_recall(truth, oof, request.classes)
    judged = verdicts(truth, oof, SHOWN_SCORE)
    yield classes_table(curves)
    yield kinds_table(judged)
    yield mistakes(judged, request)
    yield curves_charts(curves)


def classes_table(curves: Mapping[str, Curve]) -> Table:
    """Average precision of each class, and precision and recall at the score with the best F1; the lowest
    first."""
    rows = []
    for name, curve in curves.items():
        f1 = _f1(curve)
        best = int(f1.argmax()) if curve.objects and len(f1) else None
        values = (float("nan"),) * 4
        if best is not None:
            values = tuple(float(part[best]) for part in (curve.precision, curve.recall, f1, curve.scores))
        rows.append((name, average_precision(curve), *values, curve.objects, len(curve.scores)))
    rows.sort(key=lambda row: (np.isnan(row[1]), row[1]))
    heads = ("class", "AP", "precision", "recall", "F1", "least score", "objects", "boxes")
    return Table(
        title="Classes",
        heads=heads,
        rows=rows,
        note="AP at IoU 0.5 (VOC's, all points); the rest at the least score that gives the best F1.",
    )


def kinds_table(judged: Sequence[Verdict]) -> Table:
    """How many boxes, or missed objects, are of each kind."""
    counts: dict[str, int] = dict.fromkeys(KINDS, 0)
    for verdict in judged:
        for kind in (*verdict.kinds, *["missed"] * len(verdict.missed)):
            counts[kind] += 1
    rows = [(kind, counts[kind], MEANT[kind]) for kind in KINDS]
    note = f"TIDE's kinds, of boxes with a score of {SHOWN_SCORE} or more."
    return Table(title="Kinds of mistakes", heads=("kind", "count", "what it is"), rows=rows, note=note)


def mistakes(judged: Sequence[Verdict], request: ReportRequest) -> Tiles:
    """The images with the most mistakes, each box that is wrong counting by its score and each missed object
    as one."""
    scores = [np.asarray(one, dtype="float64") for one in request.oof["scores"]]
    bad = [
        len(verdict.missed)
        + sum(
            scores[row][at] for kind, at in zip(verdict.kinds, verdict.rows, strict=True) if kind != "correct"
        )
        for row, verdict in enumerate(judged)
    ]
    worst = [row for row in np.argsort(-np.asarray(bad), kind="stable")[:MISTAKES].tolist() if bad[row] > 0]
    tiles = []
    for row in worst:
        truth, found = request.truth.iloc[row], request.oof.iloc[row]
        image_id = truth["image_id"]
        image = drawn(picture_of(request, image_id), truth, found, judged[row])
        said = told(truth, found, judged[row])
        more = [f"and {len(said) - TOLD} more"] if len(said) > TOLD else []
        tiles.append(Tile(pictures=[image], title=str(image_id), lines=[*said[:TOLD], *more]))
    return Tiles(
        title="Worst mistakes",
        tiles=tiles,
        note="The images with the most mistakes first.",
        legend=[("truth (dashed)", TRUE), ("predicted, right", RIGHT), ("predicted, wrong", WRONG)],
        side=SIDE,
    )


def told(truth: pd.Series, found: pd.Series, verdict: Verdict) -> list[str]:
    """What is wrong with an image, a line each: what is missed first, then wrong boxes by score."""
    lines = [f"missed: {truth['labels'][place]}" for place in verdict.missed]
    for kind, row, about in zip(verdict.kinds, verdict.rows, verdict.objects, strict=True):
        box = f"{found['labels'][row]} {found['scores'][row]:.2f}"
        true = truth["labels"][about] if about >= 0 else ""
        text = {
            "classification": f"wrong class: {box}, is {true}",
            "localisation": f"badly placed: {box}",
            "both": f"badly placed and wrong class: {box}, near {true}",
            "duplicate": f"found twice: {box}",
            "background": f"nothing there: {box}",
        }.get(kind)
        lines += [text] if text else []
    return lines


def drawn(image: np.ndarray, truth: pd.Series, found: pd.Series, verdict: Verdict) -> np.ndarray:
    """An image uint8 (H, W, 3) with its true and its predicted boxes, brought to `SIDE` pixels."""
    factor = SIDE / max(image.shape[:2])
    size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    rows = list(verdict.rows)
    boxes = box_array(found["boxes"])[rows] * factor
    names = [f"{found['labels'][row]} {found['scores'][row]:.2f}" for row in rows]
    colors = [RIGHT if kind == "correct" else WRONG for kind in verdict.kinds]
    image = draw_boxes(image, boxes, names, colors)
    true = box_array(truth["boxes"]) * factor
    return draw_boxes(image, true, list(truth["labels"]), [TRUE] * len(true), dashed=True)


def curves_charts(curves: Mapping[str, Curve]) -> Charts:
    """Precision against recall, and F1 against the score below which nothing counts."""
    shown = sorted((item for item in curves.items() if item[1].objects), key=lambda item: -item[1].objects)
    recall, f1 = [], []
    for color, (name, curve) in enumerate(shown[:LINES]):
        label = f"{name} {average_precision(curve):.3f}"
        recall.append(Series(name=label, x=curve.recall, y=curve.precision, color=color))
        f1.append(Series(name=label, x=curve.scores, y=_f1(curve), color=color))
    limits = ((0.0, 1.0), (0.0, 1.02))
    some = f"The {LINES} classes with the most objects, with their AP." * (len(shown) > LINES)
    return Charts(
        title="Precision and recall",
        charts=[
            Chart(
                title="Precision against recall",
                across="recall",
                up="precision",
                series=recall,
                limits=limits,
            ),
            Chart(
                title="F1 against the least score", across="least score", up="F1", series=f1, limits=limits
            ),
        ],
        note=some,
    )


def _f1(curve: Curve) -> np.ndarray:
    both = curve.precision + curve.recall
    return 2 * curve.precision * curve.recall / np.maximum(both, 1e-12)
