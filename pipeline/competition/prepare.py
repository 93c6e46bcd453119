"""Reorganise: raw files into a checked manifest and, for small images of one size, one packed array.

Raw files are only read. The result is a folder that is rebuilt whole when the raw files or the competition's
loading code change, and reused in well under a second when they do not.
"""

import inspect
import json
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.files import atomic_folder, digest, file_hash, locked, remove_leftovers, write_json
from pipeline.base.progress import progress, say
from pipeline.competition.contract import Competition, check_image_frame
from pipeline.competition.sources import Source
from pipeline.raw.files import RawFiles, open_raw
from pipeline.raw.images import Decoded, decode_many

FORMAT = 1
"""Version of the prepared folder's layout."""
PACKED_SIDE = 96
"""Longest side in pixels up to which images of one size are packed: 300,000 of 32 x 32 take 0.9 GB."""
CHUNK = 512
"""Images decoded at a time; bounds memory."""


@dataclass(frozen=True)
class Prepared:
    """A competition's data, ready to train on.

    Attributes
    ----------
    train, test : manifests: image_id, path, width, height, content_hash, and for train the target columns.
    sample_submission : the organiser's sample, every column as text.
    classes : class names in the order of every model output; stored, never derived again.
    fingerprint : changes whenever raw files or loading code change.
    """

    folder: Path
    train: pd.DataFrame
    test: pd.DataFrame
    sample_submission: pd.DataFrame
    classes: list[str]
    fingerprint: str

    def packed(self, split: str) -> np.ndarray | None:
        """Memory-mapped uint8 images (N, height, width, 3) in manifest order, or None where they were not
        packed."""
        path = self.folder / f"{split}.npy"
        return np.load(path, mmap_mode="r") if path.exists() else None


def prepare(competition: Competition, source: Source, data_folder: Path) -> Prepared:
    """Return the prepared data of `source`, rebuilding it only when something changed.

    Parameters
    ----------
    data_folder : the competition's own data folder; holds extracted archives and prepared data.
    """
    raw = open_raw(source.raw, data_folder / "extracted")
    fingerprint = _fingerprint(competition, raw)
    # One folder for each place raw files come from, so that changing RAW= back and forth rebuilds nothing.
    folder = data_folder / "prepared" / digest([source.kind, str(source.raw.resolve())])
    with locked(folder.parent):
        remove_leftovers(folder.parent)
        meta = _read_meta(folder)
        if meta.get("fingerprint") != fingerprint:
            with atomic_folder(folder) as temporary:
                _build(competition, raw, temporary, fingerprint)
            meta = _read_meta(folder)
    return Prepared(
        folder,
        pd.read_parquet(folder / "train.parquet"),
        pd.read_parquet(folder / "test.parquet"),
        pd.read_parquet(folder / "sample_submission.parquet"),
        meta["classes"],
        fingerprint,
    )


def _read_meta(folder: Path) -> dict:
    try:
        return json.loads((folder / "meta.json").read_text())
    except (OSError, ValueError):
        return {}


def _build(competition: Competition, raw: RawFiles, folder: Path, fingerprint: str) -> None:
    targets = competition.task.target_columns
    train = check_image_frame(competition.load_train(raw), targets, "train")
    test = check_image_frame(competition.load_test(raw), (), "test")
    sample = competition.load_sample_submission(raw)
    classes = competition.task.classes(train)
    total = len(train) + len(test)
    with progress("read images", total, "images") as advance:
        frames = {
            "train": _scan(train, folder / "train.npy", advance),
            "test": _scan(test, folder / "test.npy", advance),
        }
    if len(pd.concat(frames)[["width", "height"]].drop_duplicates()) > 1:
        for split in frames:
            (folder / f"{split}.npy").unlink(missing_ok=True)
    for split, frame in frames.items():
        frame.to_parquet(folder / f"{split}.parquet", index=False)
    sample.to_parquet(folder / "sample_submission.parquet", index=False)
    duplicates = int(frames["train"]["content_hash"].duplicated().sum())
    shared = int(frames["test"]["content_hash"].isin(frames["train"]["content_hash"]).sum())
    say(f"{len(train):,} training and {len(test):,} test images, {len(classes)} classes")
    if duplicates or shared:
        say(f"exact copies: {duplicates:,} within train (kept in one fold), {shared:,} of train in test")
    write_json(folder / "meta.json", {"format": FORMAT, "fingerprint": fingerprint, "classes": classes})


def _scan(frame: pd.DataFrame, packed: Path, advance) -> pd.DataFrame:
    """Decode every image once: width, height and content hash for the manifest, pixels appended to `packed`.

    Raises
    ------
    UserError : an image that cannot be read, or whose size is not the one that `frame` gives it.
    """
    records: list[tuple[int, int, str]] = []
    with packed.open("wb") as file:
        shape = None
        for chunk in _decode_chunks(list(zip(frame["image_id"], frame["path"], strict=True))):
            records += [(image.width, image.height, image.content_hash) for image in chunk]
            pixels = [image.pixels for image in chunk]
            if shape is None and pixels[0] is not None:
                shape = pixels[0].shape
                np.lib.format.write_array_header_1_0(
                    file, {"descr": "|u1", "fortran_order": False, "shape": (len(frame), *shape)}
                )
            if shape and all(image is not None and image.shape == shape for image in pixels):
                # Appended rather than memory-mapped: mapped pages would count as this process's memory.
                file.write(np.stack(pixels).tobytes())
            else:
                shape = ()
            advance(len(chunk))
    if not shape:
        packed.unlink()
    columns = dict(zip(("width", "height", "content_hash"), zip(*records, strict=True), strict=True))
    scanned = frame.assign(**columns)
    _check_sizes(frame, scanned)
    return scanned


def _check_sizes(given: pd.DataFrame, decoded: pd.DataFrame) -> None:
    """Refuse given sizes that are not the decoded ones: boxes drawn at another size would not fit, and nobody
    would know. Frames without sizes pass, and so do rows with none or 0."""
    sides = ["width", "height"]
    if not set(sides) <= set(given.columns):
        return
    sizes = given[sides].apply(pd.to_numeric, errors="coerce")
    wrong = ((sizes > 0) & (sizes != decoded[sides])).any(axis=1)
    rows = zip(
        given["image_id"][wrong], sizes[wrong].to_numpy(), decoded[sides][wrong].to_numpy(), strict=True
    )
    named = [f"{name} ({w:g} x {h:g}, decoded {real[0]} x {real[1]})" for name, (w, h), real in rows]
    if named:
        raise UserError(
            f"{len(named):,} image(s) have another size than their annotations say: {name_some(named)}; "
            "use the images that were annotated (for photos that EXIF turns, remove its orientation), or "
            "where the boxes fit and only the size is wrong, drop the columns width and height in load_train"
        )


def _decode_chunks(items: list[tuple[str, str]]) -> Iterator[list[Decoded]]:
    """Decoded chunks in order, a few ahead of the reader and no more, so that memory stays flat."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque = deque()
        for start in range(0, len(items), CHUNK):
            waiting.append(pool.submit(decode_many, items[start : start + CHUNK], PACKED_SIDE))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _fingerprint(competition: Competition, raw: RawFiles) -> str:
    """Digest of the raw listing and of the loading code. Extracted folders carry their archive's identity in
    the name."""
    listing = [entry for root in raw.roots[:1] for entry in _listing(root)]
    extracted = [str(root) for root in raw.roots[1:]]
    code = file_hash(Path(inspect.getfile(type(competition))))
    return digest([FORMAT, listing, extracted, code], length=16)


def _listing(root: Path) -> list[tuple[str, int, int]]:
    entries = []
    folders = [str(root)]
    while folders:
        with os.scandir(folders.pop()) as scan:
            for entry in scan:
                if entry.is_dir():
                    folders.append(entry.path)
                else:
                    stat = entry.stat()
                    entries.append((entry.path, stat.st_size, stat.st_mtime_ns))
    return sorted(entries)
