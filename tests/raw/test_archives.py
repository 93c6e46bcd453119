"""Extraction: what comes out, what is refused, and what a failure, a full disk or a kill leaves behind."""

import io
import random
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import py7zr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.base.errors import TEMPORARY, UserError
from pipeline.raw.archives import archive_stem, extract

REPOSITORY = Path(__file__).parents[2]
KINDS = ("a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.7z")
FILES = {f"train/{number}.png": random.Random(number).randbytes(3000 * number) for number in range(6)}
FILES |= {"labels.csv": b"id,label\n1,cat\n" * 50, "notes/deep/er/empty.txt": b""}


def pack(path: Path, files: dict[str, bytes]) -> Path:
    """Write an archive of the kind its name says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    elif path.suffix == ".7z":
        with py7zr.SevenZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(content, "placeholder")
                archive.header.files_info.files[-1]["filename"] = name  # py7zr itself writes no bad name
    else:
        with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
            for name, content in files.items():
                add(archive, tarfile.TarInfo(name), content)
    return path


def add(archive: tarfile.TarFile, member: tarfile.TarInfo, content: bytes = b"") -> None:
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def content_of(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def assert_refused(archive: Path, *words: str) -> None:
    """The archive gives one sentence with these words, and nothing stays on the disk."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(UserError) as caught:
        extract(archive, archive.parent / "out")
    message = str(caught.value)
    assert all(word in message for word in (str(archive), *words)), message
    assert "\n" not in message
    assert sorted(archive.parent.rglob("*")) == before


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_comes_out(tmp_path: Path, kind: str) -> None:
    extract(pack(tmp_path / kind, FILES), tmp_path / "out")
    assert content_of(tmp_path / "out") == FILES
    assert names_in(tmp_path) == {kind, "out"}


@pytest.mark.parametrize("flagged", [True, False])
def test_names_of_a_zip_in_utf_8_come_out_with_and_without_the_flag(tmp_path: Path, flagged: bool) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("m\u00fcll/\u732b.png", "x")
    if not flagged:
        content = (tmp_path / "x.zip").read_bytes()
        local, central = content.index(b"PK\x03\x04") + 7, content.index(b"PK\x01\x02") + 9
        (tmp_path / "x.zip").write_bytes(
            bytes(0 if place in (local, central) else byte for place, byte in enumerate(content))
        )
        with zipfile.ZipFile(tmp_path / "x.zip") as archive:
            assert archive.namelist() != ["m\u00fcll/\u732b.png"]
    extract(tmp_path / "x.zip", tmp_path / "out")
    assert content_of(tmp_path / "out") == {"m\u00fcll/\u732b.png": b"x"}


@pytest.mark.parametrize("kind", KINDS)
def test_empty_folders_come_out(tmp_path: Path, kind: str) -> None:
    tree = tmp_path / "tree"
    (tree / "empty").mkdir(parents=True)
    if kind.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / kind, "w") as archive:
            archive.write(tree / "empty", "empty")
    elif kind.endswith(".7z"):
        with py7zr.SevenZipFile(tmp_path / kind, "w") as archive:
            archive.write(tree / "empty", "empty")
    else:
        with tarfile.open(tmp_path / kind, "w" if kind.endswith(".tar") else "w:gz") as archive:
            archive.add(tree, ".")
    extract(tmp_path / kind, tmp_path / "out")
    assert (tmp_path / "out" / "empty").is_dir()


def test_an_existing_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").touch()
    extract(pack(tmp_path / "a.zip", FILES), tmp_path / "out")
    assert content_of(tmp_path / "out") == FILES


def test_backslashes_from_windows_tools_are_folders(tmp_path: Path) -> None:
    extract(pack(tmp_path / "a.zip", {"train\\1.png": b"x", "test\\": b""}), tmp_path / "out")
    assert content_of(tmp_path / "out") == {"train/1.png": b"x"}
    assert (tmp_path / "out" / "test").is_dir()


def test_7z_with_several_blocks(tmp_path: Path) -> None:
    """py7zr extracts these in parallel threads."""
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.writestr(b"one", "one.txt")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "a") as archive:
        archive.writestr(b"two", "two.txt")
    extract(tmp_path / "a.7z", tmp_path / "out")
    assert content_of(tmp_path / "out") == {"one.txt": b"one", "two.txt": b"two"}


ESCAPES = ("../evil", "/etc/evil", "train/../../evil", "C:\\evil", "C:evil", "..\\evil", "\\evil", "train/..")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ESCAPES)
def test_no_member_escapes(tmp_path: Path, kind: str, name: str) -> None:
    # a sub folder, so that ../evil would land where it is seen
    folder = tmp_path / "inner"
    folder.mkdir()
    named = name.replace("\\", "/") if kind == "a.7z" else name  # as py7zr reads it
    assert_refused(pack(folder / kind, {"good.txt": b"good", name: b"evil"}), repr(named), "outside")
    assert names_in(tmp_path) == {"inner"}


names = st.lists(
    st.sampled_from(["..", ".", "", "a", "b", "C:", "x\\..\\y", "\\", "é", " "]), min_size=1, max_size=5
)


@given(parts=names)
def test_any_name_stays_inside_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("names")
    archive = folder / "in" / "a.tar"
    archive.parent.mkdir()
    pack(archive, {"/".join(parts): b"content"})
    try:
        extract(archive, folder / "in" / "out")
    except UserError as error:
        assert str(archive) in str(error)
        assert not (folder / "in" / "out").exists()
    else:
        assert list(content_of(folder / "in" / "out").values()) == [b"content"]
    assert names_in(folder) == {"in"}
    assert names_in(folder / "in") <= {"a.tar", "out"}
    shutil.rmtree(folder)


@pytest.mark.parametrize("kind", ["a.tar", "a.tar.gz"])
@pytest.mark.parametrize("type_", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize("goal", ["/etc/passwd", "../../evil", "good.txt"])
def test_tar_links_and_devices_are_refused(tmp_path: Path, kind: str, type_: bytes, goal: str) -> None:
    with tarfile.open(tmp_path / kind, "w" if kind == "a.tar" else "w:gz") as archive:
        add(archive, tarfile.TarInfo("good.txt"), b"good")
        link = tarfile.TarInfo("link")
        link.type, link.linkname = type_, goal
        archive.addfile(link)
        add(archive, tarfile.TarInfo("link/evil"), b"evil")
    assert_refused(tmp_path / kind, "'link'", "RAW=")


def test_zip_links_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert_refused(tmp_path / "a.zip", "'link'")


def test_7z_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.write(tmp_path / "tree" / "link", "link")
    assert_refused(tmp_path / "a.7z", "'link'")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.6])
def test_a_truncated_archive_is_refused(tmp_path: Path, kind: str, kept: float) -> None:
    whole = pack(tmp_path / kind, FILES).read_bytes()
    (tmp_path / kind).write_bytes(whole[: int(kept * len(whole))])
    assert_refused(tmp_path / kind, "damaged")


def test_a_tar_cut_between_two_members_is_refused(tmp_path: Path) -> None:
    """Python's tarfile takes what is left for a whole archive."""
    with tarfile.open(pack(tmp_path / "a.tar", FILES)) as archive:
        second = archive.getmembers()[2].offset
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[:second])
    assert_refused(tmp_path / "a.tar", "damaged")


@pytest.mark.parametrize("kind", ["a.zip", "a.tgz", "a.7z"])
def test_a_flipped_bit_is_noticed(tmp_path: Path, kind: str) -> None:
    content = bytearray(pack(tmp_path / kind, FILES).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / kind).write_bytes(content)
    assert_refused(tmp_path / kind, "damaged")


@pytest.mark.parametrize("kind", KINDS)
def test_something_else_under_an_archives_name_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / kind).write_text("<html>Please log in</html>" * 100)
    assert_refused(tmp_path / kind, "damaged")


def test_a_password_is_named(tmp_path: Path) -> None:
    for name, hidden in (("a.7z", False), ("b.7z", True)):
        with py7zr.SevenZipFile(tmp_path / name, "w", password="secret", header_encryption=hidden) as archive:
            archive.writestr(b"content", "1.txt")
        assert_refused(tmp_path / name, "password")
    content = bytearray(pack(tmp_path / "a.zip", {"1.txt": b"content"}).read_bytes())
    content[6] |= 1  # the flag "encrypted", in the local header and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    assert_refused(tmp_path / "a.zip", "password")


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.rar").touch()
    assert_refused(tmp_path / "a.rar", "not a zip")


def test_more_than_the_disk_holds_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    content = bytearray(pack(tmp_path / "a.zip", {"1.txt": b"content"}).read_bytes())
    size_field = content.index(b"PK\x01\x02") + 24
    content[size_field : size_field + 4] = (0xFFFF_FFF0).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(content)
    with small_disk(tmp_path / "disk") as disk:
        shutil.move(tmp_path / "a.zip", disk / "a.zip")
        assert_refused(disk / "a.zip", "needs 4.29 GB")


@pytest.mark.parametrize("kind", ["a.tar.gz", "a.7z"])
def test_a_full_disk_is_one_sentence(tmp_path: Path, kind: str) -> None:
    pack(tmp_path / kind, {f"{number}.bin": bytes(400_000) for number in range(8)})
    with small_disk(tmp_path / "disk") as disk:
        shutil.move(tmp_path / kind, disk / kind)
        assert_refused(disk / kind, "free some space")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 1 MiB, where the test may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "podium-test", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a full disk needs the right to mount a small one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_kill_in_the_middle_leaves_no_target(tmp_path: Path) -> None:
    """The temporary folder it leaves is cleared away by the next `open_raw`; see test_files.py."""
    archive = pack(tmp_path / "a.zip", {f"{number}.bin": b"x" for number in range(5_000)})
    code = (
        "import pathlib, sys; from pipeline.raw.archives import extract; "
        "extract(*map(pathlib.Path, sys.argv[1:]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, archive, tmp_path / "out"], cwd=REPOSITORY)
    while not any(tmp_path.glob(f"{TEMPORARY}out.*/1.bin")):
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out").exists()
    extract(archive, tmp_path / "out")
    assert len(names_in(tmp_path / "out")) == 5_000


def test_stems() -> None:
    names = ["train.zip", "train.TAR.GZ", "a.b.tgz", "test.7z", "x.tar", "labels.csv", "zip"]
    assert [archive_stem(name) for name in names] == ["train", "train", "a.b", "test", "x", None, None]


def test_ten_thousand_real_images_take_seconds(real_data: Path, tmp_path: Path) -> None:
    started = time.process_time()
    extract(real_data / "cifar10" / "test.zip", tmp_path / "out")
    assert len(names_in(tmp_path / "out" / "test")) == 10_000
    assert time.process_time() - started < 10
