"""Predictions meet by image id, or not at all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.experiment.average import average
from pipeline.tasks.classification.config import PredictConfig
from pipeline.tasks.classification.task import Classification, to_frame

TASK = Classification()
PLAIN = PredictConfig()
NOWHERE = Path()
"""Averages of probabilities by class write no files."""


def frame(rows: dict[str, float], classes: tuple[str, str] = ("cat", "dog")) -> pd.DataFrame:
    """Predictions with the given probability of the first class."""
    values = torch.tensor([[value, 1 - value] for value in rows.values()]).reshape(-1, 2)
    return to_frame(list(rows), values, classes)


def test_rows_are_aligned_by_id_and_come_in_the_first_frames_order():
    first = frame({"b": 1.0, "a": 0.0, "c": 0.5})
    second = frame({"a": 0.5, "c": 0.5, "b": 0.0})
    pd.testing.assert_frame_equal(
        average(TASK, [first, second], ["x", "y"], NOWHERE, PLAIN),
        frame({"b": 0.5, "a": 0.25, "c": 0.5}),
    )


def test_one_frame_is_its_own_average():
    only = frame({"b": 0.75, "a": 0.5})
    pd.testing.assert_frame_equal(average(TASK, [only], ["x"], NOWHERE, PLAIN), only)


def test_the_order_of_members_does_not_matter_to_the_values():
    frames = [frame({"a": value, "b": 1 - value}) for value in (0.1, 0.2, 0.7)]
    forward = average(TASK, frames, ["x", "y", "z"], NOWHERE, PLAIN)
    backward = average(TASK, frames[::-1], ["z", "y", "x"], NOWHERE, PLAIN)
    np.testing.assert_allclose(forward["cat"], backward["cat"], rtol=1e-6)
    assert forward["cat"].tolist() == pytest.approx([1 / 3, 2 / 3])


@pytest.mark.parametrize("other", [{"a": 0.5}, {"a": 0.5, "b": 0.5, "d": 0.5}, {"a": 0.5, "x": 0.5}])
def test_other_ids_are_refused_by_name(other):
    with pytest.raises(UserError, match=r"^run2 and run1 predict different images \(\d ids: [bdx]"):
        average(TASK, [frame({"a": 0.5, "b": 0.5}), frame(other)], ["run1", "run2"], NOWHERE, PLAIN)


def test_an_image_predicted_twice_is_refused():
    twice = pd.concat([frame({"a": 0.5, "b": 0.5}), frame({"a": 0.1})])
    with pytest.raises(UserError, match="run2"):
        average(TASK, [frame({"a": 0.5, "b": 0.5}), twice], ["run1", "run2"], NOWHERE, PLAIN)


def test_other_classes_or_another_order_of_them_are_refused():
    with pytest.raises(UserError, match="run2 and run1 predict different columns"):
        average(
            TASK,
            [frame({"a": 0.5}), frame({"a": 0.5}, ("dog", "cat"))],
            ["run1", "run2"],
            NOWHERE,
            PredictConfig(),
        )
