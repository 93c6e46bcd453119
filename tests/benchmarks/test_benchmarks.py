"""What the benches are made of; `make bench` itself takes minutes."""

import subprocess
import sys

import pytest
import torch

from benchmarks.__main__ import page, recorded_ratios, slower
from benchmarks.check_gpu import describe, operator_cases, train_a_while
from benchmarks.compare import Case, Result, measure
from benchmarks.photographs import Work
from pipeline.tasks.classification.config import Config, ModelConfig, TrainConfig
from pipeline.training.history import read_history
from pipeline.training.loop import train_fold
from tests.helpers import REPOSITORY, TINY


def _result(name: str, ratio: float) -> Result:
    return Result(Case(name, int, int, target=2), ours_ms=10.0, peer_ms=10.0 * ratio)


def test_a_page_says_what_it_recorded():
    results = {
        "reading": [_result("photographs (timm)", 1.5)],
        "small": [_result("nms of 10, one thread", 12)],
    }
    text = page(results)
    assert recorded_ratios(text) == {"photographs (timm)": 1.5, "nms of 10, one thread": 12.0}
    assert "1.50x | >= 2x MISSED |" in text and "12.00x | >= 2x |" in text


def test_a_fifth_below_what_was_recorded_is_slower():
    recorded = {"a": 2.0, "b": 2.0}
    found = slower([_result("a", 1.59), _result("b", 1.61), _result("new", 0.1)], recorded)
    assert found == ["a: 1.59x, recorded 2.00x"]


def test_a_function_that_times_itself_counts_by_what_it_returns():
    result = measure(Case("a", lambda: 0.5, lambda: 2.0, target=None, repeats=1))
    assert result.ratio == pytest.approx(4)


@pytest.fixture
def job(tmp_path):
    """Training of a small network on a few photographs."""
    train = TrainConfig(epochs=1, batch_size=8, amp="off", workers=0)
    return Work(tmp_path, 40, 48, 32).job(Config(model=ModelConfig(name=TINY), train=train), "fold")


def test_photographs_train(job):
    train_fold(job)
    assert len(read_history(job.folder)) == 1


def test_training_is_measured_on_any_device(job):
    figures = train_a_while(job, seconds=0)
    assert figures.images_per_second > 0 and 0 <= figures.waiting <= 1 and figures.peak_gb == 0
    assert "float32" in figures.row("photographs")


def test_operators_are_compared_on_any_device():
    cases = {case.name: case for case in operator_cases(torch.device("cpu"))}
    case = cases["nms 1,000, cpu"]
    assert torch.equal(case.ours(), case.peer())
    assert "roi_align 512, and its gradient, cpu" in cases


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.slow
def test_without_a_gpu_the_check_runs_to_its_end_and_says_what_it_left_out():
    assert "No GPU" in describe(torch.device("cpu"))
    command = [sys.executable, "-m", "benchmarks.check_gpu"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.count("Skipped: no GPU.") == 4
