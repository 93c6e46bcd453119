"""Scores of images from sums of errors, against the values themselves."""

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from pipeline.metrics.images import error_sums, pixel_mae, pixel_rmse


def test_every_value_of_every_image_counts_the_same():
    random = np.random.default_rng(0)
    pairs = [(random.random(size), random.random(size)) for size in ((4, 7), (30, 2), (1, 1))]
    sums = np.stack([error_sums(*pair) for pair in pairs])
    truth, found = (np.concatenate([pair[place].ravel() for pair in pairs]) for place in (0, 1))
    assert pixel_rmse(sums) == pytest.approx(root_mean_squared_error(truth, found))
    assert pixel_mae(sums) == pytest.approx(mean_absolute_error(truth, found))


def test_differences_of_small_whole_numbers_do_not_wrap_around():
    assert error_sums(np.zeros(2, "uint8"), np.full(2, 255, "uint8")).tolist() == [2 * 255**2, 510, 2]


def test_images_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\) and the prediction \(3, 2\)"):
        error_sums(np.zeros((2, 3)), np.zeros((3, 2)))
