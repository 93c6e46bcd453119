"""Which pixels of which classes are right, for the run's page."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from pipeline.base.parts import Part, Table, Tile, Tiles
from pipeline.prediction.stored import load_map
from pipeline.tasks.segmentation.counts import right_shares
from pipeline.tasks.segmentation.palette import IGNORE
from pipeline.tasks.segmentation.pictures import IGNORED, RIGHT, WRONG, panel
from pipeline.tasks.segmentation.reading import MaskReader
from pipeline.tasks.showing import picture_of
from pipeline.tasks.task import ReportRequest

WORST, OTHERS = 12, 4
"""Images that are shown: the worst, and for comparison some from the middle and the top."""
SIDE = 320
"""Pixels of the longer side of a picture."""


def report(request: ReportRequest, read: MaskReader, colors: np.ndarray) -> Iterator[Part]:
    """Classes, and the images with the lowest share of right pixels."""
    (counts,) = request.evidence("pixels")
    assert isinstance(counts, np.ndarray)
    yield classes_table(counts, request.classes)
    yield worst_images(counts, request, read, colors)


def classes_table(counts: np.ndarray, classes: Sequence[str]) -> Table:
    """IoU, Dice, precision and recall of each class's pixels, the lowest IoU first.

    Parameters
    ----------
    counts : int (N, C, 3), see `pipeline.metrics.pixels`.
    """
    right, surplus, missed = counts.sum(axis=0).astype("float64").T
    with np.errstate(invalid="ignore", divide="ignore"):
        iou, dice = right / (right + surplus + missed), 2 * right / (2 * right + surplus + missed)
        precision, recall = right / (right + surplus), right / (right + missed)
    support, total = right + missed, max(1.0, (right + missed).sum())
    images = ((counts[..., 0] + counts[..., 2]) > 0).sum(axis=0)
    order = np.argsort(np.where(np.isnan(iou), 2, iou), kind="stable")
    rows = [
        (
            classes[place],
            *(float(values[place]) for values in (iou, dice, precision, recall)),
            f"{100 * support[place] / total:.2f} %",
            int(images[place]),
        )
        for place in order
    ]
    heads = ("class", "IoU", "Dice", "precision", "recall", "share of the pixels", "images with it")
    note = "Over the pixels of all images; those marked void do not count."
    return Table(title="Classes", heads=heads, rows=rows, note=note)


def worst_images(counts: np.ndarray, request: ReportRequest, read: MaskReader, colors: np.ndarray) -> Tiles:
    """Image, truth, prediction and errors, side by side."""
    right = right_shares(counts)
    order = np.argsort(right, kind="stable")
    rest = order[np.linspace(len(order) // 2, len(order) - 1, OTHERS, dtype=int)] if len(order) else order
    tiles, present = [], set()
    for row in dict.fromkeys(int(value) for value in (*order[:WORST], *rest)):
        image_id = request.oof["image_id"].iloc[row]
        predicted = load_map(request.oof["map_file"].iloc[row]).argmax(axis=0).astype("uint8")
        mask = read(request.truth["mask"].iloc[row], image_id)
        image = picture_of(request, image_id)
        present |= {*np.unique(mask).tolist(), *np.unique(predicted).tolist()}
        size = (image.shape[1], image.shape[0])
        factor = SIDE / max(size)
        if factor < 1:
            size = (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            mask, predicted = (
                cv2.resize(one, size, interpolation=cv2.INTER_NEAREST) for one in (mask, predicted)
            )
        lines = [f"{100 * right[row]:.1f} % of the pixels right"]
        tiles.append(
            Tile(
                pictures=panel(image, mask, predicted, colors),
                names=("image", "truth", "prediction", "errors"),
                title=str(image_id),
                lines=lines,
            )
        )
    shown = [value for value in sorted(present) if value < len(request.classes)]
    legend = [(str(request.classes[value]), (*colors[value].tolist(),)) for value in shown]
    void = [("void: not counted", IGNORED)] if IGNORE in present else []
    return Tiles(
        title="Worst mistakes",
        tiles=tiles,
        note=f"The {WORST} images with the fewest right pixels first, then {OTHERS} from the middle up.",
        legend=[*legend, ("wrong", WRONG), ("right", RIGHT), *void],
        side=SIDE,
    )
