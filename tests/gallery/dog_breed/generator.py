"""What the files of dog-breed-identification look like."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, hex_ids, write_image

BREEDS = [f"{colour}_{kind}" for colour in "abcdefghij" for kind in (f"breed{n:02d}" for n in range(12))]


def write_sample(raw, seed):
    """Write train/, test/, labels.csv and sample_submission.csv; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 720), ("test", 120)):
        kinds = balanced(len(BREEDS), count, random)
        table = pd.DataFrame({"id": hex_ids(count, random), "breed": [BREEDS[kind] for kind in kinds]})
        for name, kind in zip(table["id"], kinds, strict=True):
            write_image(draw_kind(kind, random, noise=8), raw / split / f"{name}.jpg")
        if split == "train":
            table.to_csv(raw / "labels.csv", index=False)
    shares = pd.DataFrame(1 / len(BREEDS), index=table.index, columns=BREEDS)
    shares.insert(0, "id", table["id"])
    shares.to_csv(raw / "sample_submission.csv", index=False)
    return table.set_axis(["image_id", "label"], axis=1)
