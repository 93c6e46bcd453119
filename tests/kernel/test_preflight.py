"""What a kernel finds out before it works."""

import os

import pytest

from pipeline.base.errors import UserError
from pipeline.kernel.preflight import LIBRARY_VARIABLE, find_mount, preflight, run_stage, use_operators


@pytest.mark.parametrize("place", ["competitions/flowers", "flowers", "datasets/somebody/flowers"])
def test_a_mount_is_found_in_every_layout(tmp_path, place):
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / "datasets" / "me" / "other").mkdir(parents=True)
    assert find_mount("flowers", tmp_path) == tmp_path / place


def test_a_mount_that_is_not_there_names_those_that_are(tmp_path):
    for place in ("competitions/dogs", "datasets/me/wheels", "old-layout"):
        (tmp_path / place).mkdir(parents=True)
    with pytest.raises(UserError, match=r"flowers is not .*competitions/dogs, datasets/me/wheels, old"):
        find_mount("flowers", tmp_path)


def test_everything_found_is_printed(tmp_path, capsys):
    for place in ("input/datasets/me/bundle", "input/competitions/flowers", "working"):
        (tmp_path / place).mkdir(parents=True)
    mounts = preflight("bundle", "flowers", 2, tmp_path / "input", tmp_path / "working")
    lines = {line[:13].strip(): line[13:] for line in capsys.readouterr().out.splitlines()}
    assert mounts.bundle.name == "bundle" and lines["bundle"] == str(mounts.bundle)
    assert lines["raw files"] == str(mounts.raw) and lines["time limit"].startswith("2 h")
    assert "GB free in" in lines["disk"] and lines["kernel"].startswith("no, Python 3.")
    assert "an operation ran" in lines["accelerator"] or lines["accelerator"].startswith("none, the CPU")


def test_operators_that_do_not_load_are_not_chosen(tmp_path, monkeypatch):
    monkeypatch.delenv(LIBRARY_VARIABLE, raising=False)
    (tmp_path / "operators").mkdir()
    (tmp_path / "operators" / "podium_cpu.so").write_text("no library")
    assert "do not load" in use_operators(tmp_path)
    assert LIBRARY_VARIABLE not in os.environ


def test_a_stage_that_fails_raises_and_shows_its_output(capsys):
    with pytest.raises(RuntimeError, match="exit status 2"):
        run_stage("cifar10", "no-such-stage")
    assert "no stage 'no-such-stage'" in capsys.readouterr().out
