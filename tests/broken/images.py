"""Image files: other kinds than the name says, damaged ones, and what lies beside them."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from pipeline.competition.prepared import Prepared
from tests.broken.case import Break, accepted, refused
from tests.broken.worlds import SIDE, TEST, TRAIN, picture

FILE = Path("train/1.png")
"""The image that is broken, of cifar10's layout."""


def write(content: bytes, name: Path = FILE) -> Break:
    """Put these bytes in place of the image."""
    return lambda raw: (raw / name).write_bytes(content)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    """The bytes of an image file of this kind."""
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def shows(wanted: np.ndarray, tolerance: float = 0) -> Callable[[Prepared], bool]:
    """Whether the image is read as these pixels (H, W, 3)."""

    def holds(data: Prepared) -> bool:
        row = data.train.index[data.train["image_id"] == "1"][0]
        found = data.images("train").read(int(row)).astype(float)
        return found.shape == wanted.shape and bool(np.abs(found - wanted).max() <= tolerance)

    return holds


def whole(data: Prepared) -> bool:
    """All images are there, and no more."""
    return (len(data.train), len(data.test)) == (TRAIN, TEST)


RGB = np.asarray(picture(0))
GREY = RGB[..., 0]
PNG, JPEG = encoded(picture(0), "PNG"), encoded(picture(0), "JPEG", quality=95)
DECODED = np.asarray(Image.open(io.BytesIO(JPEG)))


def grey(values: np.ndarray) -> np.ndarray:
    """(H, W) to three equal channels."""
    return np.repeat(values[..., None], 3, axis=2)


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def transparent() -> Image.Image:
    image = picture(0).convert("RGBA")
    image.putalpha(0)
    return image


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(picture(0), "PNG", exif=exif)


def animated(kind: str) -> bytes:
    return encoded(picture(0), kind, save_all=True, append_images=[picture(1)], lossless=True)


def huge_header() -> bytes:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return PNG[:8] + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def bomb_of_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * (2 << 20), zip=True)
    return encoded(picture(0), "PNG", pnginfo=info)


def add(name: str | bytes, content: bytes = b"") -> Break:
    """Put a file beside the images."""

    def breaks(raw: Path) -> None:
        with open(os.path.join(os.fsencode(raw), os.fsencode(name)), "wb") as file:  # noqa: PTH118, PTH123
            file.write(content)

    return breaks


def folder(name: str) -> Break:
    return lambda raw: (raw / name).mkdir(parents=True)


def link(name: str, to: str) -> Break:
    def breaks(raw: Path) -> None:
        (raw / name).unlink(missing_ok=True)
        (raw / name).symlink_to(to)

    return breaks


def pipe(raw: Path) -> None:
    (raw / FILE).unlink()
    os.mkfifo(raw / FILE)


def several(raw: Path) -> None:
    for name in ("train/1.png", "train/3.png", "test/2.png"):
        (raw / name).write_bytes(PNG[:40])


DAMAGED = {
    "of no bytes": b"",
    "cut after its signature": PNG[:8],
    "cut in its header": PNG[:20],
    "cut in its pixels": PNG[: len(PNG) // 2],
    "of zeros": bytes(len(PNG)),
    "that is an error page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "that is a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
    "that is an SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>',
    "that is a PDF": b"%PDF-1.4\n%%EOF\n",
    "that is a zip": b"PK\x05\x06" + bytes(18),
    "whose header says 60,000 pixels a side": huge_header(),
    "with a comment that unpacks to megabytes": bomb_of_text(),
    "with a byte of its pixels changed": PNG[:60] + bytes([PNG[60] ^ 255]) + PNG[61:],
    "with lines that end as a text editor saved them": PNG.replace(b"\r\n", b"\n"),
    "as JPEG cut in its pixels": JPEG[: len(JPEG) * 2 // 3],
    "as JPEG of its two first bytes": JPEG[:2],
    "as BMP cut in its pixels": encoded(picture(0), "BMP")[:100],
    "as GIF cut in its pixels": encoded(picture(0), "GIF")[:40],
    "as TIFF cut in its pixels": encoded(picture(0), "TIFF")[:60],
    "as WebP cut in its pixels": encoded(picture(0), "WEBP", lossless=True)[:60],
    "as TIFF whose directory points beyond its end": b"II*\x00\xff\xff\xff\x7f",
    "as 16-bit RGB cut in its pixels": encoded(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG")[:90],
}
"""Each is named with its id and path."""

READ: dict[str, tuple[bytes, np.ndarray, float]] = {
    "PNG that is a JPEG": (JPEG, DECODED, 0),
    "PNG that is a BMP": (encoded(picture(0), "BMP"), RGB, 0),
    "PNG that is a lossless WebP": (encoded(picture(0), "WEBP", lossless=True), RGB, 0),
    "PNG that is a TIFF": (encoded(picture(0), "TIFF"), RGB, 0),
    "PNG that is a PPM": (encoded(picture(0), "PPM"), RGB, 0),
    "TIFF compressed by LZW": (encoded(picture(0), "TIFF", compression="tiff_lzw"), RGB, 0),
    "JPEG without its end marker": (JPEG[:-2], DECODED, 0),
    "JPEG with bytes after its end": (JPEG + b"\0" * 99, DECODED, 0),
    "JPEG that is progressive": (encoded(picture(0), "JPEG", progressive=True, quality=95), DECODED, 0),
    "greyscale": (encoded(Image.fromarray(GREY), "PNG"), grey(GREY), 0),
    "greyscale JPEG": (encoded(Image.fromarray(GREY), "JPEG", quality=100), grey(GREY), 9),
    "one bit": (
        encoded(Image.fromarray(GREY > 127), "PNG"),
        grey(np.where(GREY > 127, 255, 0)),
        0,
    ),
    "palette": (encoded(picture(0).quantize(256), "PNG"), RGB, 90),
    "GIF": (encoded(picture(0).quantize(256), "GIF"), RGB, 90),
    "CMYK JPEG": (encoded(picture(0).convert("CMYK"), "JPEG", quality=100), RGB, 12),
    "transparent, which is laid over white": (encoded(transparent(), "PNG"), np.full_like(RGB, 255), 0),
    "grey with transparency": (encoded(Image.fromarray(GREY).convert("LA"), "PNG"), grey(GREY), 0),
    "16 bits": (
        encoded(Image.fromarray(np.where(GREY > 127, 65535, 0).astype(np.uint16)), "PNG"),
        grey(np.where(GREY > 127, 255, 0)),
        0,
    ),
    "half a turn by EXIF": (turned(3), RGB[::-1, ::-1], 0),
    "a quarter turn by EXIF": (turned(6), np.rot90(RGB, -1), 0),
    "an orientation that EXIF does not know": (turned(99), RGB, 0),
    "interlaced": (encoded(picture(0), "PNG", interlace=1), RGB, 0),
    "animated PNG, of which the first frame is read": (animated("PNG"), RGB, 0),
    "animated WebP, of which the first frame is read": (animated("WEBP"), RGB, 0),
    "several pages of TIFF, of which the first is read": (animated("TIFF"), RGB, 0),
}
"""Each with what is read of it, and by how much a lossy kind may be off."""

CASES = [
    *(
        refused(f"a file {name}", "cifar10", write(content), "image 1:", "train/1.png", "--on-bad-image warn")
        for name, content in DAMAGED.items()
    ),
    *(
        accepted(f"an image: {name}", "cifar10", write(content), shows(wanted, tolerance))
        for name, (content, wanted, tolerance) in READ.items()
    ),
    refused(
        "three files cut, all named",
        "cifar10",
        several,
        "3 image files",
        "train 1 (",
        "train 3 (",
        "test 2 (",
    ),
    refused("a folder named like an image", "cifar10", folder("train/5.png"), "5.png", "move them away"),
    refused("a pipe named like an image", "cifar10", pipe, "train has 1", "1.png"),
    refused(
        "a link that leads nowhere",
        "cifar10",
        link("train/1.png", "gone.png"),
        "image 1:",
        "a link to a file",
    ),
    refused("a link in a circle", "cifar10", link("train/1.png", "1.png"), "1.png"),
    refused("a link to the folder itself", "cifar10", link("train/deep", "."), "train has images in folders"),
    refused("a name that is not UTF-8", "cifar10", add(b"train/caf\xe9.png", PNG), "not UTF-8", "caf"),
    refused(
        "one id with two suffixes",
        "cifar10",
        add("train/1.jpg", JPEG),
        "1.jpg",
        "1.png",
        "one file for each id",
    ),
    refused(
        "images in a folder in the folder",
        "cifar10",
        lambda raw: (folder("train/more")(raw), add("train/more/9.png", PNG)(raw)),
        "more",
    ),
    refused(
        "no image in the folder",
        "cifar10",
        lambda raw: [file.unlink() for file in (raw / "test").iterdir()],
        "test",
    ),
    refused(
        "a test image without a row in the labels",
        "cifar10",
        lambda raw: [add(f"train/{n}.png", PNG)(raw) for n in range(20, 30)],
        "10",
        "files without labels",
    ),
    accepted(
        "Thumbs.db, .DS_Store and ._1.png beside the images",
        "cifar10",
        lambda raw: [
            add(f"train/{name}", b"x")(raw) for name in ("Thumbs.db", ".DS_Store", "._1.png", "desktop.ini")
        ],
        whole,
    ),
    accepted(
        "__MACOSX beside the folders",
        "cifar10",
        lambda raw: (folder("__MACOSX/train")(raw), add("__MACOSX/train/._1.png", b"x")(raw)),
        whole,
    ),
    accepted(
        "a suffix in capital letters", "cifar10", lambda raw: (raw / FILE).rename(raw / "train/1.PNG"), whole
    ),
    accepted(
        "a sound image through a link",
        "cifar10",
        lambda raw: ((raw / FILE).rename(raw / "one.png"), (raw / FILE).symlink_to("../one.png")),
        whole,
    ),
    accepted(
        "an image of one pixel",
        "cifar10",
        write(encoded(picture(0).crop((0, 0, 1, 1)), "PNG")),
        shows(RGB[:1, :1]),
    ),
    accepted(
        "an image of one row",
        "cifar10",
        write(encoded(picture(0).crop((0, 0, SIDE, 1)), "PNG")),
        shows(RGB[:1]),
    ),
    accepted(
        "one picture in two classes, which is named",
        "cifar10",
        write(PNG, Path("train/2.png")),
        whole,
        "1 = 2",
        "other targets",
    ),
    accepted(
        "a training image among the test images, which is named",
        "cifar10",
        write(PNG, Path("test/2.png")),
        whole,
        "of train in test: 2 = 1",
    ),
]
