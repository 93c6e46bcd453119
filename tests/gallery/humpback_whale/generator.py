"""What the files of humpback-whale-identification look like, with 50 of its 5,004 known whales."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import draw_kind, hex_ids, write_image

WHALES, NEW = 50, "new_whale"
FIRST_STRANGER = 1000
"""Where the images of whales begin that have no name."""


def write_sample(raw, seed):
    """Write train/, test/, train.csv and the sample file under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    names = [f"w_{name}" for name in hex_ids(WHALES, random, 8)]
    stranger = FIRST_STRANGER
    for split, each, strangers in (("train", 6, 180), ("test", 2, 50)):
        kinds = [kind for kind in range(WHALES) for _ in range(each)]
        kinds = random.permutation([*kinds, *range(stranger, stranger + strangers)]).tolist()
        stranger += strangers
        ids = [f"{name}.jpg" for name in hex_ids(len(kinds), random, 8)]
        for name, kind in zip(ids, kinds, strict=True):
            write_image(draw_kind(kind, random, side=40), raw / split / name)
        table = pd.DataFrame({"Image": ids, "Id": [names[k] if k < WHALES else NEW for k in kinds]})
        if split == "train":
            table.to_csv(raw / "train.csv", index=False)
    guess = " ".join([NEW, *names[:4]])
    table.assign(Id=guess).to_csv(raw / "sample_submission.csv", index=False)
    return table.set_axis(["image_id", "label"], axis=1)
