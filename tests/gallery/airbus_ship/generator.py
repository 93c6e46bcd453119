"""What the files of airbus-ship-detection look like, in 64 pixels instead of 768; half show no ship."""

import numpy as np
import pandas as pd

from pipeline.frame.instance_tables import coded_mask
from pipeline.frame.rle import encode
from tests.gallery.drawing import draw_things, hex_ids, write_image

SIDE = 64


def write_sample(raw, seed):
    """Write train_v2/, test_v2/ and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 120), ("test", 40)):
        ids, rows, truth = hex_ids(count, random, 8), [], []
        for place, name in enumerate(ids):
            image, boxes = draw_things([0] * (int(random.integers(1, 4)) if place % 2 else 0), random, SIDE)
            write_image(image, raw / f"{split}_v2" / f"{name}.jpg", quality=95)
            masks = [np.zeros((SIDE, SIDE), dtype=bool) for _ in boxes]
            for mask, (x, y, w, h) in zip(masks, boxes, strict=True):
                mask[y : y + h, x : x + w] = True
            rows += [(f"{name}.jpg", encode(mask)) for mask in masks] or [(f"{name}.jpg", "")]
            truth.append([coded_mask(mask) for mask in masks])
        if split == "train":
            table = pd.DataFrame(rows, columns=["ImageId", "EncodedPixels"])
            table.to_csv(raw / "train_ship_segmentations_v2.csv", index=False)
    sample = pd.DataFrame({"ImageId": [f"{name}.jpg" for name in ids], "EncodedPixels": "1 2"})
    sample.to_csv(raw / "sample_submission_v2.csv", index=False)
    columns = {
        "boxes": [[box for box, _ in row] for row in truth],
        "labels": [["ship"] * len(row) for row in truth],
        "crowd": [[0] * len(row) for row in truth],
        "masks": [[mask for _, mask in row] for row in truth],
    }
    return pd.DataFrame({"image_id": ids, "height": SIDE, "width": SIDE, **columns})
