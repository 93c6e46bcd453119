"""What a run is told by, and which commit made it."""

import subprocess
from pathlib import Path

import pytest

from pipeline.base.files import write_json
from pipeline.base.progress import said_of, say, warnings_kept
from pipeline.runs.about import ABOUT, about_run, tell_about
from pipeline.runs.provenance import git_sha
from pipeline.runs.run import Run


def test_a_run_is_told_by_what_it_was_begun_with(tmp_path):
    run = Run(tmp_path / "a")
    write_json(run.folder / "config.json", {})
    tell_about(run, model="resnet18", size="224", changed="--train.lr 0.1")
    told = tell_about(run, note="bigger")
    assert told == about_run(run) and str(told) == "resnet18, 224 pixels, --train.lr 0.1, “bigger”"
    before = (run.folder / ABOUT).stat().st_mtime_ns
    tell_about(run, note="bigger")
    assert (run.folder / ABOUT).stat().st_mtime_ns == before


def test_a_run_of_runs_is_told_by_its_members(tmp_path):
    for name, model in (("a", "resnet18"), ("b", "resnet34"), ("c", "resnet18")):
        write_json(tmp_path / name / "config.json", {})
        tell_about(Run(tmp_path / name), model=model, size="64", note=name)
    write_json(tmp_path / "blend" / "config.json", {"members": ["a", "b", "c"]})
    about = about_run(Run(tmp_path / "blend"))
    assert (about.model, about.size, about.note) == ("resnet18 + resnet34", "64", "")


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A repository with a commit of two folders of code."""
    for name in ("pipeline", "competitions/mine"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "code.py").write_text("1\n")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for command in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def folders(checkout: Path) -> list[Path]:
    return [checkout / "pipeline", checkout / "competitions" / "mine"]


def test_a_change_in_the_competitions_folder_makes_it_dirty(checkout):
    clean = git_sha(folders(checkout))
    assert len(clean) == 12
    (checkout / "notes.txt").write_text("no code")
    assert git_sha(folders(checkout)) == clean
    (checkout / "competitions" / "mine" / "code.py").write_text("2\n")
    assert git_sha(folders(checkout)) == f"{clean}-dirty"


def test_a_new_file_of_code_makes_it_dirty(checkout):
    (checkout / "pipeline" / "new.py").write_text("")
    assert git_sha(folders(checkout)).endswith("-dirty")


def test_outside_git_there_is_no_commit(tmp_path):
    assert git_sha([tmp_path]) == "none"


def test_warnings_are_kept_with_what_is_worked_on(tmp_path, capsys):
    say("warning: before")
    with warnings_kept(tmp_path):
        for text in ("warning: one", "no warning: two", "warning: one", "warning: three"):
            say(text)
    assert said_of(tmp_path) == ["one", "three"]
    assert capsys.readouterr().err.count("warning: one") == 2
