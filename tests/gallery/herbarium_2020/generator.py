"""What the files of herbarium-2020-fgvc7 look like, with 200 of its 32,094 species."""

import json

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, write_image

SPECIES = 200


def write_sample(raw, seed):
    """Write nybg2020/train/, nybg2020/test/ and the sample file; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 1600), ("test", 200)):
        kinds, images, annotations = balanced(SPECIES, count, random), [], []
        ids = random.choice(10**6, count, replace=False).tolist()
        for name, kind in zip(ids, kinds, strict=True):
            folder = f"images/{kind // 100:03d}/{kind % 100:02d}" if split == "train" else "images/000"
            file = f"{folder}/{name}.jpg"
            write_image(draw_kind(kind, random, noise=8), raw / "nybg2020" / split / file)
            images.append({"file_name": file, "height": 32, "id": name, "license": 1, "width": 32})
            annotations.append({"category_id": kind, "id": name, "image_id": name, "region_id": 0})
        categories = [
            {"family": "F", "genus": "G", "id": kind, "name": f"G s{kind}"} for kind in range(SPECIES)
        ]
        about = {"images": images, "info": {}, "licenses": [], "regions": []}
        about |= {"annotations": annotations, "categories": categories} if split == "train" else {}
        (raw / "nybg2020" / split / "metadata.json").write_text(json.dumps(about))
    pd.DataFrame({"Id": ids, "Predicted": 0}).to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "label": kinds}).astype("str")
