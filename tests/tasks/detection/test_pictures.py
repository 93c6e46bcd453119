"""Boxes in pictures: the right pixels change."""

import numpy as np
import pytest

from pipeline.tasks.detection.pictures import draw_boxes

RED, BLUE = (255, 0, 0), (0, 0, 255)


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


def test_a_dashed_box_shows_another_one_between_its_dashes():
    image = np.zeros((60, 80, 3), dtype=np.uint8)
    box = [[10, 20, 60, 50]]
    drawn = draw_boxes(draw_boxes(image, box, [""], [RED]), box, [""], [BLUE], dashed=True)
    edge = drawn[20, 10:60]
    red, blue = ((edge == color).all(axis=1) for color in (RED, BLUE))
    assert red.any() and blue.any() and (red | blue).all() and (drawn[30:40, 20:50] == 0).all()


def test_the_name_of_a_dashed_box_is_below_it():
    image = np.zeros((60, 120, 3), dtype=np.uint8)
    plain, named = (draw_boxes(image, [[10, 5, 60, 30]], [name], [BLUE], dashed=True) for name in ("", "cat"))
    changed = np.argwhere((plain != named).any(axis=2))
    assert changed[:, 0].min() >= 29
