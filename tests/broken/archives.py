"""Archives in place of folders: damaged, hostile, or of another layout."""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.broken.case import Break, accepted, refused
from tests.broken.images import PNG, whole


def packed(change: Callable[[bytes], bytes] = lambda content: content, name: str = "train.zip") -> Break:
    """Put an archive in place of cifar10's train folder, and change its bytes."""

    def breaks(raw: Path) -> None:
        kind = {".zip": "zip", ".tar": "tar", ".gz": "gztar"}[Path(name).suffix.lower()]
        made = shutil.make_archive(str(raw / "made"), kind, raw, "train")
        shutil.rmtree(raw / "train")
        content = Path(made).read_bytes()
        Path(made).unlink()
        (raw / name).write_bytes(change(content))

    return breaks


def members(*names: str, link: str | None = None) -> Break:
    """Put a zip of these members in place of the train folder."""

    def breaks(raw: Path) -> None:
        shutil.rmtree(raw / "train")
        with zipfile.ZipFile(raw / "train.zip", "w") as archive:
            for name in names:
                archive.writestr(name, PNG)
            if link:
                info = zipfile.ZipInfo(link)
                info.external_attr = 0o120777 << 16
                archive.writestr(info, "/etc/passwd")

    return breaks


def tar_of(*entries: tarfile.TarInfo) -> Break:
    """Put a tar of these members in place of the train folder."""

    def breaks(raw: Path) -> None:
        shutil.rmtree(raw / "train")
        with tarfile.open(raw / "train.tar", "w") as archive:
            for entry in entries:
                archive.addfile(entry, io.BytesIO(bytes(entry.size)))

    return breaks


def special(name: str, kind: bytes, to: str = "") -> tarfile.TarInfo:
    """A member of a tar that is no file."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, to
    return entry


def protected(content: bytes) -> bytes:
    """The bit that says that a member needs a password, in every header of a zip."""
    changed = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = changed.find(mark)
        while start >= 0:
            changed[start + place] |= 1
            start = changed.find(mark, start + 4)
    return bytes(changed)


SOUND = tuple(f"train/{n}.png" for n in range(1, 5))
OUT = "outside the target folder"

CASES = [
    accepted("a zip in place of a folder", "cifar10", packed(), whole),
    accepted("a tar in place of a folder", "cifar10", packed(name="train.tar"), whole),
    accepted("a tar.gz in place of a folder", "cifar10", packed(name="train.tar.gz"), whole),
    accepted("an archive's suffix in capital letters", "cifar10", packed(name="train.ZIP"), whole),
    accepted(
        "a zip whose images are in no folder", "cifar10", members("1.png", "2.png", "3.png", "4.png"), whole
    ),
    accepted(
        "a zip of folders of Windows", "cifar10", members(*(name.replace("/", "\\") for name in SOUND)), whole
    ),
    accepted(
        "a zip with what macOS adds",
        "cifar10",
        members(*SOUND, "__MACOSX/train/._1.png", "train/.DS_Store"),
        whole,
    ),
    accepted(
        "a broken archive beside its folder, which is not needed",
        "cifar10",
        lambda raw: (raw / "train.zip").write_bytes(b"PK"),
        whole,
    ),
    refused(
        "a zip cut in the middle",
        "cifar10",
        packed(lambda content: content[: len(content) // 2]),
        "train.zip",
    ),
    refused("a zip of no bytes", "cifar10", packed(lambda content: b""), "train.zip"),
    refused(
        "a zip that is an error page", "cifar10", packed(lambda content: b"<html>403</html>"), "train.zip"
    ),
    refused(
        "a zip with changed bytes",
        "cifar10",
        packed(lambda content: content[:80] + bytes(60) + content[140:]),
        "train.zip",
    ),
    refused("a zip with a password", "cifar10", packed(protected), "train.zip", "password"),
    refused("a zip without members", "cifar10", members(), "train"),
    refused("a zip of other files", "cifar10", members("train/readme.txt"), "train", "no images"),
    refused("a zip with a way out", "cifar10", members(*SOUND, "../../x.png"), "train.zip", OUT),
    refused("a zip with an absolute name", "cifar10", members(*SOUND, "/tmp/x.png"), "train.zip", OUT),
    refused("a zip with a drive of Windows", "cifar10", members(*SOUND, "C:\\x.png"), "train.zip", OUT),
    refused(
        "a zip with a link", "cifar10", members(*SOUND, link="train/5.png"), "train.zip", "5.png", "a link"
    ),
    refused(
        "a tar cut in the middle", "cifar10", packed(lambda content: content[:700], "train.tar"), "train.tar"
    ),
    refused(
        "a tar.gz cut in the middle",
        "cifar10",
        packed(lambda content: content[: len(content) // 2], "train.tar.gz"),
        "train.tar.gz",
    ),
    refused(
        "a tar.gz with changed bytes",
        "cifar10",
        packed(lambda content: content[:-6] + bytes(6), "train.tar.gz"),
        "train.tar.gz",
    ),
    refused(
        "a tar with a device",
        "cifar10",
        tar_of(special("train/1.png", tarfile.CHRTYPE)),
        "train.tar",
        "1.png",
    ),
    refused(
        "a tar with a pipe", "cifar10", tar_of(special("train/1.png", tarfile.FIFOTYPE)), "train.tar", "1.png"
    ),
    refused(
        "a tar with a hard link",
        "cifar10",
        tar_of(special("train/1.png", tarfile.LNKTYPE, "/etc/passwd")),
        "train.tar",
        "1.png",
    ),
    refused("a tar with a way out", "cifar10", tar_of(tarfile.TarInfo("../x.png")), "train.tar", OUT),
    refused(
        "a rar",
        "cifar10",
        lambda raw: (shutil.rmtree(raw / "train"), (raw / "train.rar").write_bytes(b"Rar!\x1a\x07\x01\x00")),
        "train",
    ),
]
