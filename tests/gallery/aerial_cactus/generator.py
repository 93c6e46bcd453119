"""What Kaggle's archive of aerial-cactus-identification looks like."""

import io
import zipfile

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, hex_ids


def write_sample(raw, seed):
    """Write train.csv, train.zip, test.zip and sample_submission.csv; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 240), ("test", 80)):
        labels = balanced(2, count, random)
        table = pd.DataFrame({"id": [f"{name}.jpg" for name in hex_ids(count, random)], "has_cactus": labels})
        with zipfile.ZipFile(raw / f"{split}.zip", "w") as archive:
            for name, label in zip(table["id"], labels, strict=True):
                content = io.BytesIO()
                draw_kind(label, random).save(content, "JPEG")
                archive.writestr(f"{split}/{name}", content.getvalue())
        file = "train.csv" if split == "train" else "sample_submission.csv"
        (table if split == "train" else table.assign(has_cactus=0.5)).to_csv(raw / file, index=False)
    return table.set_axis(["image_id", "label"], axis=1).astype("str")
