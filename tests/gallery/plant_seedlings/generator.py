"""What the files of plant-seedlings-classification look like: images of many sizes."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, hex_ids, write_image

PLANTS = (
    *(
        "Black-grass",
        "Charlock",
        "Cleavers",
        "Common Chickweed",
        "Common wheat",
        "Fat Hen",
        "Loose Silky-bent",
    ),
    *("Maize", "Scentless Mayweed", "Shepherds Purse", "Small-flowered Cranesbill", "Sugar beet"),
)


def write_sample(raw, seed):
    """Write train/<species>/, test/ and sample_submission.csv; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 300), ("test", 84)):
        labels = [PLANTS[kind] for kind in balanced(12, count, random)]
        ids = [f"{name}.png" for name in hex_ids(count, random, 8)]
        for name, label in zip(ids, labels, strict=True):
            folder = raw / "train" / label if split == "train" else raw / "test"
            side = int(random.integers(40, 72))
            write_image(draw_kind(PLANTS.index(label), random, side), folder / name)
    sample = pd.DataFrame({"file": ids, "species": "Sugar beet"})
    sample.to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "label": labels})
