"""Raw files: how they are found, what is wrong with them, and archives, extracted once and elsewhere."""

import io
import multiprocessing
import os
import shutil
import tarfile
import time
import zipfile
from pathlib import Path

import py7zr
import pytest

from pipeline.base.errors import TEMPORARY, UserError
from pipeline.base.files import file_hash
from pipeline.raw.files import RawFiles, open_raw


def write(root: Path, *names: str) -> Path:
    """Write files that hold their own name."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def zipped(path: Path, *names: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


def snapshot(folder: Path) -> dict[Path, tuple[int, str]]:
    """Everything that would show that a folder was written to."""
    return {
        path: (path.stat().st_mtime_ns, file_hash(path) if path.is_file() else "")
        for path in [folder, *folder.rglob("*")]
    }


# --- finding


def test_files_and_folders_are_found_by_name(tmp_path: Path) -> None:
    raw = RawFiles((write(tmp_path, "train/1.png", "labels.csv", "annotations/train.json"),))
    assert raw.find("train") == tmp_path / "train"
    assert raw.find("train_labels.csv", "labels.csv") == tmp_path / "labels.csv"
    assert raw.find("annotations/train.json") == tmp_path / "annotations" / "train.json"


def test_one_wrapping_folder_is_looked_into(tmp_path: Path) -> None:
    write(tmp_path, "cifar-10/train/1.png", "cifar-10/labels.csv", "__MACOSX/x", ".DS_Store")
    assert RawFiles((tmp_path,)).find("train") == tmp_path / "cifar-10" / "train"


def test_an_absent_file_names_what_and_where(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()  # an empty folder is as good as none
    with pytest.raises(UserError, match=f"found no labels or labels.csv in {tmp_path}.*RAW="):
        RawFiles((tmp_path,)).find("labels", "labels.csv")


def test_the_listing_of_a_huge_folder_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, *(f"{number}.png" for number in range(2000)), "zzz/train/1.png")
    with pytest.raises(UserError, match="found no train"):
        RawFiles((tmp_path,)).find("train")


# --- images


def test_images_of_every_suffix_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, "train/1.png", "train/a.b.JPG", "train/x.csv", "train/.hidden.png", "train/Thumbs.db")
    frame = RawFiles((tmp_path,)).images("train").sort_values("image_id")
    assert frame["image_id"].tolist() == ["1", "a.b"]
    assert frame["path"].tolist() == [str(tmp_path / "train" / "1.png"), str(tmp_path / "train" / "a.b.JPG")]


def test_two_images_with_one_id_are_named(tmp_path: Path) -> None:
    write(tmp_path, "train/1.png", "train/1.jpg", "train/2.jpg")
    with pytest.raises(UserError, match=r"more than one image for 1 id\(s\): 1.jpg, 1.png"):
        RawFiles((tmp_path,)).images("train")


def test_a_folder_without_images_is_named(tmp_path: Path) -> None:
    write(tmp_path, "train/readme.txt", "test")
    with pytest.raises(UserError, match=f"{tmp_path / 'train'} has no images"):
        RawFiles((tmp_path,)).images("train")
    with pytest.raises(UserError, match="is a file"):
        RawFiles((tmp_path,)).images("test")


def test_images_in_folders_are_not_missed_in_silence(tmp_path: Path) -> None:
    raw = RawFiles((write(tmp_path, "train/1.png", "train/more/deep/2.png", "train/notes/x.txt"),))
    with pytest.raises(UserError, match=r'train has images in folders \(more\).*raw.images\("train/more"\)'):
        raw.images("train")
    assert raw.images("train", skip=["more"])["image_id"].tolist() == ["1"]


def test_ids_have_composed_accents_and_paths_are_the_files_own(tmp_path: Path) -> None:
    frame = RawFiles((write(tmp_path, "train/cafe\u0301.png"),)).images("train")
    assert frame["image_id"].tolist() == ["caf\u00e9"] and Path(frame["path"].item()).read_text()


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to a folder"])
def test_what_is_only_named_like_an_image_is_named(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, "train/1.png") / "train" / "2.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        (tmp_path / "empty").mkdir()
        path.symlink_to(tmp_path / "empty")
    with pytest.raises(
        UserError, match=r"train has 1 folder\(s\), pipe\(s\) .* named like images: 2\.png; move"
    ):
        RawFiles((tmp_path,)).images("train")


def test_links_that_lead_nowhere_are_left_to_decoding_which_names_them_all(tmp_path: Path) -> None:
    folder = write(tmp_path, "train/1.png") / "train"
    (folder / "2.png").symlink_to(tmp_path / "gone.png")
    (folder / "3.png").symlink_to(folder / "3.png")
    assert sorted(RawFiles((tmp_path,)).images("train")["image_id"]) == ["1", "2", "3"]


def test_links_that_lead_nowhere_do_not_disturb_what_is_beside_them(tmp_path: Path) -> None:
    write(tmp_path / "raw", "train/1.png")
    (tmp_path / "raw" / "train.zip").symlink_to("train.zip")
    (tmp_path / "raw" / "labels.csv").symlink_to("gone.csv")
    files = open_raw(tmp_path / "raw", tmp_path / "extracted")
    assert files.images("train")["image_id"].tolist() == ["1"]
    with pytest.raises(UserError, match=r"found no labels\.csv"):
        files.find("labels.csv")


def test_names_that_are_not_utf_8_are_named(tmp_path: Path) -> None:
    write(tmp_path, "train/1.png")
    Path(os.fsdecode(os.fsencode(tmp_path / "train") + b"/caf\xe9.png")).write_text("x")
    with pytest.raises(UserError, match=r"not UTF-8: 'caf\\udce9\.png'; rename") as caught:
        RawFiles((tmp_path,)).images("train")
    str(caught.value).encode()


# --- CSV files


def test_blanks_around_values_are_taken_off_and_told(tmp_path: Path, capsys) -> None:
    (tmp_path / "labels.csv").write_text("id,label,note\n1,cat ,x \n 2,cat,\n3,cafe\u0301,\n")
    frame = RawFiles((tmp_path,)).read_csv("labels.csv", ["id", "label"])
    assert frame["id"].tolist() == ["1", "2", "3"] and frame["label"].tolist() == ["cat", "cat", "caf\u00e9"]
    assert frame["note"].tolist() == ["x ", "", ""]
    said = capsys.readouterr().err
    assert "1 value(s) of label have blanks around them, taken off: 'cat '" in said and "' 2'" in said


@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_a_csv_that_is_no_file_is_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "labels.csv"
    os.mkfifo(path) if kind == "pipe" else write(path, "x.txt")
    with pytest.raises(UserError, match=r"labels\.csv"):
        RawFiles((tmp_path,)).read_csv("labels.csv", ["id"])


def test_csv_columns_are_text(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"\xef\xbb\xbfid,label,note\r\n007,NA,\r\n1e5,null,x\r\n")
    frame = RawFiles((tmp_path,)).read_csv("labels.csv", ["id", "label"])
    assert frame.to_dict("list") == {"id": ["007", "1e5"], "label": ["NA", "null"], "note": ["", "x"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"id,label\n", "a header and no rows"),
        (b"id;label\n1;cat\n", r"lacks the column\(s\) id, label: its first line names 'id;label'"),
        (b"id,label\n1,cat\n2,\n", r"no label in data row\(s\) 2"),
        (b"id,label\n1\n2,dog\n", r"no label in data row\(s\) 1"),
        (b"id,label\n  ,cat\n", r"no id in data row\(s\) 1"),
        (b"id,label\n1,cat\n2,dog,x\n", "line 3"),
        (b"id,label\n1,cat,x\n2,dog,y\n", "more values in its rows than names"),
        (b'id,label\n1,"cat\n2,dog\n', "row 1"),
        (b"id,label\n1,\xff\xfe\n", "not a text file in UTF-8"),
    ],
)
def test_a_bad_csv_is_one_sentence_that_names_it(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        RawFiles((tmp_path,)).read_csv("labels.csv", ["id", "label"])
    assert str(tmp_path / "labels.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


# --- archives


def test_archives_are_extracted_elsewhere_and_raw_is_not_touched(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", "labels.csv")
    zipped(raw / "train.zip", "train/1.png", "train/2.png")
    zipped(raw / "test.zip", "3.png")  # no folder inside
    with tarfile.open(raw / "masks.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("./masks/1.png"), io.BytesIO())
    before = snapshot(raw)
    files = open_raw(raw, tmp_path / "extracted")
    assert sorted(files.images("train")["image_id"]) == ["1", "2"]
    assert files.images("test")["image_id"].tolist() == ["3"]
    assert files.images("masks")["image_id"].tolist() == ["1"]
    assert files.find("labels.csv") == raw / "labels.csv"
    assert snapshot(raw) == before


def test_archives_within_archives(tmp_path: Path) -> None:
    """Kaggle's cifar-10.zip holds train.7z, test.7z and two tables."""
    inner = tmp_path / "inner"
    inner.mkdir()
    for name in ("train", "test"):
        with py7zr.SevenZipFile(inner / f"{name}.7z", "w") as archive:
            archive.writestr(b"", f"{name}/1.png")
    (tmp_path / "raw").mkdir()
    with zipfile.ZipFile(tmp_path / "raw" / "cifar-10.zip", "w") as archive:
        archive.writestr("trainLabels.csv", "id,label\n1,cat\n")
        archive.write(inner / "train.7z", "train.7z")
        archive.write(inner / "test.7z", "test.7z")
    files = open_raw(tmp_path / "raw", tmp_path / "extracted")
    assert files.images("train")["image_id"].tolist() == ["1"]
    assert files.images("test")["image_id"].tolist() == ["1"]
    assert files.read_csv("trainLabels.csv", ["id", "label"]).shape == (1, 2)


def test_archives_in_a_wrapping_folder(tmp_path: Path) -> None:
    zipped(tmp_path / "raw" / "cifar-10" / "train.zip", "train/1.png")
    files = open_raw(tmp_path / "raw", tmp_path / "extracted")
    assert files.images("train")["image_id"].tolist() == ["1"]


def test_a_folder_beside_its_archive_counts_as_extracted(tmp_path: Path) -> None:
    raw = write(tmp_path / "raw", "train/mine.png")
    zipped(raw / "train.zip", "train/1.png")
    files = open_raw(raw, tmp_path / "extracted")
    assert files.roots == (raw,)
    assert files.find("train") == raw / "train"
    shutil.rmtree(raw / "train")
    (raw / "train").mkdir()  # an empty one does not
    assert open_raw(raw, tmp_path / "extracted").images("train")["image_id"].tolist() == ["1"]


def test_nothing_is_done_twice_and_a_changed_archive_is_extracted_anew(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    zipped(raw / "train.zip", "train/1.png")
    open_raw(raw, tmp_path / "extracted")
    before = snapshot(tmp_path / "extracted")
    open_raw(raw, tmp_path / "extracted")
    assert snapshot(tmp_path / "extracted") == before
    zipped(raw / "train.zip", "train/1.png", "train/2.png")
    assert len(open_raw(raw, tmp_path / "extracted").images("train")) == 2


def test_opening_extracted_archives_takes_no_time(tmp_path: Path) -> None:
    zipped(tmp_path / "raw" / "train.zip", *(f"{number}.png" for number in range(2000)))
    open_raw(tmp_path / "raw", tmp_path / "extracted")
    started = time.perf_counter()
    open_raw(tmp_path / "raw", tmp_path / "extracted").find("train")
    assert time.perf_counter() - started < 0.3


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    zipped(tmp_path / "raw" / "train.zip", "train/1.png")
    write(tmp_path / "extracted", f"{TEMPORARY}train-0123abcd.4567cdef/train/1.png", ".mine/notes.txt")
    files = open_raw(tmp_path / "raw", tmp_path / "extracted")
    assert {path for path in (tmp_path / "extracted").iterdir() if path.is_dir()} == {
        files.roots[1],
        tmp_path / "extracted" / ".mine",  # hidden, but not of our naming
    }


def test_a_damaged_archive_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "raw", "train.zip")
    with pytest.raises(UserError, match="damaged"):
        open_raw(tmp_path / "raw", tmp_path / "extracted")
    assert [path for path in (tmp_path / "extracted").iterdir() if path.is_dir()] == []


def _open_when_all_are_ready(raw: Path, extracted: Path, barrier: multiprocessing.Barrier) -> None:
    barrier.wait()
    assert len(open_raw(raw, extracted).images("train")) == 500


def test_two_runs_at_once_extract_once(tmp_path: Path) -> None:
    zipped(tmp_path / "raw" / "train.zip", *(f"train/{number}.png" for number in range(500)))
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    arguments = (tmp_path / "raw", tmp_path / "extracted", barrier)
    runs = [context.Process(target=_open_when_all_are_ready, args=arguments) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert [run.exitcode for run in runs] == [0, 0, 0]


def test_the_real_data_opens(real_data: Path, tmp_path: Path) -> None:
    shutil.copytree(real_data / "cifar10_png200", tmp_path / "raw")
    files = open_raw(tmp_path / "raw", tmp_path / "extracted")
    assert len(files.images("train")) == 200
    assert len(files.read_csv("trainLabels.csv", ["id", "label"])) == 50_000
