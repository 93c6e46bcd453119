"""What the files of understanding-clouds-organization look like; pictures of 140 x 100 pixels, not
2100 x 1400, and masks that are handed in at a quarter of both sides, as there."""

import numpy as np
import pandas as pd

from pipeline.frame.rle import encode
from tests.gallery.drawing import draw_masks, hex_ids, write_image

KINDS = ("Fish", "Flower", "Gravel", "Sugar")
SIZE = (100, 140)
QUARTER = (25, 35)


def write_sample(raw, seed):
    """Write train_images/, test_images/ and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 80), ("test", 24)):
        ids, texts = hex_ids(count, random, 8), []
        for name in ids:
            image, masks = draw_masks(4, random, SIZE, chance=0.5)
            write_image(image, raw / f"{split}_images" / f"{name}.jpg", quality=95)
            texts.append([encode(mask) for mask in masks])
        rows = [
            (f"{name}.jpg_{kind}", text)
            for name, row in zip(ids, texts, strict=True)
            for kind, text in zip(KINDS, row, strict=True)
        ]
        table = pd.DataFrame(rows, columns=["Image_Label", "EncodedPixels"])
        if split == "train":
            table.to_csv(raw / "train.csv", index=False)
    table.assign(EncodedPixels="1 1").to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "masks": texts})
