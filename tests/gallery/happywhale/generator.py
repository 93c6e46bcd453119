"""What the files of happy-whale-and-dolphin look like, with 50 known animals of its 15,587."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import draw_kind, hex_ids, write_image

ANIMALS, NEW = 50, "new_individual"
FIRST_STRANGER = 1000
"""Where the animals begin that have one image each."""


def write_sample(raw, seed):
    """Write train_images/, test_images/ and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    names = dict(enumerate(hex_ids(ANIMALS, random, 12)))
    stranger = FIRST_STRANGER
    for split, each, strangers in (("train", 6, 150), ("test", 2, 35)):
        kinds = [kind for kind in range(ANIMALS) for _ in range(each)]
        kinds = random.permutation([*kinds, *range(stranger, stranger + strangers)]).tolist()
        stranger += strangers
        ids = [f"{name}.jpg" for name in hex_ids(len(kinds), random, 14)]
        for name, kind in zip(ids, kinds, strict=True):
            write_image(draw_kind(kind, random, side=40), raw / f"{split}_images" / name)
        if split == "train":
            once = dict(zip(kinds, hex_ids(len(kinds), random, 12), strict=True))
            who = [names.get(kind, once[kind]) for kind in kinds]
            table = pd.DataFrame({"image": ids, "species": "humpback_whale", "individual_id": who})
            table.to_csv(raw / "train.csv", index=False)
    guess = " ".join(list(names.values())[:5])
    pd.DataFrame({"image": ids, "predictions": guess}).to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "label": [names.get(kind, NEW) for kind in kinds]})
