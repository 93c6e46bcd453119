"""A competition's data, ready to train on: a folder of checked frames and, for small images, their pixels."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError
from pipeline.base.files import file_hash, write_json
from pipeline.config.reach import Reach
from pipeline.inputs.batches import Images
from pipeline.inputs.copies import Copies
from pipeline.readers.decoding import Decoding
from pipeline.readers.reader import Reader

META = "meta.json"
FRAMES = ("train", "test", "sample_submission")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A competition's data, ready to train on.

    Attributes
    ----------
    folder : what the data were read from; another process opens them by it.
    train, test : manifests: image_id, path, width, height, content_hash, what `load_train` and `load_test`
        gave besides, and for train the target columns.
    sample_submission : the organiser's sample, every column as text.
    decoding : how images are read: the reader, black and white, channels and their statistics.
    classes : class names in the order of every model output; stored, never derived again.
    train_identity, test_identity : change whenever the content of frames or images does, and with nothing
        else; see `pipeline.competition.identity`.
    """

    folder: Path
    train: pd.DataFrame
    test: pd.DataFrame
    sample_submission: pd.DataFrame
    decoding: Decoding = field(default_factory=Decoding)
    classes: list[str]
    train_identity: str
    test_identity: str

    @property
    def identity(self) -> str:
        """Of both splits."""
        return f"{self.train_identity}-{self.test_identity}"

    @property
    def copies(self) -> Copies:
        """Smaller copies of the images, which all data prepared in one place share."""
        return Copies(self.folder.parent.parent / "copies")

    def images(self, split: str, reach: Reach | None = None) -> Images:
        """The images of ``train`` or ``test``; small ones of one size come from a memory-mapped file, and
        others are as small as the reach asks for."""
        frame = self.train if split == "train" else self.test
        path = self.folder / f"{split}.npy"
        packed = np.load(path, mmap_mode="r") if path.exists() else None
        return Images(frame, packed, self.decoding, reach, self.copies)


def open_prepared(folder: Path, reader: Reader) -> Prepared:
    """Read what `seal` has closed.

    Parameters
    ----------
    reader : the competition's.

    Raises
    ------
    UserError : the folder is not there, not finished, or a file in it is not the one that was written.
    """
    meta = read_meta(folder)
    if meta is None:
        raise UserError(f"{folder} holds no prepared data of this version: make data prepares them again")
    return Prepared(
        folder=folder,
        **{name: pd.read_parquet(folder / f"{name}.parquet") for name in FRAMES},
        decoding=Decoding.from_json(reader, meta),
        classes=meta["classes"],
        train_identity=meta["train_identity"],
        test_identity=meta["test_identity"],
    )


def seal(folder: Path, about: dict[str, Any]) -> None:
    """Close a folder of prepared data: write `about` with the size and hash of every file in it."""
    files = {
        path.name: [path.stat().st_size, file_hash(path)] for path in folder.iterdir() if path.name != META
    }
    write_json(folder / META, {**about, "files": files})


def read_meta(folder: Path) -> dict[str, Any] | None:
    """What `seal` wrote; None where it did not, or a file is not the one that was sealed."""
    try:
        meta = json.loads((folder / META).read_text())
        whole = all(
            (folder / name).stat().st_size == size and file_hash(folder / name) == sha
            for name, (size, sha) in meta["files"].items()
        )
        there = {path.name for path in folder.iterdir()} == {META, *meta["files"]}
        return (
            meta if whole and there and {"classes", "train_identity", "test_identity"} <= set(meta) else None
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
