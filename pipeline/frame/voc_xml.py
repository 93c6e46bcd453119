"""PASCAL VOC's annotation files (http://host.robots.ox.ac.uk/pascal/VOC/): one XML for each image."""

import codecs
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd

from pipeline.base.errors import UserError
from pipeline.frame.headers import image_size
from pipeline.frame.label_files import files_of, marked
from pipeline.frame.pairing import LOST_SHARE, pair_labels

PARSED = ("utf-8", "utf-16", "ascii", "iso8859-1")
"""Encodings that the parser reads by itself, by Python's names."""
LARGEST = 10**7
"""Pixels that no side of an image has."""


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
    files = files_of(folder, ".xml")
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
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}): get the file again") from error
    root = _annotation(_parsed(content, file), file)
    # The parser forgets lines, and only a message needs them.
    starts = [match.start() for match in re.finditer(rb"<(?:\w+:)?object[\s>]", content, re.IGNORECASE)]
    boxes, labels, crowd = [], [], []
    for number, element in enumerate(root.findall(".//object")):
        line = content.count(b"\n", 0, starts[number]) + 1 if number < len(starts) else "?"
        where = f"{file}, line {line}: the object"
        name = (element.findtext("name") or "").strip()
        if not name:
            raise UserError(f"{where} has no name; add it or remove the object")
        if element.find(".//object") is not None:
            raise UserError(f"{where} {name} holds another object; end it before the next begins")
        boxes.append(_box(element, first_pixel, f"{where} {name}"))
        labels.append(name)
        difficult = marked(word := element.findtext("difficult"))
        if difficult is None:
            raise UserError(
                f"{where} {name} has the difficult {word!r}, which is neither 0 nor 1; correct it"
            )
        crowd.append(difficult)
    width, height = (_whole(root.findtext(f"size/{side}")) for side in ("width", "height"))
    return width, height, boxes, labels, crowd, [""] * len(boxes)


def _parsed(content: bytes, file: Path) -> ET.Element:
    """The root. Tags lose their namespaces and capital letters."""
    text: bytes | str = content
    declared = re.match(rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)", content)
    name = declared[1].decode("ascii", "replace") if declared else "utf-8"
    try:
        if declared and codecs.lookup(name).name not in PARSED:
            text = content.decode(name)
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise UserError(f"{file}, line {error.position[0]} is not well-formed XML ({error.msg})") from error
    except (LookupError, ValueError) as error:  # no such encoding, and no such text in it
        raise UserError(
            f"{file} says that its encoding is {name!r}, and cannot be read in it; save it as UTF-8"
        ) from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2].lower()
    return root


def _annotation(root: ET.Element, file: Path) -> ET.Element:
    """The one annotation in a file, at its root or in what wraps it."""
    found = list(root.iter("annotation"))
    if len(found) != 1:
        what = "holds no annotation" if not found else f"holds {len(found)} annotations"
        raise UserError(
            f"{file} {what} (its first element is {root.tag}): each image has one file of its own, with one "
            "annotation in PASCAL VOC's XML"
        )
    return found[0]


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
    """A side in pixels, whole numbers with a point included; 0 where there is none."""
    try:
        side = float(text or "")
    except ValueError:
        return 0
    return int(side) if side.is_integer() and 0 < side < LARGEST else 0
