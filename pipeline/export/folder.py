"""The images of any folder, and files of what a run says about them: a table, pictures and a page."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.base.errors import UserError, name_some
from pipeline.base.files import atomic_path
from pipeline.base.page import section, write_page
from pipeline.base.parts import Tile, Tiles
from pipeline.base.progress import progress, say
from pipeline.competition.base import Competition
from pipeline.competition.decoded import decode_chunks, rows_of
from pipeline.competition.unreadable import NAMED, OnBadImage
from pipeline.delivery.submission import write_submission
from pipeline.inputs.batches import Images
from pipeline.raw.images import UnreadableImageError
from pipeline.raw.listing import IMAGE_SUFFIXES, composed, image_names, is_visible
from pipeline.readers.decoding import Decoding
from pipeline.readers.photographs import Photographs
from pipeline.readers.stored import Stored
from pipeline.runs.run import save_frame

SIDE = 512
"""Longest side of a picture in pixels."""
MOST_SHOWN = 300
"""Pictures on the page, each of which is inside it."""


def list_images(folder: Path, decoding: Decoding) -> pd.DataFrame:
    """image_id (the path below the folder, without its suffix) and path of each image, at any depth.

    Raises
    ------
    UserError : no such folder, no image in it, two images of one id, or a reader that needs more than a path.
    """
    if not folder.is_dir():
        raise UserError(f"IMAGES={folder} is no folder: give one that holds images")
    reader = decoding.reader
    if reader.columns:
        raise UserError(
            f"{type(reader).__name__} reads the column(s) {name_some(reader.columns)} beside a path, which a "
            "folder of images has not: give the images as RAW=<folder>, with make submit"
        )
    # What other readers read has any suffix.
    suffixes = IMAGE_SUFFIXES if isinstance(reader, Photographs | Stored) else ("",)
    found: list[tuple[str, str]] = []
    for place, inner, _ in os.walk(folder, followlinks=True):
        inner[:] = sorted(name for name in inner if is_visible(name))
        below = "" if Path(place) == folder else f"{Path(place).relative_to(folder).as_posix()}/"
        for name in image_names(Path(place), suffixes)[0] if suffixes != ("",) else _files(Path(place)):
            found.append((f"{below}{composed(name.rpartition('.')[0] or name)}", str(Path(place) / name)))
    if not found:
        raise UserError(f"IMAGES={folder} has no images ({', '.join(suffixes)}): give a folder that has some")
    frame = pd.DataFrame(sorted(found), columns=["image_id", "path"], dtype="str")
    twice = frame[frame["image_id"].duplicated(keep=False)]
    if len(twice):
        raise UserError(
            f"IMAGES={folder} has more than one image for {twice['image_id'].nunique()} id(s): "
            f"{name_some(twice['path'])}; keep one file of each name"
        )
    return frame


def _files(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if entry.is_file() and is_visible(entry.name)]


def read_folder(folder: Path, decoding: Decoding, on_bad_image: OnBadImage, out: Path) -> Images:
    """The images that can be read; the others are named, and listed in ``unreadable.txt`` in `out`.

    Raises
    ------
    UserError : as `list_images`; images that cannot be read, under ``error``; none that can.
    """
    frame = list_images(folder, decoding)
    sizes: list[tuple[int, int]] = []
    problems: dict[str, UnreadableImageError] = {}
    with progress("read images", len(frame), "images") as advance:
        for chunk in decode_chunks(rows_of(decoding.reader, frame), decoding):
            for one in chunk:
                if one.problem:
                    problems[str(frame["image_id"].iat[len(sizes)])] = one.problem
                sizes.append((one.width, one.height))
            advance(len(chunk))
    frame = frame.assign(width=[width for width, _ in sizes], height=[height for _, height in sizes])
    if problems:
        told = f"{len(problems):,} of {len(frame):,} image(s) cannot be read: "
        told += name_some([f"{name} ({problem.reason})" for name, problem in problems.items()], NAMED)
        if on_bad_image == "error":
            raise UserError(f"{told}; replace them, or go on without them: --on-bad-image warn")
        if len(problems) == len(frame):
            raise UserError(f"{told}; none is left to predict")
        say(f"warning: {told}; they get no row ({out / 'unreadable.txt'})")
        with atomic_path(out / "unreadable.txt") as temporary:
            lines = [f"{name}: {problem.reason}\n" for name, problem in problems.items()]
            temporary.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")
    good = frame[~frame["image_id"].isin(list(problems))].reset_index(drop=True)
    return Images(good, None, decoding)


def write_table(
    competition: Competition, predictions: pd.DataFrame, images: Images, classes: list[str], out: Path
) -> Path:
    """predictions.csv in the submission's format, or, where that needs more than a folder of images has, with
    all numbers as they are; and predictions.parquet with these."""
    out.mkdir(parents=True, exist_ok=True)
    save_frame(predictions.drop(columns="decided", errors="ignore"), out / "predictions.parquet")
    path = out / "predictions.csv"
    form = competition.submission_format(classes)
    try:
        frame = competition.to_submission(predictions, images.frame, classes)
        write_submission(frame, form.sample_of(images.frame["image_id"].tolist()), images.frame, form, path)
    except (KeyError, UserError) as error:
        reason = f"no column {error}" if isinstance(error, KeyError) else str(error)
        say(
            f"note: {path} has the predictions as they are, for a submission cannot be made of them: {reason}"
        )
        with atomic_path(path) as temporary:
            predictions.to_csv(temporary, index=False)
    return path


def write_pictures(
    competition: Competition, predictions: pd.DataFrame, images: Images, classes: Sequence[str], out: Path
) -> Path:
    """A picture of each image with what is predicted, and index.html, which shows the first `MOST_SHOWN`."""
    tiles = []
    records = [{str(name): value for name, value in one.items()} for one in predictions.to_dict("records")]
    with progress("draw", len(images), "images") as advance:
        for row, prediction in enumerate(records):
            shown, caption = competition.task.picture(images.picture(row), prediction, classes)
            picture = Image.fromarray(shown)
            picture.thumbnail((SIDE, SIDE))
            name = f"{quote(str(prediction['image_id']), safe='')}.jpg"
            with atomic_path(out / "pictures" / name) as temporary:
                picture.save(temporary, quality=88)
            if row < MOST_SHOWN:
                tiles.append(
                    Tile(pictures=[np.asarray(picture)], title=str(prediction["image_id"]), lines=[caption])
                )
            advance(1)
    note = "" if len(records) <= MOST_SHOWN else f"The first {MOST_SHOWN}; the folder pictures/ has all."
    part = section(Tiles(title="Predictions", tiles=tiles, note=note))
    return write_page(out / "index.html", f"{competition.slug}: {len(records):,} images", (part,))
