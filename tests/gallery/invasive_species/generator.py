"""What the files of invasive-species-monitoring look like."""

import io
import zipfile

import numpy as np
import pandas as pd
import py7zr

from tests.gallery.drawing import balanced, draw_kind


def write_sample(raw, seed):
    """Write train.7z, test.7z and the zipped tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 200), ("test", 60)):
        labels = balanced(2, count, random)
        table = pd.DataFrame({"name": range(1, count + 1), "invasive": labels})
        with py7zr.SevenZipFile(raw / f"{split}.7z", "w") as archive:
            for number, label in enumerate(labels, start=1):
                content = io.BytesIO()
                draw_kind(label, random).save(content, "JPEG")
                archive.writestr(content.getvalue(), f"{split}/{number}.jpg")
        file = "train_labels.csv" if split == "train" else "sample_submission.csv"
        shown = table if split == "train" else table.assign(invasive=0.5)
        with zipfile.ZipFile(raw / f"{file}.zip", "w") as archive:
            archive.writestr(file, shown.to_csv(index=False))
    return table.set_axis(["image_id", "label"], axis=1).astype("str")
