"""What the files of plant-pathology-2021-fgvc8 look like."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import draw_labels, hex_ids, some_labels, write_image

DISEASES = ("complex", "frog_eye_leaf_spot", "powdery_mildew", "rust", "scab")
HEALTHY = "healthy"


def write_sample(raw, seed):
    """Write train_images/, test_images/, train.csv and the sample file; return the test's truth."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 360), ("test", 90)):
        ids = [f"{name}.jpg" for name in hex_ids(count, random, 16)]
        words = []
        for name in ids:
            labels = [] if random.random() < 0.25 else some_labels([0.3] * len(DISEASES), random)
            image = draw_labels(labels, len(DISEASES), random, side=48)
            write_image(image, raw / f"{split}_images" / name, quality=92)
            words.append([DISEASES[label] for label in labels] or [HEALTHY])
        table = pd.DataFrame({"image": ids, "labels": [" ".join(word) for word in words]})
        file = "train.csv" if split == "train" else "sample_submission.csv"
        (table if split == "train" else table.assign(labels=HEALTHY)).to_csv(raw / file, index=False)
    return pd.DataFrame({"image_id": ids, "labels": words})
