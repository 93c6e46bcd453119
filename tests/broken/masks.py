"""Mask files of segmentation, and the lists of images of PASCAL VOC."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.competition.prepared import Prepared
from pipeline.tasks.segmentation.palette import VOC_COLORS, mask_png
from pipeline.tasks.segmentation.reading import read_mask
from tests.broken.case import Break, accepted, refused
from tests.broken.images import encoded, write
from tests.broken.worlds import SIDE, mask_of, save

FILE = Path("masks/a1.png")
MASK = mask_of(0, (0, 1, 2))
PNG = mask_png(MASK)


def image(mode: str = "L", scale: int = 1) -> Image.Image:
    return Image.fromarray(MASK * np.uint8(scale)).convert(mode)


def colours(table: np.ndarray = VOC_COLORS) -> Image.Image:
    return Image.fromarray(table[MASK])


def read_as(wanted: np.ndarray) -> Callable[[Prepared], bool]:
    """Whether the mask is read as these indices."""

    def holds(data: Prepared) -> bool:
        path = data.train["mask"][0]
        return bool((read_mask(path, "a1", 3, VOC_COLORS) == wanted).all())

    return holds


SAME = read_as(MASK)


def reordered() -> bytes:
    """A palette in which 1 and 2 have each other's colours, and pixels that fit it."""
    table = VOC_COLORS.copy()
    table[[1, 2]] = table[[2, 1]]
    other = Image.fromarray(np.array([0, 2, 1], dtype=np.uint8)[MASK])
    other.putpalette(table.tobytes())
    return encoded(other, "PNG")


def every(content: Callable[[np.ndarray], bytes]) -> Break:
    """Put other bytes in place of every mask."""

    def breaks(raw: Path) -> None:
        for number in range(4):
            (raw / f"masks/a{number + 1}.png").write_bytes(content(mask_of(number, (0, 1, 2))))

    return breaks


def grey(mask: np.ndarray) -> bytes:
    return encoded(Image.fromarray(mask), "PNG")


SEGMENTATION = [
    *(
        refused(f"a mask {name}", "segmentation", write(content, FILE), "image a1", "a1.png", stage="folds")
        for name, content in {
            "of no bytes": b"",
            "cut in its pixels": PNG[: len(PNG) // 2 + 20],
            "that is text": b"0 0 1 1",
            "of a value that is no class": grey(MASK * np.uint8(3)),
            "of 0 and 255 for two classes": grey(np.where(MASK > 0, 200, 0).astype(np.uint8)),
            "of a colour that is no class's": encoded(Image.fromarray(VOC_COLORS[MASK] + np.uint8(1)), "PNG"),
            "saved as JPEG": encoded(colours(), "JPEG"),
            "of fractions": encoded(Image.fromarray(MASK.astype(np.float32) + 0.5), "TIFF"),
            "of values below 0": encoded(Image.fromarray(MASK.astype(np.int32) - 1), "TIFF"),
            "of 16 bits beyond the classes": encoded(Image.fromarray(MASK.astype(np.uint16) * 300), "PNG"),
        }.items()
    ),
    *(
        accepted(f"a mask {name}", "segmentation", write(content, FILE), SAME)
        for name, content in {
            "of grey values": grey(MASK),
            "of colours": encoded(colours(), "PNG"),
            "of colours with transparency": encoded(colours().convert("RGBA"), "PNG"),
            "of grey with transparency": encoded(image("LA"), "PNG"),
            "of 16 bits": encoded(Image.fromarray(MASK.astype(np.uint16)), "PNG"),
            "of 32 bits": encoded(Image.fromarray(MASK.astype(np.int32)), "TIFF"),
            "of whole floats": encoded(Image.fromarray(MASK.astype(np.float32)), "TIFF"),
            "whose palette has another order": reordered(),
        }.items()
    ),
    accepted(
        "a mask of ignored pixels alone",
        "segmentation",
        write(grey(np.full((SIDE, SIDE), 255, np.uint8)), FILE),
        read_as(np.full((SIDE, SIDE), 255)),
    ),
    refused(
        "a link in place of a mask that leads nowhere",
        "segmentation",
        lambda raw: ((raw / FILE).unlink(), (raw / FILE).symlink_to("gone.png")),
        "a1.png",
    ),
    refused(
        "masks of 0 and 255",
        "segmentation",
        every(lambda mask: grey(np.where(mask > 0, 255, 0).astype(np.uint8))),
        "no training mask has the class",
        "255",
    ),
    refused(
        "masks of background alone",
        "segmentation",
        every(lambda mask: grey(mask * np.uint8(0))),
        "no training mask has the class",
    ),
    refused("a class in no mask", "segmentation", every(lambda mask: grey(np.minimum(mask, 1))), "square"),
    refused("no masks", "segmentation", lambda raw: [f.unlink() for f in (raw / "masks").iterdir()], "masks"),
    refused(
        "masks of other images",
        "segmentation",
        lambda raw: [f.rename(f.with_stem(f"z{f.stem}")) for f in (raw / "masks").iterdir()],
        "no id in masks",
    ),
    refused(
        "masks named after their images and more",
        "segmentation",
        lambda raw: [f.rename(f.with_stem(f"{f.stem}_mask")) for f in (raw / "masks").iterdir()],
        "_mask) has a file in images",
    ),
    accepted(
        "an image without a mask, which is named",
        "segmentation",
        lambda raw: (raw / FILE).unlink(),
        lambda data: len(data.train) == 3,
        "a1",
        "left out",
    ),
]

YEAR = Path("VOCdevkit/VOC2012")
LIST = YEAR / "ImageSets/Segmentation/trainval.txt"
TEST = YEAR / "ImageSets/Segmentation/test.txt"
IDS = "2012_000001\n2012_000002\n2012_000003\n2012_000004\n"

VOC = [
    accepted(
        "a list with lines of Windows",
        "voc",
        write(IDS.replace("\n", "\r\n").encode(), LIST),
        lambda data: len(data.train) == 4,
    ),
    accepted(
        "a list with blanks and blank lines",
        "voc",
        write(IDS.replace("\n", "  \n\n").encode(), LIST),
        lambda data: len(data.train) == 4,
    ),
    accepted(
        "a list with an image without a mask, which is named",
        "voc",
        write((IDS + "2012_000099\n").encode(), LIST),
        lambda data: len(data.train) == 4,
        "2012_000099",
        "left out",
    ),
    accepted(
        "a list with a byte order mark",
        "voc",
        write(b"\xef\xbb\xbf" + IDS.encode(), LIST),
        lambda data: len(data.train) == 4,
    ),
    refused("a list of no lines", "voc", write(b"", LIST), "trainval.txt", "no images"),
    refused("a list in UTF-16", "voc", write(IDS.encode("utf-16"), LIST), "trainval.txt"),
    refused(
        "a list with an id twice",
        "voc",
        write((IDS + IDS[:12]).encode(), LIST),
        "trainval.txt",
        "2012_000001",
    ),
    refused("a list of other images", "voc", write(b"1\n2\n", LIST), "Segmentation lists", "such as 1"),
    refused("a list of test images that are not there", "voc", write(b"1\n2\n", TEST), "test"),
    accepted(
        "an image in both lists, which is named",
        "voc",
        write((IDS[:12] + "2012_000005\n").encode(), TEST),
        lambda data: len(data.test) == 2,
        "1 of train in test: 2012_000001 = 2012_000001",
    ),
    refused(
        "no lists",
        "voc",
        lambda raw: [f.unlink() for f in (raw / LIST).parent.iterdir()],
        "ImageSets/Segmentation",
    ),
    refused(
        "no masks",
        "voc",
        lambda raw: [f.unlink() for f in (raw / YEAR / "SegmentationClass").iterdir()],
        "SegmentationClass",
    ),
    refused(
        "a mask of a colour that is no class's",
        "voc",
        write(
            encoded(Image.fromarray(np.full((SIDE, SIDE, 3), 7, np.uint8)), "PNG"),
            YEAR / "SegmentationClass/2012_000001.png",
        ),
        "2012_000001",
        stage="folds",
    ),
    accepted(
        "more images than are listed",
        "voc",
        lambda raw: save(raw / YEAR / "JPEGImages", ["2099_000001.jpg"], 70),
        lambda data: len(data.train) == 4,
    ),
]

CASES = [*SEGMENTATION, *VOC]
