"""What the files of vesuvius-challenge-ink-detection look like: fragments of some 200 pixels in 7 slices, not
8,000 in 65."""

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.frame.rle import encode
from tests.gallery.drawing import draw_masks, write_image
from tests.gallery.vesuvius import competition

SLICES = 7


def write_sample(raw, seed):
    """Write train/ and test/ with a folder for each fragment, and sample_submission.csv, under `raw`; return
    the truth of the test's tiles."""
    random = np.random.default_rng(seed)
    texts = {}
    for split, names in (("train", "123"), ("test", "ab")):
        for name in names:
            size = tuple(random.integers(180, 230, 2).tolist())
            mask = np.any([draw_masks(1, random, size, chance=1)[1][0] for _ in range(3)], axis=0)
            for number in range(SLICES):
                depth = 9000 * np.exp(-((number - 3) ** 2) / 2)
                values = random.normal(25000, 2500, size) + depth * mask
                path = raw / split / name / "surface_volume" / f"{number:02d}.tif"
                write_image(Image.fromarray(values.clip(0, 65535).astype("uint16")), path)
            write_image(Image.fromarray(np.full(size, 255, dtype="uint8")), raw / split / name / "mask.png")
            texts[name] = encode(mask, "rows")
            if split == "train":
                labels = pd.DataFrame({"Id": [name], "Predicted": [texts[name]]})
                labels.to_csv(raw / split / name / "inklabels_rle.csv", index=False)
                write_image(Image.fromarray(mask), raw / split / name / "inklabels.png")
    sample = pd.DataFrame({"Id": ["a", "b"], "Predicted": "1 1 5 1"})
    sample.to_csv(raw / "sample_submission.csv", index=False)
    paths = [str(raw / "test" / name / "surface_volume" / "02.tif") for name in "ab"]
    whole = {"image_id": ["a", "b"], "path": paths, "masks": [[texts["a"]], [texts["b"]]]}
    return competition.TILES.rows(pd.DataFrame(whole)).drop(columns="path")
