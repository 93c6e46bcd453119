"""What the files of dogs-vs-cats-redux-kernels-edition look like."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, write_image

NAMES = ("cat", "dog")


def write_sample(raw, seed):
    """Write train/<label>.<number>.jpg, test/<number>.jpg and the sample file; return the test's truth."""
    random = np.random.default_rng(seed)
    for number in range(150):
        for kind, name in enumerate(NAMES):
            write_image(draw_kind(kind, random), raw / "train" / f"{name}.{number}.jpg")
    kinds = balanced(2, 80, random)
    ids = [str(number) for number in range(1, len(kinds) + 1)]
    for name, kind in zip(ids, kinds, strict=True):
        write_image(draw_kind(kind, random), raw / "test" / f"{name}.jpg")
    pd.DataFrame({"id": ids, "label": 0.5}).to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "label": [NAMES[kind] for kind in kinds]})
