"""A reader never sees half a file, however the writer ends."""

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base import files
from pipeline.base.errors import TEMPORARY, UserError
from pipeline.base.files import (
    atomic_folder,
    atomic_path,
    digest,
    file_hash,
    locked,
    remove_leftovers,
    require_space,
    write_json,
)

REPOSITORY = Path(__file__).parents[2]


class InterruptionError(Exception):
    """Stands for whatever goes wrong while writing."""


def killed_while(body: str, folder: Path) -> None:
    """Run `body` in a process that is killed with SIGKILL at the point where it prints."""
    program = "import sys\nfrom pathlib import Path\nfrom pipeline.base.files import *\n"
    program += "folder = Path(sys.argv[1])\n"
    program += textwrap.dedent(body)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], cwd=REPOSITORY, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def names(folder: Path) -> list[str]:
    """All entries, also hidden ones."""
    return sorted(path.name for path in folder.iterdir())


class TestAtomicPath:
    def test_replaces_the_target_and_leaves_nothing_else(self, tmp_path):
        target = tmp_path / "new" / "result.csv"
        for text in ("first", "second"):
            with atomic_path(target) as temporary:
                temporary.write_text(text)
            assert target.read_text() == text
        assert names(target.parent) == ["result.csv"]

    def test_the_temporary_file_keeps_the_suffix_that_numpy_and_pandas_go_by(self, tmp_path):
        with atomic_path(tmp_path / "packed.npy") as temporary:
            assert temporary.suffix == ".npy" and temporary.parent == tmp_path
            temporary.touch()

    def test_an_exception_leaves_the_old_content_and_no_temporary_file(self, tmp_path):
        target = tmp_path / "result.csv"
        target.write_text("old")
        with pytest.raises(InterruptionError), atomic_path(target) as temporary:
            temporary.write_text("half of the n")
            raise InterruptionError
        assert target.read_text() == "old"
        assert names(tmp_path) == ["result.csv"]

    def test_a_kill_leaves_the_old_content(self, tmp_path):
        target = tmp_path / "result.csv"
        target.write_text("old")
        killed_while(
            """
            with atomic_path(folder / "result.csv") as temporary:
                temporary.write_text("half of the n")
                print("half", flush=True)
                import time; time.sleep(60)
            """,
            tmp_path,
        )
        assert target.read_text() == "old"

    def test_a_reader_of_the_old_file_is_not_disturbed(self, tmp_path):
        target = tmp_path / "result.csv"
        target.write_text("old")
        with target.open() as reader:
            with atomic_path(target) as temporary:
                temporary.write_text("new")
            assert reader.read() == "old"


class TestAtomicFolder:
    def test_replaces_the_target_whole_and_leaves_nothing_else(self, tmp_path):
        target = tmp_path / "deep" / "prepared"
        for name in ("a", "b"):
            with atomic_folder(target) as temporary:
                (temporary / name).write_text(name)
            assert names(target) == [name]
        assert names(target.parent) == ["prepared"]

    def test_an_exception_leaves_the_old_folder_and_no_temporary_one(self, tmp_path):
        target = tmp_path / "prepared"
        with atomic_folder(target) as temporary:
            (temporary / "old").touch()
        with pytest.raises(InterruptionError), atomic_folder(target) as temporary:
            (temporary / "half").touch()
            raise InterruptionError
        assert names(tmp_path) == ["prepared"] and names(target) == ["old"]

    def test_where_folders_cannot_be_exchanged_one_follows_the_other(self, tmp_path, monkeypatch):
        monkeypatch.setattr(files, "RENAME_EXCHANGE", 1 << 20)  # a flag that no system knows
        for name in ("old", "new"):
            with atomic_folder(tmp_path / "prepared") as temporary:
                (temporary / name).touch()
        assert names(tmp_path) == ["prepared"] and names(tmp_path / "prepared") == ["new"]

    def test_many_files_are_synced_at_once(self, tmp_path):
        with atomic_folder(tmp_path / "many") as temporary:
            for number in range(101):
                (temporary / str(number)).touch()
        assert len(names(tmp_path / "many")) == 101

    def test_without_an_old_folder_an_exception_leaves_none(self, tmp_path):
        with pytest.raises(InterruptionError), atomic_folder(tmp_path / "prepared") as temporary:
            (temporary / "half").touch()
            raise InterruptionError
        assert names(tmp_path) == []

    def test_a_kill_while_writing_leaves_the_old_folder(self, tmp_path):
        (tmp_path / "prepared").mkdir()
        (tmp_path / "prepared" / "old").touch()
        killed_while(
            """
            with atomic_folder(folder / "prepared") as temporary:
                (temporary / "half").touch()
                print("half", flush=True)
                import time; time.sleep(60)
            """,
            tmp_path,
        )
        assert names(tmp_path / "prepared") == ["old"]

    def test_a_kill_while_the_old_folder_is_removed_leaves_no_part_of_it_under_its_name(self, tmp_path):
        """Removing a folder of many files takes a while; what bears the name must be whole all the time."""
        (tmp_path / "prepared").mkdir()
        for number in range(5):
            (tmp_path / "prepared" / f"old{number}").touch()
        killed_while(
            """
            import os, time
            unlink = os.unlink
            def slow(*arguments, **options):
                unlink(*arguments, **options)
                print("half", flush=True)
                time.sleep(60)
            os.unlink = slow
            with atomic_folder(folder / "prepared") as temporary:
                (temporary / "new").touch()
            """,
            tmp_path,
        )
        assert names(tmp_path / "prepared") == ["new"]


class TestLeftovers:
    """What a killed process leaves is removed by its name, and nobody else's file has such a name."""

    def test_what_the_writers_make_begins_so(self, tmp_path):
        with atomic_path(tmp_path / "last.pt") as file, atomic_folder(tmp_path / "prepared") as folder:
            assert file.name.startswith(TEMPORARY) and folder.name.startswith(TEMPORARY)
            file.touch()

    def test_a_kill_leaves_files_and_folders_and_all_of_them_go(self, tmp_path):
        killed_while(
            """
            with atomic_path(folder / "last.pt") as file, atomic_folder(folder / "prepared") as inner:
                file.touch()
                with atomic_path(inner / "train.npy") as array:
                    array.touch()
                    print("half", flush=True)
                    import time; time.sleep(60)
            """,
            tmp_path,
        )
        assert len(names(tmp_path)) == 2
        remove_leftovers(tmp_path)
        assert names(tmp_path) == []

    def test_everything_else_stays_hidden_or_not(self, tmp_path):
        """A user's own notes beside the data were once lost to this."""
        kept = [
            ".mine",
            ".git",
            ".lock",
            ".last.0a1b2c3d.pt",
            f"my{TEMPORARY}notes",
            "prepared",
            "podium-tmp-x",
        ]
        for name in kept:
            (tmp_path / name).mkdir()
            (tmp_path / name / "notes.txt").write_text("mine")
        (tmp_path / f"{TEMPORARY}prepared.0a1b2c3d").mkdir()
        (tmp_path / f"{TEMPORARY}prepared.0a1b2c3d" / "half").touch()
        (tmp_path / f"{TEMPORARY}last.0a1b2c3d.pt").touch()
        remove_leftovers(tmp_path)
        assert names(tmp_path) == sorted(kept)
        assert all((tmp_path / name / "notes.txt").read_text() == "mine" for name in kept)

    def test_only_when_asked_it_looks_into_folders(self, tmp_path):
        inner = tmp_path / "fold0" / "oof"
        inner.mkdir(parents=True)
        (inner / f"{TEMPORARY}map.0a1b2c3d.png").touch()
        (inner / "map.png").touch()
        remove_leftovers(tmp_path)
        assert len(names(inner)) == 2
        remove_leftovers(tmp_path, deep=True)
        assert names(inner) == ["map.png"]

    def test_a_folder_that_is_not_there_has_none(self, tmp_path):
        remove_leftovers(tmp_path / "nowhere", deep=True)

    def test_a_link_is_removed_and_not_what_it_points_to(self, tmp_path):
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "image.png").touch()
        (tmp_path / f"{TEMPORARY}link").symlink_to(tmp_path / "data", target_is_directory=True)
        remove_leftovers(tmp_path)
        assert names(tmp_path) == ["data"] and names(tmp_path / "data") == ["image.png"]


class TestLocked:
    def test_a_second_process_waits_and_says_so(self, tmp_path):
        program = (
            "import sys\nfrom pathlib import Path\nfrom pipeline.base.files import locked\n"
            "with locked(Path(sys.argv[1])):\n    print('in', flush=True)\n"
        )
        command = [sys.executable, "-c", program, str(tmp_path / "data")]
        with locked(tmp_path / "data"):
            waiting = subprocess.Popen(
                command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            assert "waiting for another run that is filling" in waiting.stderr.readline()
            assert waiting.poll() is None
        assert waiting.communicate(timeout=60)[0] == "in\n"


def test_a_disk_with_too_little_space_is_said_before_it_is_full(tmp_path):
    require_space(tmp_path, 1, "a file")
    with pytest.raises(UserError, match=r"^the archive needs 1,000,000,000\.00 GB and the disk with "):
        require_space(tmp_path, 10**18, "the archive")


@settings(deadline=None, max_examples=25)
@given(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=4), st.data())
def test_digest_does_not_depend_on_the_order_of_keys(value, data):
    shuffled = {key: value[key] for key in data.draw(st.permutations(list(value)))}
    assert digest(shuffled) == digest(value)
    assert digest({"outer": [shuffled]}) == digest({"outer": [value]})


def test_digest_tells_values_and_nesting_apart():
    values = [
        {"a": 1},
        {"a": 1.5},
        {"a": "1"},
        {"b": 1},
        {"a": {"a": 1}},
        [{"a": 1}],
        ["a", 1],
        [["a"], 1],
        None,
    ]
    assert len({digest(value) for value in values}) == len(values)


def test_digest_is_the_same_in_every_process_and_as_long_as_asked():
    assert digest({"b": [1, None], "a": "é"}) == "9b10bedc"
    assert digest({"b": [1, None], "a": "é"}, length=16).startswith("9b10bedc")
    assert len(digest(0, length=16)) == 16


def test_write_json_refuses_nan_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "summary.json"
    write_json(path, {"score": 0.5, "text": "é"})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"score": float("nan")})
    assert json.loads(path.read_text()) == {"score": 0.5, "text": "é"}
    assert names(tmp_path) == ["summary.json"]


def test_file_hash_is_the_known_one(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_hash(tmp_path / "abc").startswith("ba7816bf8f01cfea")
    assert file_hash(tmp_path / "abc", "sha1") == "a9993e364706816aba3e25717850c26c9cd0d89d"
