"""What the files of cdiscount-image-classification-challenge look like, with 12 of its 5,270 categories."""

import io

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind

CATEGORIES = 12


def write_sample(raw, seed):
    """Write train.bson, test.bson and the sample file under `raw`; return the truth of the test products."""
    import bson

    random = np.random.default_rng(seed)
    codes = (1_000_000_000 + random.choice(10**6, CATEGORIES, replace=False)).tolist()
    for split, count, start in (("train", 360, 0), ("test", 96, 5000)):
        kinds = balanced(CATEGORIES, count, random)
        with (raw / f"{split}.bson").open("wb") as file:
            for number, kind in enumerate(kinds, start=start):
                pictures = []
                for _ in range(int(random.integers(1, 5))):
                    content = io.BytesIO()
                    draw_kind(kind, random).save(content, "JPEG")
                    pictures.append({"picture": content.getvalue()})
                known = {"category_id": codes[kind]} if split == "train" else {}
                file.write(bson.encode({"_id": number, **known, "imgs": pictures}))
    ids = [str(number) for number in range(start, start + count)]
    sample = pd.DataFrame({"_id": ids, "category_id": codes[0]})
    sample.to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "label": [str(codes[kind]) for kind in kinds]})
