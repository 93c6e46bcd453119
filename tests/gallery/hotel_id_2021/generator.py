"""What the files of hotel-id-2021-fgvc8 look like, with 120 of its 7,770 hotels."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, hex_ids, write_image

HOTELS = 120
CHAINS = 8


def write_sample(raw, seed):
    """Write train_images/<chain>/, test_images/, train.csv and the sample file; return the test's truth."""
    random = np.random.default_rng(seed)
    hotels = random.choice(70_000, HOTELS, replace=False).tolist()
    for split, count in (("train", 840), ("test", 120)):
        kinds = balanced(HOTELS, count, random)
        ids = [f"{name}.jpg" for name in hex_ids(count, random, 16)]
        for name, kind in zip(ids, kinds, strict=True):
            inside = f"train_images/{kind % CHAINS}" if split == "train" else "test_images"
            write_image(draw_kind(kind, random), raw / inside / name)
        table = pd.DataFrame({"image": ids, "chain": [kind % CHAINS for kind in kinds]})
        table["hotel_id"] = [hotels[kind] for kind in kinds]
        if split == "train":
            table.assign(timestamp="2019-04-12 13:59:48").to_csv(raw / "train.csv", index=False)
    sample = pd.DataFrame({"image": ids, "hotel_id": "36363 53586 18807 64314 60181"})
    sample.to_csv(raw / "sample_submission.csv", index=False)
    return table[["image", "hotel_id"]].set_axis(["image_id", "label"], axis=1).astype("str")
