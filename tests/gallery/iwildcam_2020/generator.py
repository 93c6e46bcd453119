"""What the files of iwildcam-2020-fgvc7 look like."""

import json

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, hex_ids, write_image

SPECIES = (0, 2, 71, 96, 111, 372)


def write_sample(raw, seed):
    """Write train/, test/, the JSON files and sample_submission.csv; return the truth of the test images."""
    random = np.random.default_rng(seed)
    categories = [{"id": number, "name": f"species {number}", "count": 1} for number in SPECIES]
    for split, count in (("train", 300), ("test", 80)):
        ids, kinds = hex_ids(count, random, 36), balanced(len(SPECIES), count, random)
        images, annotations = [], []
        for name, kind in zip(ids, kinds, strict=True):
            write_image(draw_kind(kind, random, side=40), raw / split / f"{name}.jpg")
            images.append(
                {"id": name, "file_name": f"{name}.jpg", "location": int(random.integers(20)), "seq_id": name}
                | {"frame_num": 1, "seq_num_frames": 1, "width": 40, "height": 40}
            )
            annotations.append({"id": f"a{name}", "image_id": name, "category_id": SPECIES[kind], "count": 1})
        file = "train_annotations" if split == "train" else "test_information"
        about = {"images": images, "categories": categories}
        about |= {"annotations": annotations} if split == "train" else {}
        (raw / f"iwildcam2020_{file}.json").write_text(json.dumps(about))
    pd.DataFrame({"Id": ids, "Category": 0}).to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "label": [str(SPECIES[kind]) for kind in kinds]})
