"""Predictions meet by image id, or not at all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.experiment.average import aligned
from pipeline.frame.values import frame_of
from pipeline.tasks.classification.config import Config
from pipeline.tasks.classification.task import Classification


def frame(rows: dict[str, float], classes: tuple[str, str] = ("cat", "dog")) -> pd.DataFrame:
    """Predictions with the given probability of the first class."""
    values = np.array([[value, 1 - value] for value in rows.values()])
    return frame_of(np.array(list(rows), dtype=object), values, classes)


def average(*frames: pd.DataFrame) -> pd.DataFrame:
    """The mean of frames in any order of rows. Probabilities by class leave no files."""
    names = [f"run{number}" for number, _ in enumerate(frames, start=1)]
    return Classification().average(aligned(frames, names), Path(), Config())


def test_rows_are_aligned_by_id_and_come_in_the_first_frames_order():
    mean = average(frame({"b": 1.0, "a": 0.0, "c": 0.5}), frame({"a": 0.5, "c": 0.5, "b": 0.0}))
    pd.testing.assert_frame_equal(mean, frame({"b": 0.5, "a": 0.25, "c": 0.5}))


def test_one_frame_is_its_own_average():
    only = frame({"b": 0.75, "a": 0.5})
    pd.testing.assert_frame_equal(average(only), only)


def test_the_order_of_members_does_not_matter_to_the_values():
    frames = [frame({"a": value, "b": 1 - value}) for value in (0.1, 0.2, 0.7)]
    forward, backward = average(*frames), average(*frames[::-1])
    np.testing.assert_allclose(forward["cat"], backward["cat"], rtol=1e-6)
    assert forward["cat"].tolist() == pytest.approx([1 / 3, 2 / 3])


@pytest.mark.parametrize("other", [{"a": 0.5}, {"a": 0.5, "b": 0.5, "d": 0.5}, {"a": 0.5, "x": 0.5}])
def test_other_ids_are_refused_by_name(other):
    with pytest.raises(UserError, match=r"^run2 and run1 predict different images \(\d ids: [bdx]"):
        average(frame({"a": 0.5, "b": 0.5}), frame(other))


def test_an_image_predicted_twice_is_refused():
    twice = pd.concat([frame({"a": 0.5, "b": 0.5}), frame({"a": 0.1})])
    with pytest.raises(UserError, match="run2"):
        average(frame({"a": 0.5, "b": 0.5}), twice)


def test_other_classes_or_another_order_of_them_are_refused():
    with pytest.raises(UserError, match="run2 and run1 predict different columns"):
        average(frame({"a": 0.5}), frame({"a": 0.5}, ("dog", "cat")))
