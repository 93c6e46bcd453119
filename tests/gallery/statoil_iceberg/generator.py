"""What the files of statoil-iceberg-classifier-challenge look like."""

import json

import numpy as np
import pandas as pd

from tests.gallery.drawing import hex_ids

SIDE = 75


def write_sample(raw, seed):
    """Write train.json, test.json and the table under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    raw.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for split, count in (("train", 160), ("test", 60)):
        records, labels = [], random.integers(0, 2, count).tolist()
        for name, label in zip(hex_ids(count, random, 8), labels, strict=True):
            centre = random.uniform(30, 45, 2)
            far = np.hypot(rows - centre[0], (columns - centre[1]) * (1 if label else 2.5))
            bands = random.normal(-22, 2, (2, SIDE, SIDE)) + 25 * (far < 9) * [[[1.0]], [[0.5 + 0.5 * label]]]
            record = {"id": name, "band_1": bands[0].ravel(), "band_2": bands[1].ravel()}
            record = {key: value if key == "id" else value.round(4).tolist() for key, value in record.items()}
            record["inc_angle"] = "na" if random.random() < 0.1 else round(random.uniform(30, 45), 4)
            records.append(record | ({"is_iceberg": label} if split == "train" else {}))
        (raw / f"{split}.json").write_text(json.dumps(records))
    truth = pd.DataFrame({"id": [record["id"] for record in records], "is_iceberg": labels})
    truth.assign(is_iceberg=0.5).to_csv(raw / "sample_submission.csv", index=False)
    return truth.set_axis(["image_id", "label"], axis=1).astype("str")
