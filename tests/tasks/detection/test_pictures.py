"""Pictures: the right pixels change, and files can be opened."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.metrics.voc_ap import Curve
from pipeline.tasks.detection.breakdown import KINDS
from pipeline.tasks.detection.pictures import (
    Detections,
    draw_boxes,
    plot_breakdown,
    plot_detections,
    plot_precision_recall,
)

RED, BLUE = (255, 0, 0), (0, 0, 255)


def colors_of(path: Path) -> set[tuple[int, ...]]:
    return set(map(tuple, np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3).tolist()))


def test_boxes_are_drawn_on_their_edges_alone():
    image = np.full((60, 80, 3), 90, dtype=np.uint8)
    drawn = draw_boxes(image, [[10, 20, 30, 40], [70, 50, 200, 90]], ["", ""], [RED, BLUE])
    assert (image == 90).all() and drawn.dtype == np.uint8 and drawn.shape == image.shape
    red = np.argwhere((drawn == RED).all(axis=2))
    assert red.min(axis=0).tolist() == [20, 10] and red.max(axis=0).tolist() == [39, 29]
    assert len(red) == 4 * 19 and (drawn[25:35, 15:25] == 90).all()
    assert (drawn[50, 70:] == BLUE).all() and (drawn[50:, 70] == BLUE).all()


def test_captions_stay_within_the_image():
    image = np.zeros((60, 120, 3), dtype=np.uint8)
    drawn = draw_boxes(image, [[100, 2, 118, 50]], ["cat 0.93"], [(255, 255, 255)])
    plain = draw_boxes(image, [[100, 2, 118, 50]], [""], [(255, 255, 255)])
    changed = np.argwhere((drawn != plain).any(axis=2))
    assert len(changed) > 200 and changed[:, 0].max() < 20 and changed[:, 1].min() > 20


def test_no_boxes_change_nothing():
    image = np.random.default_rng(0).integers(0, 255, (9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(draw_boxes(image, [], [], []), image)
    with pytest.raises(ValueError, match="shorter"):
        draw_boxes(image, [[0, 0, 5, 5]], [], [])


def is_green(color: tuple[int, ...]) -> bool:
    """Of the truth's hue; thin lines and labels let what is behind shine through."""
    return color[1] > color[0] + 60 and color[1] > color[2] + 60


def is_red(color: tuple[int, ...]) -> bool:
    """Of the predictions' hue."""
    return color[0] > color[1] + 80 and color[0] > color[2] + 80


def test_a_grid_shows_truth_in_green_and_predictions_in_red(tmp_path):
    image = np.zeros((60, 80, 3), dtype=np.uint8)
    box = [[10.0, 20.0, 60.0, 50.0]]
    found = {"boxes": box, "labels": ["cat"], "scores": [0.5], "true_boxes": box, "true_labels": ["cat"]}
    rows = [Detections(image=image, caption=f"image {number}", **found) for number in range(5)]
    colors = colors_of(plot_detections(rows, tmp_path / "both.png"))
    assert any(map(is_green, colors)) and any(map(is_red, colors))
    unknown = [replace(row, true_boxes=(), true_labels=()) for row in rows]
    colors = colors_of(plot_detections(unknown, tmp_path / "predicted.png"))
    assert any(map(is_red, colors)) and not any(map(is_green, colors))
    assert plot_detections([], tmp_path / "none.png").exists()


def test_curves_with_classes_that_have_none(tmp_path):
    scores = np.array([0.9, 0.8, 0.7])
    curve = Curve(np.array([1, 1, 2]) / 3, np.array([1, 1 / 2, 2 / 3]), scores, 3)
    nothing = Curve(np.zeros(0), np.zeros(0), np.zeros(0), 5)
    absent = Curve(np.full(3, np.nan), np.zeros(3), scores, 0)
    many = {f"class {number}": curve._replace(objects=20 + number) for number in range(12)}
    path = plot_precision_recall(
        {"cat": curve, "dog": nothing, "cow": absent, **many}, tmp_path / "curves.png"
    )
    assert (31, 119, 180) in colors_of(path)
    assert plot_precision_recall({}, tmp_path / "none.png").exists()


def test_bars_of_mistakes(tmp_path):
    counts = dict.fromkeys(KINDS, 3)
    assert {(44, 160, 44), (214, 39, 40)} <= colors_of(plot_breakdown(counts, tmp_path / "bars.png"))
    assert plot_breakdown(dict.fromkeys(KINDS, 0), tmp_path / "zeros.png").exists()
