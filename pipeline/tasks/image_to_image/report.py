"""How far predicted images are from their targets, for the run's page."""

from collections.abc import Iterator

import numpy as np

from pipeline.base.parts import Chart, Part, Series, Tile, Tiles
from pipeline.inputs.preprocess import as_picture
from pipeline.prediction.stored import load_values
from pipeline.tasks.image_to_image.targets import TargetFiles
from pipeline.tasks.showing import picture_of
from pipeline.tasks.task import ReportRequest

WORST, OTHERS = 12, 4
"""Images that are shown: the worst, and for comparison some from the middle and the top."""
SIDE = 320
"""Pixels of the longer side of a picture."""


def report(request: ReportRequest, files: TargetFiles) -> Iterator[Part]:
    """The errors of all images, and the images with the largest ones."""
    (sums,) = request.evidence("errors")
    assert isinstance(sums, np.ndarray)
    errors = np.sqrt(sums[:, 0] / sums[:, 2].clip(1))
    series = Series(name="RMSE", x=np.arange(1, len(errors) + 1), y=np.sort(errors)[::-1])
    yield Chart(title="Errors", across="images, the worst first", up="RMSE", series=[series])
    yield worst_images(errors, request, files)


def worst_images(errors: np.ndarray, request: ReportRequest, files: TargetFiles) -> Tiles:
    """Image, target, prediction and error, side by side."""
    order = np.argsort(-errors, kind="stable")
    rest = order[np.linspace(len(order) // 2, len(order) - 1, OTHERS, dtype=int)] if len(order) else order
    tiles = []
    for place in dict.fromkeys(int(value) for value in (*order[:WORST], *rest)):
        image_id = str(request.oof["image_id"].iloc[place])
        target = files.read(request.truth["target"].iloc[place], image_id)
        found = load_values(request.oof["map_file"].iloc[place]).transpose(1, 2, 0)
        pictures = [picture_of(request, image_id), shown(target), shown(found), shown(np.abs(found - target))]
        tiles.append(
            Tile(
                pictures=pictures,
                names=("image", "target", "prediction", "error"),
                title=image_id,
                lines=[f"RMSE {errors[place]:.4f}"],
            )
        )
    note = f"The {WORST} images with the largest error first, then {OTHERS} from the middle up."
    return Tiles(title="Worst mistakes", tiles=tiles, note=note, side=SIDE)


def shown(values: np.ndarray) -> np.ndarray:
    """Values (H, W, C) from 0 to 1 as uint8 (H, W, 3)."""
    return as_picture(np.rint(255 * values.clip(0, 1)).astype("uint8"))
