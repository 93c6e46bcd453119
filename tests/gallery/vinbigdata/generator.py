"""What the files of vinbigdata-chest-xray-abnormalities-detection look like: three of its 14 findings."""

import numpy as np
import pandas as pd

from tests.gallery.dicom import write_dicom
from tests.gallery.drawing import hex_ids

SIDE = 64
KINDS = {"0": "Aortic enlargement", "3": "Cardiomegaly", "11": "Pleural thickening"}
COLUMNS = ["image_id", "class_name", "class_id", "rad_id", "x_min", "y_min", "x_max", "y_max"]


def write_sample(raw, seed):
    """Write train/, test/ and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 140), ("test", 40)):
        ids, rows, truth = hex_ids(count, random, 32), [], []
        for place, name in enumerate(ids):
            values, found = _chest(random, 0 if place % 3 == 0 else int(random.integers(1, 4)))
            write_dicom(values, raw / split / f"{name}.dicom")
            truth.append(found)
            for rater in ("R8", "R9", "R10"):  # each draws it a little differently
                boxes = [
                    (kind, (np.array(box) + random.integers(-1, 2, 4)).clip(0, SIDE)) for kind, box in found
                ]
                rows += [(name, KINDS[kind], kind, rater, *box) for kind, box in boxes]
                if not found:
                    rows.append((name, "No finding", 14, rater, "", "", "", ""))
        if split == "train":
            pd.DataFrame(rows, columns=COLUMNS).to_csv(raw / "train.csv", index=False)
    sample = pd.DataFrame({"image_id": ids, "PredictionString": "14 1 0 0 1 1"})
    sample.to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame(
        {
            "image_id": ids,
            "boxes": [[[float(edge) for edge in box] for _, box in found] for found in truth],
            "labels": [[kind for kind, _ in found] for found in truth],
            "crowd": [[0] * len(found) for found in truth],
            "masks": [[""] * len(found) for found in truth],
        }
    )


def _chest(random, count):
    """Grey values of 12 bits, and findings (kind, corners): the brighter the higher the kind's number."""
    values, found = random.normal(600, 80, (SIDE, SIDE)), []
    for kind, third in zip(
        random.permutation(list(KINDS))[:count].tolist(), random.permutation(3), strict=False
    ):
        width, height = random.integers(13, 19, 2).tolist()
        x, y = 1 + 21 * int(third), int(random.integers(2, SIDE - height - 2))
        values[y : y + height, x : x + width] += 800 + 230 * int(kind)
        found.append((kind, (x, y, x + width, y + height)))
    return values.clip(0, 4095), found
