"""What the files of plant-pathology-2020-fgvc7 look like."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, write_image

NAMES = ("healthy", "multiple_diseases", "rust", "scab")


def write_sample(raw, seed):
    """Write images/, train.csv, test.csv and sample_submission.csv; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("Train", 280), ("Test", 80)):
        kinds = balanced(4, count, random)
        ids = [f"{split}_{number}" for number in range(count)]
        for name, kind in zip(ids, kinds, strict=True):
            write_image(draw_kind(kind, random, side=48), raw / "images" / f"{name}.jpg")
        table = pd.DataFrame(np.eye(4, dtype=int)[kinds], columns=NAMES)
        table.insert(0, "image_id", ids)
        if split == "Train":
            table.to_csv(raw / "train.csv", index=False)
    table[["image_id"]].to_csv(raw / "test.csv", index=False)
    table.assign(**dict.fromkeys(NAMES, 0.25)).to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "label": [NAMES[kind] for kind in kinds]})
