"""What the files of ranzcr-clip-catheter-line-classification look like."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import draw_labels, some_labels, write_image

FINDINGS = (
    *("ETT - Abnormal", "ETT - Borderline", "ETT - Normal"),
    *("NGT - Abnormal", "NGT - Borderline", "NGT - Incompletely Imaged", "NGT - Normal"),
    *("CVC - Abnormal", "CVC - Borderline", "CVC - Normal", "Swan Ganz Catheter Present"),
)


def write_sample(raw, seed):
    """Write train/, test/, train.csv and the sample file under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 400), ("test", 100)):
        numbers = random.choice(10**10, count, replace=False).tolist()
        ids = [f"1.2.826.0.1.3680043.8.498.{number:010d}" for number in numbers]
        table = pd.DataFrame(0, index=range(count), columns=FINDINGS)
        words = []
        for row, name in enumerate(ids):
            labels = some_labels([0.25] * len(FINDINGS), random)
            table.iloc[row, labels] = 1
            image = draw_labels(labels, len(FINDINGS), random, side=48)
            write_image(image, raw / split / f"{name}.jpg", quality=92)
            words.append([FINDINGS[label] for label in labels])
        table.insert(0, "StudyInstanceUID", ids)
        if split == "train":
            patients = [f"{number:09x}" for number in random.integers(0, 60, count).tolist()]
            table.assign(PatientID=patients).to_csv(raw / "train.csv", index=False)
    table.assign(**dict.fromkeys(FINDINGS, 0)).to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "labels": words})
