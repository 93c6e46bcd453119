"""Pictures of masks: what is drawn where."""

import numpy as np

from pipeline.tasks.segmentation.palette import VOC_COLORS
from pipeline.tasks.segmentation.pictures import IGNORED, RIGHT, WRONG, overlay, panel

IMAGE = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
TRUTH = np.zeros((5, 6), dtype=np.uint8)
TRUTH[0, :2] = 3, 255
PREDICTED = np.zeros((5, 6), dtype=np.uint8)
PREDICTED[0, 5] = 7


def test_a_panel_is_image_truth_prediction_and_errors():
    parts = panel(IMAGE, TRUTH, PREDICTED, VOC_COLORS)
    assert all(part.dtype == np.uint8 and part.shape == (5, 6, 3) for part in parts)
    assert np.array_equal(parts[0], IMAGE)
    void = TRUTH == 255
    assert np.array_equal(parts[1][~void], VOC_COLORS[TRUTH[~void]]) and (parts[1][void] == IGNORED).all()
    assert np.array_equal(parts[2], VOC_COLORS[PREDICTED])
    found = [tuple(color) for color in parts[3][0].tolist()]
    assert found == [WRONG, IGNORED, RIGHT, RIGHT, RIGHT, WRONG]


def test_an_overlay_mixes_the_classes_colours_and_leaves_the_background():
    made = overlay(IMAGE, PREDICTED, VOC_COLORS, 0.5)
    expected = IMAGE.copy()
    expected[0, 5] = np.round((IMAGE[0, 5].astype(float) + VOC_COLORS[7]) / 2)
    assert made.dtype == np.uint8
    assert np.array_equal(made, expected)


def test_indices_beyond_the_classes_are_drawn_in_vocs_colours():
    colors = np.arange(24, dtype=np.uint8).reshape(8, 3)
    assert np.array_equal(overlay(IMAGE, TRUTH, colors, 1.0)[0, :2], [colors[3], VOC_COLORS[255]])
