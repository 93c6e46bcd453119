"""Reorganise: raw files into checked manifests and, for small images of one size, one packed array.

Raw files are only read. The competition's loading code runs every time, it is cheap; images are decoded once.
The result is a folder named after its content, so that the same files give the same folder wherever they lie.
"""

import os
import tempfile
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import TEMPORARY, UserError, name_some
from pipeline.base.files import atomic_folder, atomic_path, locked, remove_leftovers
from pipeline.base.progress import progress, say
from pipeline.competition.base import Competition
from pipeline.competition.decoded import (
    COLUMNS,
    PACKED_DEPTH,
    PACKED_SIDE,
    Advance,
    DecodedCache,
    decode_chunks,
    files_of,
    hashes_of_cells,
    key_of,
    known_decoding,
    rows_of,
    way_of,
)
from pipeline.competition.identity import frame_identity, reading_code
from pipeline.competition.prepared import Prepared, open_prepared, read_meta, seal
from pipeline.competition.sources import Source
from pipeline.competition.unreadable import OnBadImage, Problems, without_unreadable
from pipeline.frame.schema import check_image_frame
from pipeline.raw.files import open_raw
from pipeline.raw.images import UnreadableImageError
from pipeline.readers.decoding import Decoding
from pipeline.readers.reader import Row

FORMAT = 2
"""Version of the prepared folder's layout."""


def prepare(
    competition: Competition,
    source: Source,
    data_folder: Path,
    on_bad_image: OnBadImage = "error",
    decoding: Decoding | None = None,
) -> Prepared:
    """The prepared data of `source`; images that were decoded before are not decoded again.

    Parameters
    ----------
    data_folder : the competition's own data folder; holds extracted archives and prepared data.
    on_bad_image : what is done with image files that cannot be read; see `pipeline.competition.unreadable`.
    decoding : how images are decoded, as in the run that is to predict them; None: measured on training
        images.

    Raises
    ------
    UserError : raw files or a sample submission that make no sense; names the file, the row or the image.
        Nothing is written then.
    """
    raw = open_raw(source.raw, data_folder / "extracted")
    task = competition.task
    train = check_image_frame(competition.load_train(raw), task.target_columns, "train", task.name_columns)
    test = check_image_frame(competition.load_test(raw), (), "test")
    train, test = _with_table(competition, train, test)
    sample = competition.load_sample_submission(raw)
    classes = task.classes(train)
    # Before anything is written: a wrong sample file would take the place of the right one.
    competition.submission_format(classes).check_sample(sample, test)
    home = data_folder / "prepared"
    with locked(home):
        remove_leftovers(home)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=home) as scratch:
            given = {"train": train, "test": test}
            return _reorganise(competition, given, sample, classes, Path(scratch), on_bad_image, decoding)


def _with_table(
    competition: Competition, train: pd.DataFrame, test: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The frames with the columns of the competition's table checked. Raises UserError."""
    table = competition.table
    if table is None:
        return train, test
    told = sorted({*table.columns} & {"image_id", "path", *competition.task.target_columns})
    if told:
        raise UserError(f"the competition's table has {name_some(told)}, which it must not: leave it out")
    return table.checked(train, "train"), table.checked(test, "test")


def _reorganise(
    competition: Competition,
    given: dict[str, pd.DataFrame],
    sample: pd.DataFrame,
    classes: list[str],
    scratch: Path,
    on_bad_image: OnBadImage,
    decoding: Decoding | None,
) -> Prepared:
    """Decode what is not known, and write the folder of this content unless it is there.

    Parameters
    ----------
    given : the frames of both splits.
    scratch : an empty folder; the prepared folders lie beside it.
    """
    home = scratch.parent
    code, notes = reading_code(competition), ()
    if decoding is None:
        rows, named = rows_of(competition.reader, given["train"]), competition.named_levels()
        decoding, notes = known_decoding(competition.reader, named, code, rows, home / "levels.json")
    cache = DecodedCache(home / "decoded.parquet", way_of(decoding, code))
    frames, problems = _decoded(cache, given, scratch, decoding)
    if problems:
        given = without_unreadable(given, frames, problems, on_bad_image, home, decoding)
        frames, _ = _decoded(cache, given, scratch, decoding)
    files = {
        name: hashes_of_cells(cache, given["train"][name].tolist()) for name in competition.task.file_columns
    }
    paths = competition.reader.path_columns
    train_identity = frame_identity(frames["train"], files, paths)
    test_identity = frame_identity(frames["test"], {}, paths)
    tables = {**frames, "sample_submission": sample}
    folder = home / f"{train_identity}-{test_identity}"
    about = {
        "format": FORMAT,
        "classes": classes,
        **decoding.to_json(),
        "train_identity": train_identity,
        "test_identity": test_identity,
    }
    meta = read_meta(folder)
    if meta is None or {name: meta.get(name) for name in about} != about:
        with atomic_folder(folder) as temporary:
            if _packable(frames, decoding):
                for split, frame in frames.items():
                    _pack(frame, scratch / f"{split}.npy", temporary / f"{split}.npy", decoding)
            _write_tables(temporary, tables, about)
        known = {name: pd.Series(hashes) for name, hashes in files.items()}
        table = competition.table
        beside = () if table is None else table.columns
        if table is not None:
            notes = (*notes, *table.notes(frames["train"], frames["test"]))
        told = frames["train"][list(competition.task.target_columns)].assign(**known)
        _tell(frames, classes, notes, told, frames["train"][list(beside)])
    elif not all(frame.equals(pd.read_parquet(folder / f"{name}.parquet")) for name, frame in tables.items()):
        _write_tables(folder, tables, about)  # the same content in another place, or another sample file
    return open_prepared(folder, competition.reader)


def _write_tables(folder: Path, tables: dict[str, pd.DataFrame], about: dict[str, Any]) -> None:
    for name, frame in tables.items():
        with atomic_path(folder / f"{name}.parquet") as temporary:
            frame.to_parquet(temporary, index=False)
    seal(folder, about)


def _tell(
    frames: dict[str, pd.DataFrame],
    classes: list[str],
    notes: Sequence[str],
    targets: pd.DataFrame,
    beside: pd.DataFrame,
) -> None:
    """Say what there is, and which pictures are there more than once.

    Parameters
    ----------
    targets : of each training image, with the content of files instead of their names.
    beside : the table beside each: copies with other numbers may well have other targets.
    """
    train, test = frames["train"], frames["test"]
    say(f"{len(train):,} training and {len(test):,} test images, {len(classes)} classes")
    for note in notes:
        say(f"note: {note}")
    copied = train["content_hash"].duplicated(keep=False).to_numpy()
    groups = train[copied].groupby("content_hash", sort=False)["image_id"].agg(list)
    first = train.drop_duplicates("content_hash").set_index("content_hash")["image_id"]
    shared = test[test["content_hash"].isin(first.index)]
    parts = []
    if len(groups):
        named = name_some([" = ".join(ids) for ids in groups])
        parts.append(f"{copied.sum() - len(groups):,} within train (kept in one fold): {named}")
    if len(shared):
        pairs = zip(shared["image_id"], first[shared["content_hash"]], strict=True)
        named = name_some([f"{one} = {other}" for one, other in pairs])
        parts.append(f"{len(shared):,} of train in test: {named}")
    if parts:
        say(f"exact copies: {'; '.join(parts)}")
    texts = targets[copied].map(lambda value: str(value.tolist() if isinstance(value, np.ndarray) else value))
    kinds = train[copied].assign(target=texts.agg("\n".join, axis=1) if len(texts) else "")
    if beside.shape[1]:
        rows = ["\n".join(map(str, row)) for row in beside[copied].itertuples(index=False)]
        kinds["content_hash"] = [
            f"{one}\n{row}" for one, row in zip(kinds["content_hash"], rows, strict=True)
        ]
    differ = kinds.groupby("content_hash", sort=False).filter(lambda group: group["target"].nunique() > 1)
    if len(differ):
        wrong = [" = ".join(ids) for ids in differ.groupby("content_hash", sort=False)["image_id"].agg(list)]
        say(
            f"warning: {len(wrong):,} picture(s) have other targets in each copy: {name_some(wrong)}; "
            "correct them, or leave them out in load_train"
        )


def _decoded(
    cache: DecodedCache, given: dict[str, pd.DataFrame], scratch: Path, decoding: Decoding
) -> tuple[dict[str, pd.DataFrame], Problems]:
    """The frames with width, height and content_hash of every image; decodes the images not yet known.

    Where none is known the pixels of small images go to ``<split>.npy`` in `scratch`.

    Returns
    -------
    The frames, and by split and image id why images cannot be read.

    Raises
    ------
    UserError : an image whose size is not the one that its frame gives it.
    """
    problems: Problems = {}
    rows_by_split = {split: rows_of(decoding.reader, frame) for split, frame in given.items()}
    known = {
        split: cache.known(
            [key_of(decoding.reader, row) for row in rows], [files_of(decoding, row) for row in rows]
        )
        for split, rows in rows_by_split.items()
    }
    missing = {split: table["content_hash"].isna().to_numpy() for split, table in known.items()}
    total = sum(int(rows.sum()) for rows in missing.values())
    if total:
        with progress("read images", total, "images") as advance:
            for split, rows in missing.items():
                packed = scratch / f"{split}.npy" if rows.all() else None
                wanted = list(compress(rows_by_split[split], rows))
                records, problems_of_split = _decode(wanted, packed, advance, decoding)
                problems |= {(split, name): problem for name, problem in problems_of_split.items()}
                known[split].loc[rows, list(COLUMNS)] = np.array(records, dtype=object).reshape(-1, 3)
        found = pd.concat([known[split][rows] for split, rows in missing.items()])
        cache.remember(_typed(found[found["content_hash"] != ""]))
    frames = {}
    for split, frame in given.items():
        found = _typed(known[split])[list(COLUMNS)].reset_index(drop=True)
        _check_sizes(frame, found)
        frames[split] = frame.drop(columns=list(COLUMNS), errors="ignore").join(found)
    return frames, problems


def _typed(found: pd.DataFrame) -> pd.DataFrame:
    return found.astype({"width": "int64", "height": "int64", "content_hash": "str"})


def _decode(
    rows: list[Row], packed: Path | None, advance: Advance, decoding: Decoding
) -> tuple[list[tuple[int, int, str]], dict[str, UnreadableImageError]]:
    """Width, height and content hash of each image, and what cannot be read, by id; pixels of one small size
    go to `packed`."""
    records: list[tuple[int, int, str]] = []
    problems: dict[str, UnreadableImageError] = {}
    with (packed or Path(os.devnull)).open("wb") as file:
        shape: tuple[int, ...] | None = None if packed else ()
        for chunk in decode_chunks(rows, decoding):
            names = [row["image_id"] for row in rows[len(records) : len(records) + len(chunk)]]
            problems |= {name: one.problem for name, one in zip(names, chunk, strict=True) if one.problem}
            records += [(image.width, image.height, image.content_hash) for image in chunk]
            pixels = [image.pixels for image in chunk if image.pixels is not None]
            if shape is None and pixels:
                shape = pixels[0].shape
                descr = np.lib.format.dtype_to_descr(pixels[0].dtype)
                np.lib.format.write_array_header_1_0(
                    file, {"descr": descr, "fortran_order": False, "shape": (len(rows), *shape)}
                )
            if shape and len(pixels) == len(chunk) and all(one.shape == shape for one in pixels):
                # Appended rather than memory-mapped: mapped pages would count as this process's memory.
                file.write(np.stack(pixels).tobytes())
            else:
                shape = ()
            advance(len(chunk))
    if packed and not shape:
        packed.unlink()
    return records, problems


def _packable(frames: dict[str, pd.DataFrame], decoding: Decoding) -> bool:
    """Whether all images are small and of one size."""
    sizes = pd.concat([frame[["width", "height"]] for frame in frames.values()]).drop_duplicates()
    depth = decoding.channels * (4 if decoding.deep else 1)
    return len(sizes) == 1 and sizes.to_numpy().max() <= PACKED_SIDE and depth <= PACKED_DEPTH


def _pack(frame: pd.DataFrame, made: Path, target: Path, decoding: Decoding) -> None:
    """Move the packed pixels to `target`; decodes the images where they are not packed yet."""
    if not made.exists():
        with progress("pack images", len(frame), "images") as advance:
            _decode(rows_of(decoding.reader, frame), made, advance, decoding)
    made.replace(target)


def _check_sizes(given: pd.DataFrame, decoded: pd.DataFrame) -> None:
    """Refuse given sizes that are not the decoded ones: boxes drawn at another size would not fit, and nobody
    would know. Frames without sizes pass, and so do rows with none or 0."""
    sides = ["width", "height"]
    if not set(sides) <= set(given.columns):
        return
    sizes = given[sides].apply(pd.to_numeric, errors="coerce")
    wrong = ((sizes > 0) & (sizes != decoded[sides]) & (decoded[sides] > 0)).any(axis=1)
    rows = zip(
        given["image_id"][wrong], sizes[wrong].to_numpy(), decoded[sides][wrong].to_numpy(), strict=True
    )
    named = [f"{name} ({w:g} x {h:g}, decoded {real[0]} x {real[1]})" for name, (w, h), real in rows]
    if named:
        raise UserError(
            f"{len(named):,} image(s) have another size than their annotations say: {name_some(named)}; "
            "use the images that were annotated (for photos that EXIF turns, remove its orientation), or "
            "where the boxes fit and only the size is wrong, drop the columns width and height in "
            "load_train, before repair_boxes"
        )
