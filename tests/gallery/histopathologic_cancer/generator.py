"""What the files of histopathologic-cancer-detection look like."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, hex_ids, write_image


def write_sample(raw, seed):
    """Write train/, test/, train_labels.csv and sample_submission.csv; return the test's truth."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 240), ("test", 80)):
        table = pd.DataFrame({"id": hex_ids(count, random, 40), "label": balanced(2, count, random)})
        for name, label in zip(table["id"], table["label"], strict=True):
            write_image(draw_kind(label, random, side=96), raw / split / f"{name}.tif")
        file = "train_labels.csv" if split == "train" else "sample_submission.csv"
        (table if split == "train" else table.assign(label=0)).to_csv(raw / file, index=False)
    return table.set_axis(["image_id", "label"], axis=1).astype("str")
