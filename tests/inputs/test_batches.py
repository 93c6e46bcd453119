"""All rows in their order, as training sees them."""

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline.inputs.augment import augment_batch, train_transform
from pipeline.inputs.batches import Images, TrainingBatches
from pipeline.inputs.preprocess import Preprocess
from pipeline.tasks.classification.config import AugmentConfig, TrainConfig
from pipeline.tasks.whole_image import FixedTargets

PREPROCESS = Preprocess(8, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
SHADES = torch.tensor([10, 90, 170, 250])


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("batch_size", [2, 100])
def test_each_version_of_a_picture_comes_in_its_own_row(batched, batch_size):
    """Images of one shade each: padded, cropped and flipped, they stay it."""
    augment = AugmentConfig(pad=2)
    packed = np.broadcast_to(SHADES.numpy().astype("uint8")[:, None, None, None], (4, 8, 8, 3)).copy()
    frame = pd.DataFrame({"image_id": list("abcd"), "path": ""})
    batches = TrainingBatches(
        images=Images(frame, packed),
        rows=np.arange(4),
        targets=FixedTargets(SHADES),
        transform=train_transform(augment, PREPROCESS),
        batch_transform=(lambda images, to: augment_batch(images, augment, to.mean)) if batched else None,
        train=TrainConfig(batch_size=batch_size, workers=0),
        preprocess=PREPROCESS,
        device=torch.device("cpu"),
    )
    for seed in (0, 1):
        images, targets = batches.in_order(seed)
        assert torch.equal(targets, SHADES)
        shades = (images * 0.25 + 0.5) * 255
        torch.testing.assert_close(shades.mean(dim=(1, 2, 3)), SHADES.float(), atol=1e-3, rtol=0)
