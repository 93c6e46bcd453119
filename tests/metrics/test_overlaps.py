"""Intersections over union, image by image."""

import json

import numpy as np
import pandas as pd
from faster_coco_eval.core import mask as coco_mask

from pipeline.metrics.overlaps import overlaps


def frame(boxes, masks=None):
    columns = {"boxes": boxes, **({} if masks is None else {"masks": masks})}
    return pd.DataFrame({"image_id": ["a", "b", "c"], "height": 10, "width": 12, **columns})


def triangle() -> str:
    mask = np.asfortranarray(np.tri(10, 12, dtype="uint8"))
    return json.dumps({"size": [10, 12], "counts": coco_mask.encode(mask)["counts"].decode("ascii")})


TRUTH = [[[0, 0, 4, 4], [8, 0, 12, 4]], [], [[0, 0, 2, 2]]]
FOUND = [[[0, 0, 4, 2]], [[1, 1, 2, 2]], []]


def test_each_image_has_a_matrix_of_predictions_by_true_objects():
    for kind in ("bbox", "segm"):  # masks of frames without any are their boxes
        found = list(overlaps(frame(TRUTH, [["", ""], [], [""]]), frame(FOUND), kind))
        assert [one.shape for one in found] == [(1, 2), (1, 0), (0, 1)]
        np.testing.assert_allclose(found[0], [[0.5, 0.0]])


def test_masks_overlap_by_their_own_pixels():
    truth = frame([[[0, 0, 10, 10]], [], []], [[triangle()], [], []])
    found = frame([[[0, 0, 10, 10]], [], []], [[triangle()], [], []])
    rectangle = frame([[[0, 0, 10, 10]], [], []])
    assert [next(overlaps(truth, one, "segm"))[0, 0] for one in (found, rectangle)] == [1.0, 0.55]
    assert next(overlaps(truth, found))[0, 0] == 1.0
