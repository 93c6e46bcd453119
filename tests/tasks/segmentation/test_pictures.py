"""Pictures of masks: what is drawn where."""

import numpy as np
from PIL import Image

from pipeline.tasks.segmentation.palette import VOC_CLASSES, VOC_COLORS
from pipeline.tasks.segmentation.pictures import (
    GAP,
    IGNORED,
    RIGHT,
    WRONG,
    overlay,
    panel,
    plot_class_iou,
    plot_panels,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
TRUTH = np.zeros((5, 6), dtype=np.uint8)
TRUTH[0, :2] = 3, 255
PREDICTED = np.zeros((5, 6), dtype=np.uint8)
PREDICTED[0, 5] = 7


def test_a_panel_shows_image_truth_prediction_and_errors():
    made = panel(IMAGE, TRUTH, PREDICTED, VOC_COLORS)
    assert made.dtype == np.uint8 and made.shape == (5, 4 * 6 + 3 * GAP, 3)
    parts = [made[:, start : start + 6] for start in range(0, made.shape[1], 6 + GAP)]
    assert np.array_equal(parts[0], IMAGE)
    assert np.array_equal(parts[1], VOC_COLORS[TRUTH])
    assert np.array_equal(parts[2], VOC_COLORS[PREDICTED])
    found = [tuple(color) for color in parts[3][0].tolist()]
    assert found == [WRONG, IGNORED, RIGHT, RIGHT, RIGHT, WRONG]


def test_a_panel_without_truth_shows_image_and_prediction():
    made = panel(IMAGE, None, PREDICTED.astype(np.int64), VOC_COLORS)
    assert made.shape == (5, 2 * 6 + GAP, 3)
    assert np.array_equal(made[:, -6:], VOC_COLORS[PREDICTED])


def test_an_overlay_mixes_the_classes_colours_and_leaves_the_background():
    made = overlay(IMAGE, PREDICTED, VOC_COLORS, 0.5)
    expected = IMAGE.copy()
    expected[0, 5] = np.round((IMAGE[0, 5].astype(float) + VOC_COLORS[7]) / 2)
    assert made.dtype == np.uint8
    assert np.array_equal(made, expected)


def test_ignored_pixels_are_drawn_in_vocs_colour_where_only_the_classes_have_one():
    colors = np.arange(24, dtype=np.uint8).reshape(8, 3)
    made = panel(IMAGE, TRUTH, PREDICTED, colors)[:, 6 + GAP : 12 + GAP]
    assert np.array_equal(made[0, :3], [colors[3], VOC_COLORS[255], colors[0]])
    assert np.array_equal(overlay(IMAGE, TRUTH, colors, 1.0)[0, :2], [colors[3], VOC_COLORS[255]])


def test_panels_are_drawn_with_captions_and_the_classes_in_them(tmp_path):
    panels = [
        (IMAGE, TRUTH, PREDICTED, "one"),
        (IMAGE, None, PREDICTED, "two"),
        (IMAGE, TRUTH, TRUTH, "three"),
    ]
    path = plot_panels(panels, VOC_COLORS, VOC_CLASSES, tmp_path / "panels.png")
    with Image.open(path) as image:
        colors = {tuple(color) for color in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
        assert image.width > 900
    legend = {tuple(VOC_COLORS[value].tolist()) for value in (3, 7)}
    assert legend <= colors and WRONG in colors and IGNORED in colors


def test_nothing_to_show_is_an_empty_picture(tmp_path):
    assert plot_panels([], VOC_COLORS, VOC_CLASSES, tmp_path / "panels.png").stat().st_size > 0


def test_class_scores_are_drawn_also_where_some_or_all_are_absent(tmp_path):
    some = np.linspace(0, 1, len(VOC_CLASSES))
    some[3] = np.nan
    for name, iou in (("some", some), ("none", np.full(len(VOC_CLASSES), np.nan))):
        path = plot_class_iou(iou, VOC_CLASSES, tmp_path / f"{name}.png")
        with Image.open(path) as image:
            bars = np.asarray(image.convert("RGB")) == (0x48, 0x78, 0xA8)
            assert bars.all(-1).any() == (name == "some")
