"""The command a user types, in a folder of its own: to a validated submission, and what goes wrong."""

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image

from competitions.cifar10 import sample
from competitions.cifar10.competition import CLASSES, Competition
from competitions.cifar10.configs import CONFIGS
from pipeline.stages.main import main
from tests.helpers import REPOSITORY

QUICK = ("--folds.use", "1", "--train.epochs", "2", "--predict.shift", "0")
SECRET = "a-secret-that-is-nobodys-business-0123"


def run(folder: Path, *arguments: str, **options) -> subprocess.CompletedProcess:
    """``python -m competitions.cifar10`` with `folder` as the working directory, and no Kaggle account."""
    return subprocess.run(
        _command(*arguments), cwd=folder, env=_environment(folder), capture_output=True, text=True, **options
    )


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "competitions.cifar10", *arguments]


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KAGGLE")}
    home = folder / "home"
    home.mkdir(exist_ok=True)
    secrets = {"WANDB_API_KEY": SECRET, "HF_TOKEN": SECRET}
    return kept | secrets | {"PYTHONPATH": str(REPOSITORY), "HOME": str(home), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def small_raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample in Kaggle's raw layout: 300 training and 60 test images."""
    raw = tmp_path_factory.mktemp("small") / "raw"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "TRAIN", 300)
        patch.setattr(sample, "TEST", 60)
        sample.write_sample(raw, CLASSES, seed=3)
    return raw


@pytest.fixture(scope="module")
def finished(small_raw, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """One whole run on the small raw files."""
    folder = tmp_path_factory.mktemp("finished")
    out = str(folder / "out" / "s.csv")
    result = run(folder, "submit", "--raw", str(small_raw), "--config", "sample", "--out", out, *QUICK)
    assert result.returncode == 0, result.stderr
    return folder, result


def _csv(folder: Path) -> Path:
    (path,) = (folder / "submissions" / "cifar10").glob("sample-*.csv")
    return path


def test_the_last_line_on_stdout_names_the_submission(finished):
    folder, result = finished
    assert result.stdout.splitlines()[-1] == f"submission: {_csv(folder).relative_to(folder)}"


def test_the_submission_lists_the_sample_files_ids_in_order(finished, small_raw):
    rows = pd.read_csv(_csv(finished[0]), dtype=str)
    wanted = pd.read_csv(small_raw / "sampleSubmission.csv", dtype=str)
    assert list(rows.columns) == ["id", "label"]
    assert list(rows["id"]) == list(wanted["id"])
    assert set(rows["label"]) <= set(CLASSES)


def test_out_gets_the_same_bytes(finished):
    folder = finished[0]
    assert (folder / "out" / "s.csv").read_bytes() == _csv(folder).read_bytes()


def test_the_sidecar_and_the_ledger_say_what_was_run(finished):
    folder = finished[0]
    about = json.loads(_csv(folder).with_suffix(".json").read_text())
    assert about["config"]["train"]["epochs"] == 2
    assert 0 <= about["cv_accuracy"] <= 1
    assert about["versions"]["torch"]
    ledger = pd.read_csv(folder / "submissions" / "cifar10" / "ledger.csv")
    assert list(ledger["run"]) == [_csv(folder).stem]
    assert list(ledger["sha256"]) == [about["sha256"]]


def test_the_run_folder_holds_a_report_with_its_pictures(finished):
    (page,) = (finished[0] / "runs" / "cifar10").glob("*/report.html")
    text = page.read_text()
    assert "<svg" in text  # the curves
    pictures = re.findall('src="data:image/(?:png|jpeg);base64,([^"]+)"', text)
    assert len(pictures) > 3  # mistakes
    for content in pictures:
        with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
            assert picture.width > 30


def test_no_secret_of_the_environment_is_in_a_file_or_a_message(finished):
    folder, result = finished
    assert SECRET not in result.stdout + result.stderr
    assert not [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_the_same_command_again_says_that_it_is_done_and_changes_nothing(finished, small_raw):
    folder = finished[0]
    before, ledger = _csv(folder).read_bytes(), folder / "submissions" / "cifar10" / "ledger.csv"
    rows = ledger.read_bytes()
    again = run(folder, "submit", "--raw", str(small_raw), "--config", "sample", *QUICK)
    assert again.returncode == 0
    assert f"already done: {_csv(folder).stem}" in again.stderr and "epoch" not in again.stderr
    assert again.stdout.splitlines()[-1] == f"submission: {_csv(folder).relative_to(folder)}"
    assert _csv(folder).read_bytes() == before and ledger.read_bytes() == rows


def test_killed_at_any_moment_and_run_again_it_gives_the_same_bytes(finished, small_raw, tmp_path):
    """SIGKILL after the first epoch was saved, again during the second start, then to the end."""
    arguments = ("submit", "--raw", str(small_raw), "--config", "sample", *QUICK)
    log = tmp_path / "log"
    with log.open("w") as stderr:
        first = subprocess.Popen(
            _command(*arguments), cwd=tmp_path, env=_environment(tmp_path), stderr=stderr
        )
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("runs/cifar10/*/fold0/last.pt")) and time.monotonic() < deadline:
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
        first.wait()
    result = run(tmp_path, *arguments)
    assert result.returncode == 0, result.stderr
    assert "resumed after epoch 1" in result.stderr
    assert _csv(tmp_path).read_bytes() == _csv(finished[0]).read_bytes()


def test_configs_are_compared_in_one_table(small_raw, tmp_path, monkeypatch, capsys):
    """Weights are for the configs that ask for pretrained ones: to compare with, another starts without."""
    monkeypatch.chdir(tmp_path)
    sample = CONFIGS["sample"]
    configs = {"one": sample, "two": replace(sample, train=replace(sample.train, lr=0.01))}
    options = ["--raw", str(small_raw), "--config", "one,two", "--model.weights", "gone.pt", *QUICK]
    main(Competition(), configs, ["compare", *options, "--out", "table.csv"])
    table = pd.read_csv("table.csv")
    assert list(table["config"]) == ["one", "two"]
    assert table["cv_accuracy"].between(0, 1).all() and table["run"].is_unique
    assert "two asks for no pretrained weights and starts without" in capsys.readouterr().err


def test_two_processes_do_not_work_on_one_run(finished, small_raw):
    (folder,) = (finished[0] / "runs" / "cifar10").iterdir()
    with FileLock(folder / ".lock"):
        result = run(finished[0], "train", "--raw", str(small_raw), "--config", "sample", *QUICK)
    assert result.returncode == 2
    assert "another process is working on" in result.stderr


@pytest.fixture
def broken_raw(small_raw, tmp_path):
    """A copy of the raw files that a test may break."""
    return Path(shutil.copytree(small_raw, tmp_path / "raw"))


@pytest.fixture
def fails(broken_raw, tmp_path, monkeypatch, capsys) -> Callable[..., None]:
    """Function that submits the broken files, in this process, for a new one takes seconds to start.

    The run ends with status 2 and one line that has all of its arguments, and leaves no submission.
    """
    monkeypatch.chdir(tmp_path)

    def check(*parts: str) -> None:
        with pytest.raises(SystemExit) as end:
            main(Competition(), CONFIGS, ["submit", "--raw", str(broken_raw), "--config", "sample", *QUICK])
        assert end.value.code == 2
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert [part for part in parts if part not in line] == []
        assert not (tmp_path / "submissions").exists()

    return check


def test_an_empty_labels_file_is_named(broken_raw, fails):
    (broken_raw / "trainLabels.csv").write_text("")
    fails("trainLabels.csv")


def test_a_duplicate_id_is_named(broken_raw, fails):
    with (broken_raw / "trainLabels.csv").open("a") as labels:
        labels.write("17,cat\n")
    fails("trainLabels.csv", "17")


def test_an_unknown_label_is_named(broken_raw, fails):
    path = broken_raw / "trainLabels.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1].split(",")[0] + ",unicorn", *lines[2:]]))
    fails("trainLabels.csv", "'unicorn'", "id 1")


def test_a_truncated_image_is_named(broken_raw, fails):
    path = broken_raw / "train" / "23.png"
    path.write_bytes(path.read_bytes()[:200])
    fails("image 23", "23.png")


def test_a_sample_file_with_other_ids_is_refused_before_training(broken_raw, fails):
    path = broken_raw / "sampleSubmission.csv"
    path.write_text("id,label\nx1,cat\nx2,cat\n")
    fails("sample submission", "x1")


def test_an_archive_that_escapes_is_refused(broken_raw, fails, tmp_path):
    shutil.rmtree(broken_raw / "test")
    with zipfile.ZipFile(broken_raw / "test.zip", "w") as archive:
        archive.writestr("../escaped.png", b"")
    fails("test.zip", "../escaped.png")
    assert not list(tmp_path.rglob("escaped.png"))


def test_labels_without_files_are_counted_and_named_but_do_no_harm(broken_raw, tmp_path, monkeypatch, capsys):
    (broken_raw / "train" / "5.png").unlink()
    (broken_raw / "train" / "9.png").rename(broken_raw / "train" / "900.png")
    monkeypatch.chdir(tmp_path)
    main(Competition(), CONFIGS, ["data", "--raw", str(broken_raw)])
    said = capsys.readouterr().err
    assert "2 labels without files, left out: 5, 9" in said
    assert "1 files without labels, left out: 900" in said


@pytest.mark.slow
def test_killed_again_and_again_it_still_finishes_with_the_same_bytes(finished, small_raw, tmp_path):
    """SIGKILL ever later, so that every stage is hit: preparing, training, predicting, reporting."""
    arguments = ("submit", "--raw", str(small_raw), "--config", "sample", *QUICK)
    for tenths in range(20, 200, 7):
        process = subprocess.Popen(
            _command(*arguments), cwd=tmp_path, env=_environment(tmp_path), stderr=subprocess.DEVNULL
        )
        try:
            process.wait(tenths / 10)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
    result = run(tmp_path, *arguments)
    assert result.returncode == 0, result.stderr
    assert _csv(tmp_path).read_bytes() == _csv(finished[0]).read_bytes()
    assert len(pd.read_csv(tmp_path / "submissions" / "cifar10" / "ledger.csv")) == 1
