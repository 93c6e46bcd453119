"""What make passes on to the commands; nothing is run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]

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


def test_the_bundles_own_options_reach_it():
    told = command("kernel", "COMP=voc", "ARGS=--data-source me/voc --no-gpu --hours 2 --train.epochs 3")
    assert told.endswith("--comp voc --data-source me/voc --no-gpu --hours 2 --train.epochs 3")
