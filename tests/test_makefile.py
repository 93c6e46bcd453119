"""What make passes on to the commands; nothing is run."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.helpers import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def command(target: str, *variables: str) -> str:
    """The last command that make would run for `target`, with the environment taken as set up."""
    call = ["make", "--dry-run", "--assume-old=.venv/.ready", target, *variables]
    # `make test` runs this: what it tells its own children is not for this one.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    told = subprocess.run(call, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
    return " ".join(told.stdout.replace("\\\n", " ").split())


def test_the_pages_port_can_be_chosen():
    assert command("serve", "ARGS=--port 8001").endswith("pipeline.track.serve --port 8001")


def test_a_name_that_is_no_competitions_is_told_with_the_nearest_one():
    assert command("submit", "COMP=cifr10").endswith("-m competitions 'cifr10' submit")
    told = subprocess.run(
        [sys.executable, "-m", "competitions", "cifr10", "submit"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 2 and told.stderr.count("\n") == 1
    assert "'cifr10': did you mean cifar10? there are cifar10, coco, " in told.stderr


def test_a_stage_gets_what_was_given_and_no_more():
    assert command("submit", "COMP=voc").endswith("-m competitions.voc submit")
    told = command("submit", "CONFIG=fast", "DATA=sample", "OUT=s.csv", "ARGS=--train.epochs 3")
    assert told.endswith(
        "-m competitions.cifar10 submit --config 'fast' --data 'sample' --out 's.csv' --train.epochs 3"
    )


def test_runs_and_the_run_to_go_on_with_are_passed_on():
    assert command("blend", "RUNS=a b", "FORMAT=voc").endswith("blend --format 'voc' --runs a b")
    assert command("train", "RUN=fast-20260101-0123abcd").endswith("train --run 'fast-20260101-0123abcd'")


@pytest.mark.parametrize(
    ("target", "variable", "option"), [("data", "RUN=x", "--run 'x'"), ("scores", "RAW=r", "--raw 'r'")]
)
def test_what_a_stage_does_not_have_reaches_it_too_so_that_it_is_refused(target, variable, option):
    assert command(target, variable).endswith(f"competitions.cifar10 {target} {option}")


def test_the_bundles_own_options_reach_it():
    own = "--data-source me/voc --no-gpu --hours 2 --train.epochs 3"
    told = command("kernel", "COMP=voc", "KIND=train", "OUT=k", f"ARGS={own}")
    assert told.endswith(f"competitions.voc kernel --out 'k' --kind 'train' {own}")
