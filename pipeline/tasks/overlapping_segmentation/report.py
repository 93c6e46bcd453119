"""Which pixels of which classes are right, for the run's page; masks may overlap."""

from collections.abc import Iterator

import cv2
import numpy as np

from pipeline.base.parts import Part, Table, Tile, Tiles
from pipeline.metrics.f_score import f_of_counts
from pipeline.prediction.stored import load_levels
from pipeline.tasks.mask_truth import IGNORE, MaskTruth
from pipeline.tasks.overlapping_segmentation.pictures import MISSED, SPURIOUS, color_of, panel
from pipeline.tasks.overlapping_segmentation.rule import rules_of
from pipeline.tasks.overlapping_segmentation.targets import truth_rows
from pipeline.tasks.showing import picture_of
from pipeline.tasks.task import ReportRequest

WORST, OTHERS = 12, 4
"""Images that are shown: the worst, and for comparison some from the middle and the top."""
SIDE = 320
"""Pixels of the longer side of a picture."""


def report(request: ReportRequest, truth: MaskTruth) -> Iterator[Part]:
    """Dice of every class, and the images with the lowest one."""
    (counts,) = request.evidence("pixels")
    assert isinstance(counts, np.ndarray)
    yield classes_table(counts, request)
    yield worst_images(counts, request, truth)


def classes_table(counts: np.ndarray, request: ReportRequest) -> Table:
    """Dice, precision and recall of each class's pixels, the lowest Dice first.

    Parameters
    ----------
    counts : int (N, C, 3), see `pipeline.metrics.pixels`.
    """
    right, surplus, missed = counts.sum(axis=0).astype("float64").T
    with np.errstate(invalid="ignore", divide="ignore"):
        dice = 2 * right / (2 * right + surplus + missed)
        precision, recall = right / (right + surplus), right / (right + missed)
    images = ((counts[..., 0] + counts[..., 2]) > 0).sum(axis=0)
    order = np.argsort(np.where(np.isnan(dice), 2, dice), kind="stable")
    rows = [
        (
            request.classes[place],
            *(float(values[place]) for values in (dice, precision, recall)),
            int(images[place]),
        )
        for place in order
    ]
    heads = ("class", "Dice", "precision", "recall", "images with it")
    return Table(title="Classes", heads=heads, rows=rows, note="Over the pixels of all images.")


def worst_images(counts: np.ndarray, request: ReportRequest, truth: MaskTruth) -> Tiles:
    """Image, truth, prediction and errors, side by side."""
    classes = list(request.classes)
    each = f_of_counts(*np.moveaxis(counts, -1, 0))
    dice = np.where(np.isnan(each), 1.0, each).mean(axis=1)
    order = np.argsort(dice, kind="stable")
    rest = order[np.linspace(len(order) // 2, len(order) - 1, OTHERS, dtype=int)] if len(order) else order
    rules, rows, tiles, void = rules_of(request.oof, classes), truth_rows(request.truth, truth), [], False
    for place in dict.fromkeys(int(value) for value in (*order[:WORST], *rest)):
        levels = load_levels(request.oof["map_file"].iloc[place])
        mask = truth.read(rows[place], levels.shape[1], levels.shape[2], len(classes))
        void |= bool((mask == IGNORE).any())
        image_id = request.oof["image_id"].iloc[place]
        pictures = panel(picture_of(request, image_id), mask, rules[place].masks(levels))
        tiles.append(
            Tile(
                pictures=[_smaller(picture) for picture in pictures],
                names=("image", "truth", "prediction", "errors"),
                title=str(image_id),
                lines=[f"Dice {dice[place]:.2f}"],
            )
        )
    legend = [(name, color_of(place)) for place, name in enumerate(classes)]
    legend += [
        ("missed", MISSED),
        ("spurious", SPURIOUS),
        *([("void: not counted", (150,) * 3)] if void else []),
    ]
    return Tiles(
        title="Worst mistakes",
        tiles=tiles,
        note=f"The {WORST} images with the lowest Dice first, then {OTHERS} from the middle up.",
        legend=legend,
        side=SIDE,
    )


def _smaller(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    factor = SIDE / max(height, width)
    if factor >= 1:
        return picture
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
