"""What is particular to masks of images that come in squares."""

import numpy as np
import pandas as pd
import pytest

from pipeline.metrics.usual import mean_dice
from pipeline.tasks.overlapping_segmentation.tiled import COUNTS, of_wholes


def test_a_metric_of_wholes_adds_up_their_squares():
    counts = np.array([[[5, 1, 0]], [[0, 2, 3]], [[0, 0, 0]], [[4, 0, 0]]])
    truth = pd.DataFrame({"whole": ["a", "a", "b", "a"]})
    found = of_wholes(mean_dice(background=True)).function(truth, pd.DataFrame({COUNTS: list(counts)}), ["x"])
    assert found == pytest.approx((2 * 9 / (2 * 9 + 3 + 3) + 1) / 2)
