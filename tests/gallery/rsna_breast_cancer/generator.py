"""What the files of rsna-breast-cancer-detection look like: two to four views of each breast."""

import numpy as np
import pandas as pd

from tests.gallery.dicom import scan_of, write_dicom


def write_sample(raw, seed):
    """Write <split>_images/<patient>/<image>.dcm and the tables under `raw`; return the test's truth."""
    random = np.random.default_rng(seed)
    number = iter(random.permutation(10**6).tolist())
    for split, patients, start in (("train", 100, 5), ("test", 40, 10_000)):
        rows = []
        for patient in range(start, start + patients):
            age = "" if random.random() < 0.1 else float(random.integers(40, 80))
            for side in "LR":
                cancer, ill = int(random.random() < 0.25), random.integers(0, 2)
                for view in range(int(random.integers(2, 5))):
                    name = next(number)
                    # A tumour shows in some of the views.
                    shown = cancer and (view % 2 == ill)
                    tags = {"WindowCenter": 1500, "WindowWidth": 3000}
                    size = 40 + 4 * view
                    write_dicom(
                        scan_of(bool(shown), random, size),
                        raw / f"{split}_images/{patient}/{name}.dcm",
                        **tags,
                    )
                    view_name = ("CC", "MLO")[view % 2]
                    rows.append((patient % 2 + 1, patient, name, side, view_name, age, cancer, 0))
        columns = ["site_id", "patient_id", "image_id", "laterality", "view", "age", "cancer", "implant"]
        table = pd.DataFrame(rows, columns=columns)
        names = table["patient_id"].astype("str") + "_" + table["laterality"]
        if split == "test":
            truth = table.assign(image_id=names)[["image_id", "cancer"]].drop_duplicates()
            table = table.drop(columns="cancer").assign(prediction_id=names)
        table.to_csv(raw / f"{split}.csv", index=False)
    sample = truth.rename(columns={"image_id": "prediction_id"}).assign(cancer=0.02)
    sample.to_csv(raw / "sample_submission.csv", index=False)
    return truth.rename(columns={"cancer": "label"}).astype("str")
