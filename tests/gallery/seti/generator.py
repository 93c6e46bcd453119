"""What the files of seti-breakthrough-listen look like; the arrays are smaller than its 6 x 273 x 256."""

import numpy as np
import pandas as pd

SIDE = 32


def write_sample(raw, seed):
    """Write train/, test/ (a folder for each first digit of an id) and the tables under `raw`; return the
    truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 320), ("test", 100)):
        labels = random.integers(0, 2, count)
        ids = [f"{number:015x}" for number in random.choice(16**12, count, replace=False) * 16**3]
        ids = [f"{position % 4}{name[1:]}" for position, name in enumerate(ids)]
        for name, label in zip(ids, labels.tolist(), strict=True):
            values = random.standard_normal((6, SIDE, SIDE))
            if label:
                start, slope = random.integers(4, 16), random.uniform(0.1, 0.4)
                columns = (start + slope * np.arange(SIDE)).astype(int)
                values[::2, np.arange(SIDE), columns] += 4
            (raw / split / name[0]).mkdir(parents=True, exist_ok=True)
            np.save(raw / split / name[0] / f"{name}.npy", values.astype("float16"))
        table = pd.DataFrame({"id": ids, "target": labels})
        if split == "train":
            table.to_csv(raw / "train_labels.csv", index=False)
    table.assign(target=0.5).to_csv(raw / "sample_submission.csv", index=False)
    return table.set_axis(["image_id", "label"], axis=1).astype("str")
