"""Folds side by side: the same bytes, one sentence for what is wrong, nothing left behind."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from competitions.cifar10.competition import Competition
from pipeline.stages.main import main
from tests.stages.test_so_far import CONFIGS, ledger, raw, the_file

__all__ = ["raw"]


@pytest.fixture
def submit(raw, tmp_path, monkeypatch):
    """Function that submits with further options, in a folder of its own, on the CPU."""
    monkeypatch.chdir(tmp_path)
    words = ["submit", "--raw", str(raw), "--config", "sample", "--device", "cpu"]
    words += ["--model.name", "podium_cifarnet"]  # a worker knows nothing of the tests

    def submitting(*options: str) -> None:
        main(Competition(), CONFIGS, [*words, *options])

    return submitting


def predictions() -> list[bytes]:
    """Of all folds; files of weights hold times, too."""
    folders = sorted(Path("runs/cifar10").glob("*/fold?"))
    return [(folder / f"{split}.parquet").read_bytes() for folder in folders for split in ("oof", "test")]


def test_two_workers_give_the_bytes_of_one(submit, capfd):
    submit("--workers", "1", "--worker-cores", "1")
    alone, before = the_file(), predictions()
    shutil.rmtree("runs")
    shutil.rmtree("submissions")
    capfd.readouterr()
    submit("--workers", "2", "--worker-cores", "1", "--hours", "1")
    assert the_file() == alone and predictions() == before and len(before) == 6
    assert ledger()["folds"] == 3
    said = capfd.readouterr().err
    assert "2 folds at once: on cpu, cpu, 1 threads each" in said
    assert said.count("new run") == 1
    assert said.count("submission so far") in (1, 2)  # one of two folds that end together
    assert {line[:6] for line in said.splitlines() if "epoch 1/1" in line} == {"fold 0", "fold 1", "fold 2"}


@pytest.mark.slow
def test_compared_values_are_trained_side_by_side(raw, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    words = ["--raw", str(raw), "--config", "sample", "--device", "cpu", "--model.name", "podium_cifarnet"]
    values = ["--train.lr", "0.05,0.2", "--folds.use", "1", "--workers", "2", "--worker-cores", "1"]
    main(Competition(), CONFIGS, ["compare", *words, *values])
    assert "2 folds at once: on cpu, cpu, 1 threads each" in capfd.readouterr().err
    table = pd.read_csv("runs/cifar10/comparison.csv")
    rows = pd.read_csv("submissions/cifar10/ledger.csv")
    assert len(table) == 2 and set(table["run"]) == set(rows["run"])
    main(Competition(), CONFIGS, ["compare", *words, *values])
    said = capfd.readouterr().err
    assert said.count("already done: ") == 2 and "at once" not in said


@pytest.mark.slow
def test_what_is_wrong_in_a_worker_is_the_one_sentence(submit, capfd):
    with pytest.raises(SystemExit) as end:
        submit("--workers", "2", "--worker-cores", "1", "--train.lr", "1e30", "--train.warmup", "0")
    assert end.value.code == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "lower --train.lr" in errors[0]


@pytest.mark.parametrize("option", ["--workers", "--worker-cores"])
def test_a_number_of_workers_is_at_least_1(submit, capfd, option):
    with pytest.raises(SystemExit):
        submit(option, "0")
    assert f"{option} is 0, and must be at least 1" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system lists no processes in /proc")
def test_workers_end_with_the_command(raw, tmp_path):
    words = ["--raw", str(raw), "--config", "fast", "--folds.scheme", "stratified", "--train.epochs", "5000"]
    command = [sys.executable, "-m", "competitions.cifar10", "submit", *words, "--workers", "2"]
    started = subprocess.Popen(
        [*command, "--device", "cpu"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert started.stderr is not None
    for line in started.stderr:
        if "epoch 2/" in line:
            break
    helpers = _descendants(started.pid)
    assert len(helpers) >= 2
    started.terminate()
    said = started.stderr.read()
    assert started.wait(10) == 143 and "interrupted by SIGTERM: the same command goes on" in said
    for _ in range(100):
        left = [one for one in helpers if Path(f"/proc/{one}").exists()]
        if not left:
            return
        time.sleep(0.1)
    raise AssertionError(f"{left} of {helpers} are still there")


def _descendants(process: int) -> list[int]:
    children = [
        int(one)
        for path in Path(f"/proc/{process}/task").glob("*/children")
        for one in path.read_text().split()
    ]
    return children + [one for child in children for one in _descendants(child)]
