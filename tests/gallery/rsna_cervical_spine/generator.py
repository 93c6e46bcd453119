"""What the files of rsna-2022-cervical-spine-fracture-detection look like: a few slices a study."""

import numpy as np
import pandas as pd

from tests.gallery.dicom import write_dicom

BONES = [f"C{number}" for number in range(1, 8)]
NAMES = ["patient_overall", *BONES]


def write_sample(raw, seed):
    """Write <split>_images/<study>/<slice>.dcm and the tables under `raw`; return the truth of the test."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 120), ("test", 40)):
        ids = [f"1.2.826.0.1.3680043.{number}" for number in random.choice(10**5, count, replace=False)]
        answers = []
        for name in ids:
            broken = random.random(7) < 0.2
            answers.append([int(broken.any()), *broken.astype(int)])
            for place in range(1, int(random.integers(5, 9))):
                write_dicom(slice_of(broken, random), raw / f"{split}_images" / name / f"{place}.dcm")
        table = pd.DataFrame(answers, columns=NAMES)
        table.insert(0, "StudyInstanceUID", ids)
        if split == "train":
            table.to_csv(raw / "train.csv", index=False)
    rows = [(f"{name}_{kind}", name, kind) for name in ids for kind in NAMES]
    listed = pd.DataFrame(rows, columns=["row_id", "StudyInstanceUID", "prediction_type"])
    listed.to_csv(raw / "test.csv", index=False)
    listed[["row_id"]].assign(fractured=0.5).to_csv(raw / "sample_submission.csv", index=False)
    labels = [[kind for kind, there in zip(NAMES, row, strict=True) if there] for row in answers]
    return pd.DataFrame({"image_id": ids, "labels": labels})


def slice_of(broken, random, side=32):
    """Grey values: a band of its own for each of the seven bones, bright where it is broken."""
    values = random.normal(1000, 120, (side, side))
    for place in np.flatnonzero(broken):
        values[4 * place + 2 : 4 * place + 5] += 1800
    return values
