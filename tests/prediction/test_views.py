"""The views of test-time augmentation: every combination, each the image seen a little differently."""

import torch

from pipeline.prediction.views import tta_views
from pipeline.tasks.classification.config import PredictConfig

FULL = PredictConfig(flip=True, shift=1, crops=5)


def test_views_are_every_combination():
    assert len(tta_views(PredictConfig(flip=False), 32)) == 1
    assert len(tta_views(PredictConfig(flip=True, shift=2), 32)) == 6
    assert len(tta_views(FULL, 32)) == 30


def test_every_view_keeps_the_shape_and_the_first_is_the_image_itself():
    batch = torch.rand(2, 3, 32, 32)
    views = tta_views(FULL, 32)
    assert all(view(batch).shape == batch.shape for view in views)
    assert torch.equal(views[0](batch), batch)
    assert torch.equal(views[1](batch), batch.flip(3))


def test_a_shift_moves_the_picture_by_whole_pixels():
    batch = torch.rand(1, 1, 8, 8)
    down_right = tta_views(PredictConfig(flip=False, shift=2), 8)[1](batch)
    assert torch.equal(down_right[:, :, 2:, 2:], batch[:, :, :-2, :-2])


def test_the_largest_shift_that_a_config_allows_works():
    batch = torch.rand(1, 3, 32, 32)
    views = tta_views(PredictConfig(flip=False, shift=31), 32)
    assert all(view(batch).isfinite().all() for view in views)


def test_corner_crops_show_their_own_corner_larger():
    """Each corner has a channel of its own: seven eighths show one corner, and not the opposite one."""
    batch = torch.zeros(1, 4, 64, 64)
    for channel, (rows, columns) in enumerate(
        (r, c) for r in (slice(8), slice(56, 64)) for c in (slice(8), slice(56, 64))
    ):
        batch[0, channel, rows, columns] = 1
    whole, *corners = tta_views(PredictConfig(flip=False, crops=5), 64)
    assert torch.equal(whole(batch), batch) and len(corners) == 4
    for channel, corner in enumerate(corners):
        shown = corner(batch).sum(dim=(0, 2, 3))
        assert shown.argmax() == channel and shown[channel] > 64
        assert shown[3 - channel] == 0
