"""The class-folder layout that many tools read, made of hard links: no pixel is copied."""

import os
from pathlib import Path

import pandas as pd

from pipeline.base.errors import UserError
from pipeline.base.files import atomic_folder
from pipeline.base.progress import progress
from pipeline.competition.prepare import Prepared


def export_class_folders(data: Prepared, folds: pd.DataFrame, target: Path) -> None:
    """Write ``train/<label>/``, ``valid/<label>/`` (fold 0), ``train_valid/<label>/`` and ``test/unknown/``.

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
    rows = list(zip(train["fold"], train["label"], train["path"], strict=True))
    links = [(f"train_valid/{label}", path) for _, label, path in rows]
    links += [(f"{'train' if fold else 'valid'}/{label}", path) for fold, label, path in rows]
    links += [("test/unknown", path) for path in data.test["path"]]
    with atomic_folder(target) as folder, progress("link images", len(links), "files") as advance:
        for kind in {kind for kind, _ in links}:
            (folder / kind).mkdir(parents=True)
        for kind, path in links:
            try:
                os.link(path, folder / kind / Path(path).name)
            except OSError as error:
                raise UserError(
                    f"{path} cannot be hard-linked into {target} ({error.strerror}); choose an --out folder "
                    "on the same file system as the images"
                ) from error
            advance(1)
