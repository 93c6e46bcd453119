"""What the files of global-wheat-detection look like, in 64 pixels instead of 1,024."""

import numpy as np
import pandas as pd
from PIL import Image

from tests.gallery.drawing import hex_ids, write_image

SIDE = 64


def write_sample(raw, seed):
    """Write train/, test/, train.csv and the sample file under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 120), ("test", 30)):
        ids, rows, truth = hex_ids(count, random, 10), [], []
        for place, name in enumerate(ids):
            image, boxes = _field(random, int(random.integers(1, 4)) if place % 10 else 0)
            write_image(image, raw / split / f"{name}.jpg", quality=95)
            rows += [(name, SIDE, SIDE, str([float(v) for v in (x, y, w, h)])) for x, y, w, h in boxes]
            truth.append([[float(v) for v in (x, y, x + w, y + h)] for x, y, w, h in boxes])
        if split == "train":
            table = pd.DataFrame(rows, columns=["image_id", "width", "height", "bbox"])
            table.assign(source="usask_1").to_csv(raw / "train.csv", index=False)
    sample = pd.DataFrame({"image_id": ids, "PredictionString": "1.0 0 0 50 50"})
    sample.to_csv(raw / "sample_submission.csv", index=False)
    columns = {"labels": "wheat", "crowd": 0, "masks": ""}
    parallel = {name: [[value] * len(boxes) for boxes in truth] for name, value in columns.items()}
    return pd.DataFrame({"image_id": ids, "boxes": truth, **parallel})


def _field(random, heads):
    """An image, and its boxes as x, y, w, h; each head is in a third of its own, so that none overlap."""
    pixels = random.normal(90, 12, (SIDE, SIDE, 3))
    boxes = []
    for third in random.permutation(3)[:heads].tolist():
        w, h = random.integers(14, 19, 2).tolist()
        x, y = 2 + third * 21, int(random.integers(2, SIDE - h - 2))
        pixels[y : y + h, x : x + w] += np.array([130, 90, -40])
        boxes.append((x, y, w, h))
    return Image.fromarray(pixels.clip(0, 255).astype("uint8")), boxes
