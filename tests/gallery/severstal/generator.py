"""What the files of severstal-steel-defect-detection look like; steel of 128 x 64 pixels, not 1600 x 256."""

import numpy as np
import pandas as pd

from pipeline.frame.rle import encode
from tests.gallery.drawing import draw_masks, hex_ids, write_image


def write_sample(raw, seed):
    """Write train_images/, test_images/ and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 80), ("test", 24)):
        ids, texts = hex_ids(count, random, 8), []
        for name in ids:
            image, masks = draw_masks(4, random, (64, 128), chance=0.35, apart=True)
            write_image(image, raw / f"{split}_images" / f"{name}.jpg", quality=95)
            texts.append([encode(mask) for mask in masks])
        rows = [
            (f"{name}.jpg", kind + 1, text)
            for name, row in zip(ids, texts, strict=True)
            for kind, text in enumerate(row)
        ]
        if split == "train":
            found = [row for row in rows if row[2]]  # steel without a defect has no row
            table = pd.DataFrame(found, columns=["ImageId", "ClassId", "EncodedPixels"])
            table.to_csv(raw / "train.csv", index=False)
    sample = [(f"{name}_{kind}", "1 409600") for name, kind, _ in rows]
    table = pd.DataFrame(sample, columns=["ImageId_ClassId", "EncodedPixels"])
    table.to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "masks": texts})
