"""What the files of inaturalist-2019-fgvc6 look like, with 100 of its 1,010 species."""

import json

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, hex_ids, write_image

SPECIES = 100
GROUPS = ("Amphibians", "Birds", "Fungi", "Insects", "Plants", "Reptiles")


def write_sample(raw, seed):
    """Write train_val2019/<group>/<species>/, test2019/, the JSON files and the sample file; return the
    truth of the test images."""
    random = np.random.default_rng(seed)
    start = 0
    for split, count in (("train", 700), ("val", 100), ("test", 100)):
        kinds, images, annotations = balanced(SPECIES, count, random), [], []
        for number, (name, kind) in enumerate(zip(hex_ids(count, random), kinds, strict=True), start):
            inside = f"train_val2019/{GROUPS[kind % len(GROUPS)]}/{kind}" if split != "test" else "test2019"
            file = f"{inside}/{name}.jpg"
            write_image(draw_kind(kind, random), raw / file)
            images.append({"license": 0, "file_name": file, "id": number, "width": 32, "height": 32})
            annotations.append({"id": number, "image_id": number, "category_id": kind})
        about = {"images": images} | ({"annotations": annotations} if split != "test" else {})
        (raw / f"{split}2019.json").write_text(json.dumps(about))
        start += count
    ids = [image["id"] for image in images]
    pd.DataFrame({"id": ids, "predicted": 0}).to_csv(raw / "kaggle_sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "label": kinds}).astype("str")
