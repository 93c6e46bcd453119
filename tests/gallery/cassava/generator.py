"""What the files of cassava-leaf-disease-classification look like."""

import json

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, write_image

NAMES = ("Bacterial Blight (CBB)", "Brown Streak (CBSD)", "Green Mottle (CGM)", "Mosaic (CMD)", "Healthy")


def write_sample(raw, seed):
    """Write train_images/, test_images/ and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 300), ("test", 80)):
        labels = balanced(5, count, random)
        ids = [f"{random.integers(10**9, 10**10)}.jpg" for _ in labels]
        for name, label in zip(ids, labels, strict=True):
            write_image(draw_kind(label, random, side=48), raw / f"{split}_images" / name)
        table = pd.DataFrame({"image_id": ids, "label": labels})
        file = "train.csv" if split == "train" else "sample_submission.csv"
        (table if split == "train" else table.assign(label=4)).to_csv(raw / file, index=False)
    names = {str(number): f"Cassava {name}" for number, name in enumerate(NAMES)}
    (raw / "label_num_to_disease_map.json").write_text(json.dumps(names))
    return table.astype("str")
