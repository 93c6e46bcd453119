"""What the files of aptos2019-blindness-detection look like."""

import numpy as np
import pandas as pd

from pipeline.tasks.regression.sample import draw_disc
from tests.gallery.drawing import balanced, hex_ids, write_image


def write_sample(raw, seed):
    """Write train_images/, test_images/ and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 360), ("test", 90)):
        table = pd.DataFrame({"id_code": hex_ids(count, random, 12), "diagnosis": balanced(5, count, random)})
        for name, grade in zip(table["id_code"], table["diagnosis"], strict=True):
            write_image(draw_disc(5 + 22 * grade, random), raw / f"{split}_images" / f"{name}.png")
        if split == "train":
            table.to_csv(raw / "train.csv", index=False)
    table[["id_code"]].to_csv(raw / "test.csv", index=False)
    table.assign(diagnosis=0).to_csv(raw / "sample_submission.csv", index=False)
    return table.rename(columns={"id_code": "image_id"})
