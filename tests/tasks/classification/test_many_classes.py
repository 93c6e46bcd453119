"""Memory does not grow with the number of classes."""

import json
import os
import subprocess
import sys

import pytest

from tests.helpers import REPOSITORY


@pytest.mark.slow
def test_scoring_and_blending_thousands_of_classes_is_bounded_in_memory(tmp_path):
    rows, classes = 20_000, 5000
    done = subprocess.run(
        [sys.executable, "-m", "tests.tasks.classification.many_classes", str(rows), str(classes)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=True,
        capture_output=True,
        text=True,
    )
    about = json.loads(done.stdout)
    dense = rows * classes * 4 / 2**20
    assert about["megabytes"] < 400 < 2 * dense  # a frame of each probability has two of them at least
    assert about["map_at_5"] == pytest.approx(about["folds"], abs=0.02)
    assert about["mean"] > about["map_at_5"] and about["climb"] > about["map_at_5"]
