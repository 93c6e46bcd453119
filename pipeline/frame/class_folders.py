"""Raw files in one folder for each class, and test images whose folders must not tell."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.base.errors import UserError, name_some
from pipeline.base.files import file_hash
from pipeline.base.progress import say
from pipeline.raw.files import RawFiles
from pipeline.raw.listing import IMAGE_SUFFIXES, composed, is_visible


def labelled_by_folder(raw: RawFiles, folder_name: str, classes: Sequence[str]) -> pd.DataFrame:
    """List the images of ``<folder_name>/<class>/``.

    Returns
    -------
    DataFrame with image_id (``<class>/<file name without suffix>``, because two classes may use one name),
    path and label, all str.

    Raises
    ------
    UserError : a class without a folder or images, a folder of another name, two images with one id.
    """
    folder = raw.find(folder_name)
    folders = {composed(name): name for name in _folders(folder)}
    unknown = sorted(set(folders) - {composed(name) for name in classes})
    if unknown:
        raise UserError(
            f"{folder} has the folder(s) {name_some(unknown)}, and the classes are "
            f"{name_some(classes, 12)}: rename or remove them"
        )
    loose = _loose(folder)
    if loose:
        say(
            f"warning: {len(loose):,} images in {folder} are in the folder of no class, left out: "
            f"{name_some(loose)}"
        )
    parts = []
    for name in classes:
        images = raw.images(f"{folder_name}/{folders.get(composed(name), name)}")
        parts.append(images.assign(image_id=f"{name}/" + images["image_id"], label=name))
    return pd.concat(parts, ignore_index=True).astype({"label": "str"})


def unlabelled(raw: RawFiles, folder_name: str) -> pd.DataFrame:
    """List test images: those in a folder, or those in its folders, whose names would give the label away.

    Folders without an image, at any depth, are ignored.

    Returns
    -------
    DataFrame with image_id and path. The id is the file's name without its suffix; for images in folders it
    is a number from 1, counted in the order of the files' SHA-256: it says nothing about folder or name, and
    is the same on every machine.

    Raises
    ------
    UserError : no such folder, no image in it, or images both in it and in its folders.
    """
    folder = raw.find(folder_name)
    inner = [name for name in _folders(folder) if any(map(_is_image, (folder / name).rglob("*")))]
    if not inner:
        return raw.images(folder_name)
    loose = _loose(folder)
    if loose:
        raise UserError(
            f"{folder} has images in folders ({name_some(inner)}) and {len(loose):,} in none: "
            f"{name_some(loose)}; move away those that are not to be predicted"
        )
    paths = [path for name in inner for path in raw.images(f"{folder_name}/{name}")["path"]]
    paths.sort(key=lambda path: (_content(path), path))
    return pd.DataFrame({"image_id": map(str, range(1, len(paths) + 1)), "path": paths}, dtype="str")


def _content(path: str) -> str:
    """Of a link that leads nowhere nothing; whoever decodes it says so."""
    return file_hash(Path(path)) if Path(path).is_file() else ""


def _folders(folder: Path) -> list[str]:
    """Names of the folders in `folder` that are no clutter."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and is_visible(path.name))


def _loose(folder: Path) -> list[str]:
    """Names of the images directly in `folder`."""
    return [path.name for path in sorted(folder.iterdir()) if _is_image(path)]


def _is_image(path: Path) -> bool:
    return is_visible(path.name) and path.name.lower().endswith(IMAGE_SUFFIXES)
