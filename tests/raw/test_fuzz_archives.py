"""Archives of any content: their files come out as they went in, or nothing does, with one sentence."""

import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.raw.archives import extract
from tests.fuzzing import damaged, depths, examples, read_or_refused

FILES = {"train/1.png": b"one" * 50, "train/2.png": bytes(range(256)), "labels.csv": b"id,label\n1,cat\n"}


def packed(kind: str, folder: Path) -> bytes:
    """An archive of the files."""
    path = folder / f"sound.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in FILES.items():
                archive.writestr(name, content)
    elif kind == "7z":
        py7zr = pytest.importorskip("py7zr")
        with py7zr.SevenZipFile(path, "w") as archive:
            for name, content in FILES.items():
                archive.writestr(content, name)
    else:
        with tarfile.open(path, "w" if kind == "tar" else "w:gz") as archive:
            for name, content in FILES.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path.read_bytes()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@depths
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "7z"])
def test_a_damaged_archive(count, kind, tmp_path):
    (tmp_path / "made").mkdir()
    sound = packed(kind, tmp_path / "made")
    archive, home = tmp_path / f"train.{kind}", tmp_path / "extracted"

    @examples(count)
    @given(damaged(sound) | st.binary(max_size=40))
    def holds(content):
        archive.write_bytes(content)
        shutil.rmtree(home, ignore_errors=True)
        found = read_or_refused(lambda: extract(archive, home / "train") or True, archive)
        if found is None:
            assert not home.exists() or list(home.iterdir()) == []
            return
        made = contents(home / "train")
        # Names are protected by nothing in a zip, and the content of a tar by nothing either.
        if kind in ("tar.gz", "7z"):
            assert made == FILES
        elif kind == "zip":
            assert set(made.values()) <= set(FILES.values())
        assert all(path.resolve().is_relative_to(home) for path in (home / "train").rglob("*"))
        assert {path.name for path in tmp_path.iterdir()} == {"made", archive.name, "extracted"}

    holds()
