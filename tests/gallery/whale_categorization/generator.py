"""What the files of whale-categorization-playground look like, with 60 of its 4,250 known whales."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import draw_kind, hex_ids, write_image

WHALES, NEW = 60, "new_whale"
FIRST_STRANGER = 1000
"""Where the images of whales begin that have no name."""


def write_sample(raw, seed):
    """Write train/, test/, train.csv and the sample file under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    names = [f"w_{name}" for name in hex_ids(WHALES, random, 8)]
    for split, each, strangers in (("train", 7, 50), ("test", 2, 12)):
        kinds = [kind for kind in range(WHALES) for _ in range(each)]
        start = FIRST_STRANGER if split == "train" else 2 * FIRST_STRANGER
        kinds = random.permutation([*kinds, *range(start, start + strangers)]).tolist()
        ids = [f"{name}.jpg" for name in hex_ids(len(kinds), random, 8)]
        for name, kind in zip(ids, kinds, strict=True):
            write_image(draw_kind(kind, random, side=40), raw / split / name)
        table = pd.DataFrame({"Image": ids, "Id": [names[k] if k < WHALES else NEW for k in kinds]})
        if split == "train":
            table.to_csv(raw / "train.csv", index=False)
    guess = " ".join([NEW, *names[:4]])
    table.assign(Id=guess).to_csv(raw / "sample_submission.csv", index=False)
    return table.set_axis(["image_id", "label"], axis=1)
