"""The class-folder layout that many tools read, made of hard links: no pixel is copied."""

import errno
import os
from pathlib import Path

import pandas as pd

from pipeline.base.errors import UserError
from pipeline.base.files import atomic_folder
from pipeline.base.progress import progress
from pipeline.competition.prepare import Prepared

UNLINKED = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP)
"""What file systems answer that cannot link these two places."""


def export_class_folders(data: Prepared, folds: pd.DataFrame, target: Path) -> None:
    """Write ``train/<label>/``, ``valid/<label>/`` (fold 0), ``train_valid/<label>/`` and ``test/unknown/``.

    Files keep their names; where those of one label have the same, from several raw folders, they are named
    by their image ids.

    Parameters
    ----------
    folds : image_id and fold.
    target : folder to create or replace; must lie on the images' file system.

    Raises
    ------
    UserError : a label that is no folder name, or files that cannot be hard-linked.
    """
    odd = [name for name in data.classes if name in ("", ".", "..") or "/" in name]
    if odd:
        raise UserError(f"the label {odd[0]!r} cannot name a folder; rename it in load_train")
    train = data.train.merge(folds, on="image_id", validate="one_to_one")
    names = _names(train["label"], train)
    rows = list(zip(train["fold"], train["label"], names, train["path"], strict=True))
    links = [(f"train_valid/{label}", name, path) for _, label, name, path in rows]
    links += [(f"{'train' if fold else 'valid'}/{label}", name, path) for fold, label, name, path in rows]
    test = _names(pd.Series("", data.test.index), data.test)
    links += [("test/unknown", name, path) for name, path in zip(test, data.test["path"], strict=True)]
    with atomic_folder(target) as folder, progress("link images", len(links), "files") as advance:
        for kind in {kind for kind, _, _ in links}:
            (folder / kind).mkdir(parents=True)
        for kind, name, path in links:
            try:
                os.link(path, folder / kind / name)
            except OSError as error:
                if error.errno not in UNLINKED:
                    raise
                raise UserError(
                    f"{path} cannot be hard-linked into {target} ({error.strerror}); choose an --out folder "
                    "on the same file system as the images"
                ) from error
            advance(1)


def _names(labels: pd.Series, frame: pd.DataFrame) -> list[str]:
    """What each image's file is called in its label's folder."""
    names = pd.Series([Path(path).name for path in frame["path"]], frame.index, dtype="str")
    by_id = [
        image_id.replace("/", "_") + Path(path).suffix
        for image_id, path in zip(frame["image_id"], frame["path"], strict=True)
    ]
    twice = pd.DataFrame({"label": labels, "name": names}).duplicated(keep=False)
    return names.where(~twice, pd.Series(by_id, frame.index, dtype=names.dtype)).tolist()
