"""What the files of paddy-disease-classification look like."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, write_image

DISEASES = (
    *("bacterial_leaf_blight", "bacterial_leaf_streak", "bacterial_panicle_blight", "blast", "brown_spot"),
    *("dead_heart", "downy_mildew", "hispa", "normal", "tungro"),
)


def write_sample(raw, seed):
    """Write train_images/<label>/, test_images/, train.csv and the sample file; return the test's truth."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 300), ("test", 80)):
        labels = [DISEASES[kind] for kind in balanced(10, count, random)]
        numbers = random.permutation(np.arange(100_001, 100_001 + count))
        ids = [f"{number if split == 'train' else number + 100_000}.jpg" for number in numbers]
        for name, label in zip(ids, labels, strict=True):
            folder = raw / "train_images" / label if split == "train" else raw / "test_images"
            write_image(draw_kind(DISEASES.index(label), random, side=48), folder / name)
        table = pd.DataFrame({"image_id": ids, "label": labels})
        if split == "train":
            table.assign(variety="ADT45", age=45).to_csv(raw / "train.csv", index=False)
    table.assign(label="").sort_values("image_id").to_csv(raw / "sample_submission.csv", index=False)
    return table
