"""What the files of imet-2020-fgvc7 look like, with 24 of its 3,474 attributes."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import draw_labels, hex_ids, some_labels, write_image

ATTRIBUTES = 24


def write_sample(raw, seed):
    """Write train/, test/, the tables and labels.csv under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    names = [f"tags::{number}" for number in range(ATTRIBUTES)]
    pd.DataFrame({"attribute_id": range(ATTRIBUTES), "attribute_name": names}).to_csv(
        raw / "labels.csv", index=False
    )
    for split, count in (("train", 500), ("test", 100)):
        ids = hex_ids(count, random, 16)
        found = [some_labels([0.12] * ATTRIBUTES, random) for _ in ids]
        for name, labels in zip(ids, found, strict=True):
            write_image(draw_labels(labels, ATTRIBUTES, random), raw / split / f"{name}.png")
        words = [[str(label) for label in labels] for labels in found]
        table = pd.DataFrame({"id": ids, "attribute_ids": [" ".join(word) for word in words]})
        file = "train.csv" if split == "train" else "sample_submission.csv"
        (table if split == "train" else table.assign(attribute_ids="0 1 2")).to_csv(raw / file, index=False)
    return pd.DataFrame({"image_id": ids, "labels": words})
