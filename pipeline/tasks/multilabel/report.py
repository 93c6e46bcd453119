"""What a network gets right and wrong about independent labels, for the run's page."""

from collections.abc import Iterator

import numpy as np

from pipeline.base.parts import Part, Table, Tiles
from pipeline.metrics.ranking import roc_auc
from pipeline.tasks.showing import MISTAKES, MOST_CLASSES, calibration, counts, per_class, tiles_of
from pipeline.tasks.task import ReportRequest


def report(request: ReportRequest) -> Iterator[Part]:
    """Labels, the greatest single mistakes, calibration."""
    true, values = request.evidence("probabilities")
    _, decided = request.evidence("decisions")
    assert all(isinstance(part, np.ndarray) for part in (true, values, decided))
    true, values, decided = np.asarray(true), np.asarray(values), np.asarray(decided)
    yield labels_table(true, values, decided, list(request.classes))
    yield mistakes(true, values, request)
    yield calibration(values.ravel(), true.ravel(), "probability of a label")


def labels_table(true: np.ndarray, values: np.ndarray, decided: np.ndarray, classes: list[str]) -> Table:
    """ROC AUC, and precision, recall and F1 of the decisions, of each label; the lowest AUC first.

    Parameters
    ----------
    true, decided : (N, C) of 0 and 1.
    values : (N, C) probabilities.
    """
    right, chosen, support = counts(true, decided, len(classes))
    scores = per_class(right, chosen, support)
    auc = np.array([roc_auc(true[:, place], values[:, [place]]) for place in range(len(classes))])
    order = np.argsort(np.where(np.isnan(auc), 2, auc), kind="stable")[:MOST_CLASSES]
    rows = [
        (classes[place], float(auc[place]), *scores[place].tolist(), int(support[place]), int(chosen[place]))
        for place in order
    ]
    heads = ("label", "ROC AUC", "precision", "recall", "F1", "support", "predicted")
    some = f"{len(rows):,} of {len(classes):,} labels, those with the lowest AUC. " * (
        len(rows) < len(classes)
    )
    note = f"{some}An AUC needs images with the label and images without."
    return Table(title="Labels", heads=heads, rows=rows, note=note)


def mistakes(true: np.ndarray, values: np.ndarray, request: ReportRequest) -> Tiles:
    """The images with the greatest single mistake: which label, and its probability."""
    errors = np.abs(true - values)
    worst = np.argsort(-errors.max(axis=1), kind="stable")[:MISTAKES].tolist()
    lines = []
    for row in worst:
        places = np.argsort(-errors[row], kind="stable")[:3].tolist()
        shown = [place for place in places if errors[row, place] >= 0.5] or places[:1]
        there = {place: "there" if true[row, place] else "not there" for place in shown}
        lines.append(
            [f"{request.classes[place]} {values[row, place]:.3f}, {there[place]}" for place in shown]
        )
    note = "The labels that are furthest off, with their probability."
    return Tiles(title="Worst mistakes", tiles=tiles_of(request, worst, lines), note=note)
