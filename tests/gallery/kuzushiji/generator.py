"""What the files of kuzushiji-recognition look like: pages with up to three characters of four kinds."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import draw_things, write_image

CHARACTERS = ("U+306B", "U+306F", "U+3044", "U+53F8")


def write_sample(raw, seed):
    """Write train_images/, test_images/ and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 140), ("test", 30)):
        pages = random.permutation(1000)[:count]
        ids = [f"{'umgy' if split == 'train' else 'test_'}{page:05d}" for page in pages.tolist()]
        cells, truth = [], []
        for name in ids:
            kinds = random.integers(0, len(CHARACTERS), int(random.integers(0, 4))).tolist()
            image, boxes = draw_things(kinds, random)
            write_image(image, raw / f"{split}_images" / f"{name}.jpg", quality=95)
            found = [(CHARACTERS[kind], *box) for kind, box in zip(kinds, boxes, strict=False)]
            cells.append(" ".join(f"{label} {x} {y} {w} {h}" for label, x, y, w, h in found))
            truth.append([(label, [float(v) for v in (x, y, x + w, y + h)]) for label, x, y, w, h in found])
        table = pd.DataFrame({"image_id": ids, "labels": cells})
        if split == "train":
            table.to_csv(raw / "train.csv", index=False)
    names = pd.DataFrame({"Unicode": CHARACTERS, "char": [chr(int(name[2:], 16)) for name in CHARACTERS]})
    names.to_csv(raw / "unicode_translation.csv", index=False)
    table.assign(labels="U+003F 1 1 U+FF2F 2 2").to_csv(raw / "sample_submission.csv", index=False)
    columns = {
        "boxes": [[box for _, box in row] for row in truth],
        "labels": [[label for label, _ in row] for row in truth],
        "crowd": [[0] * len(row) for row in truth],
        "masks": [[""] * len(row) for row in truth],
    }
    return pd.DataFrame({"image_id": ids, **columns})
