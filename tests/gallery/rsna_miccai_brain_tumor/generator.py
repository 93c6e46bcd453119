"""What the files of rsna-miccai-brain-tumor-radiogenomic-classification look like: FLAIR, T1w, T1wCE, T2w."""

import numpy as np
import pandas as pd

from tests.gallery.dicom import scan_of, write_dicom

SERIES = ("FLAIR", "T1w", "T1wCE", "T2w")


def write_sample(raw, seed):
    """Write <split>/<patient>/<series>/Image-<number>.dcm and the tables; return the test's truth."""
    random = np.random.default_rng(seed)
    tables = {}
    for split, count, start in (("train", 100, 0), ("test", 40, 500)):
        labels = random.permutation(np.arange(count) % 2).tolist()
        names = [f"{number:05d}" for number in range(start, start + count)]
        for name, label in zip(names, labels, strict=True):
            for series in SERIES:
                slices = int(random.integers(2, 4))
                for number in range(1, slices + 1):
                    shown = bool(label) and series in ("FLAIR", "T2w")
                    path = raw / split / name / series / f"Image-{number}.dcm"
                    write_dicom(scan_of(shown, random, 36), path)
        tables[split] = pd.DataFrame({"BraTS21ID": names, "MGMT_value": labels})
    tables["train"].to_csv(raw / "train_labels.csv", index=False)
    tables["test"].assign(MGMT_value=0.5).to_csv(raw / "sample_submission.csv", index=False)
    return tables["test"].set_axis(["image_id", "label"], axis=1).astype("str")
