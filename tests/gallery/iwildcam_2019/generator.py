"""What the files of iwildcam-2019-fgvc6 look like."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, hex_ids, write_image

SPECIES = (0, 1, 3, 8, 11, 13, 16, 19)
"""The categories of the images; not all of the 23 have training images, in the real data neither."""


def write_sample(raw, seed):
    """Write train_images/, test_images/ and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count, places in (("train", 320, range(20)), ("test", 80, range(100, 105))):
        ids, kinds = hex_ids(count, random, 36), balanced(len(SPECIES), count, random)
        rows = []
        for name, kind in zip(ids, kinds, strict=True):
            write_image(draw_kind(kind, random, side=40), raw / f"{split}_images" / f"{name}.jpg")
            rows.append((SPECIES[kind], "2011-05-13 23:43:18", f"{name}.jpg", 1, name, random.choice(places)))
        names = ["category_id", "date_captured", "file_name", "frame_num", "id", "location"]
        table = pd.DataFrame(rows, columns=names).assign(rights_holder="Erin Boydston", seq_id="", width=40)
        (table if split == "train" else table.drop(columns="category_id")).to_csv(
            raw / f"{split}.csv", index=False
        )
    sample = pd.DataFrame({"Id": ids, "Predicted": 0})
    sample.to_csv(raw / "sample_submission.csv")  # with its index, as the organiser's
    return table[["id", "category_id"]].set_axis(["image_id", "label"], axis=1).astype("str")
