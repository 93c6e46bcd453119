"""What a command does before the libraries are imported, each in a process of its own."""

import signal
import subprocess
import sys
import time

import pytest

from pipeline.stages.start import BROKEN_PIPE, NAMES
from tests.helpers import REPOSITORY

PROMPT_S = 1.5
"""For the first output on an idle machine; a busy one may take several times as long."""


def start(*arguments: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "competitions.cifar10", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=REPOSITORY, text=True, **pipes | options)


def test_the_list_of_stages_imports_none_of_the_libraries():
    command = [sys.executable, "-X", "importtime", "-m", "competitions.cifar10", "--help"]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert all(f"\n  {name} " in told.stdout for name in NAMES)
    imported = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "pipeline.stages.start" in imported
    assert not imported & {"torch", "pandas", "numpy", "tyro", "rich", "competitions.cifar10.competition"}


def test_a_stage_that_there_is_not_is_told_with_the_nearest_one():
    out, err = start("trian").communicate(timeout=60)
    assert out == "" and err.startswith("error: there is no stage 'trian': did you mean train?\n")


def test_the_first_line_comes_before_the_imports():
    began = time.monotonic()
    process = start("data", "--help")
    assert process.stderr is not None
    assert process.stderr.readline() == "cifar10 data: loading the libraries ...\n"
    waited = time.monotonic() - began
    process.kill()
    process.communicate()
    assert waited < 4 * PROMPT_S


@pytest.mark.parametrize("arguments", [("--help",), ("data", "--help")])
def test_a_reader_that_goes_away_ends_it_quietly(arguments):
    process = start(*arguments)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=120) == BROKEN_PIPE
    assert process.stderr.read().replace("cifar10 data: loading the libraries ...\n", "") == ""


def test_an_interruption_while_libraries_are_imported_is_one_sentence():
    process = start("submit", "--data", "sample")
    assert process.stderr is not None
    process.stderr.readline()  # the imports begin
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    (line,) = process.stderr.read().splitlines()
    assert line.startswith("interrupted by SIGTERM: ")
