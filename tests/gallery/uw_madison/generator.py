"""What the files of uw-madison-gi-tract-image-segmentation look like; slices of 72 x 64 pixels."""

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.frame.rle import encode
from tests.gallery.drawing import draw_masks, write_image

ORGANS = ("large_bowel", "small_bowel", "stomach")
SLICES = 6


def write_sample(raw, seed):
    """Write train/, test/ (<case>/<case>_<day>/scans/) and the tables under `raw`; return the truth of the
    test slices."""
    random = np.random.default_rng(seed)
    for split, cases in (("train", range(2, 16)), ("test", range(20, 24))):
        rows, truth = [], []
        for case in cases:
            day = f"case{case}_day{random.integers(1, 40)}"
            for place in range(1, SLICES + 1):
                image, masks = draw_masks(3, random, (64, 72), chance=0.5)
                shades = np.asarray(image).astype("uint16") @ np.array([90, 30, 6], dtype="uint16")
                name = f"slice_{place:04d}"
                path = raw / split / f"case{case}" / day / "scans" / f"{name}_72_64_1.50_1.50.png"
                write_image(Image.fromarray(shades.astype("uint16")), path)
                texts = [encode(mask, "rows") for mask in masks]
                rows += [(f"{day}_{name}", organ, text) for organ, text in zip(ORGANS, texts, strict=True)]
                truth.append((f"{day}_{name}", texts))
        table = pd.DataFrame(rows, columns=["id", "class", "segmentation"])
        if split == "train":
            table.to_csv(raw / "train.csv", index=False)
    sample = table.rename(columns={"segmentation": "predicted"}).assign(predicted="")
    sample.to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame(truth, columns=["image_id", "masks"])
