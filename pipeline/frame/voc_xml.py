"""PASCAL VOC's annotation files (http://host.robots.ox.ac.uk/pascal/VOC/): one XML for each image."""

import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd

from pipeline.base.errors import UserError
from pipeline.frame.pairing import LOST_SHARE, pair_labels
from pipeline.frame.yolo_txt import image_size


def read_voc(
    folder: Path, images: pd.DataFrame, first_pixel: int = 1, tolerance: float = LOST_SHARE
) -> pd.DataFrame:
    """Read ``<image_id>.xml`` of every image. Objects marked difficult become crowd: they do not count.

    VOC counts pixels from 1 and names the last one inside, so that its xmin, ymin, xmax, ymax are the corners
    xmin - 1, ymin - 1, xmax, ymax here; IoU without "+1 pixel" is then what VOC's own program computes.

    Parameters
    ----------
    folder : the XML files.
    images : image_id and path. Images without a file and files without an image are left out and named.
    first_pixel : 0 for files of tools that write plain corners into VOC's format; nothing is subtracted then.
    tolerance : see `pipeline.frame.pairing.pair_labels`.

    Returns
    -------
    Truth frame; see `pipeline.frame.boxes`. The size is the file's, or where it names none, that of the
    image.

    Raises
    ------
    UserError : no XML files, or a malformed one; names the file and the line.
    """
    files = sorted(folder.glob("*.xml"))
    if not files:
        raise UserError(f"{folder} has no XML files: check that the raw files are complete")
    rows = [(file.stem, *_read(file, first_pixel)) for file in files]
    columns = ["image_id", "width", "height", "boxes", "labels", "crowd", "masks"]
    frame = pair_labels(
        pd.DataFrame(rows, columns=columns).astype({"image_id": "str"}),
        images,
        str(folder),
        "the image files",
        tolerance,
    )
    sizes = [
        (int(width), int(height)) if width and height else image_size(path, image_id)
        for image_id, path, width, height in zip(
            frame["image_id"], frame["path"], frame["width"], frame["height"], strict=True
        )
    ]
    return frame.assign(width=[size[0] for size in sizes], height=[size[1] for size in sizes])


def _read(file: Path, first_pixel: int) -> tuple[int, int, list, list, list, list]:
    """width, height (0 where the file does not say), boxes, labels, crowd and masks of one file."""
    content = file.read_bytes()
    try:
        root = ET.fromstring(content)
    except ET.ParseError as error:
        raise UserError(f"{file}, line {error.position[0]} is not well-formed XML ({error.msg})") from error
    # The parser forgets lines, and only a message needs them.
    starts = [match.start() for match in re.finditer(rb"<object[\s>]", content)]
    boxes, labels, crowd = [], [], []
    for number, element in enumerate(root.findall("object")):
        line = content.count(b"\n", 0, starts[number]) + 1 if number < len(starts) else "?"
        name = (element.findtext("name") or "").strip()
        if not name:
            raise UserError(f"{file}, line {line}: the object has no name; add it or remove the object")
        boxes.append(_box(element, first_pixel, f"{file}, line {line}: the object {name}"))
        labels.append(name)
        crowd.append(int((element.findtext("difficult") or "0").strip() == "1"))
    width, height = (_whole(root.findtext(f"size/{side}")) for side in ("width", "height"))
    return width, height, boxes, labels, crowd, [""] * len(boxes)


def _box(element: ET.Element, first_pixel: int, where: str) -> list[float]:
    words = [element.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
    try:
        x1, y1, x2, y2 = (float(word or "") for word in words)
    except ValueError:
        raise UserError(
            f"{where} has no bndbox of four numbers xmin, ymin, xmax, ymax; repair or remove it"
        ) from None
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        raise UserError(f"{where} has a bndbox with a number that is not finite; repair or remove it")
    return [x1 - first_pixel, y1 - first_pixel, x2, y2]


def _whole(text: str | None) -> int:
    text = (text or "").strip()
    return int(text) if text.isdecimal() else 0
