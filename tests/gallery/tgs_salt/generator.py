"""What the files of tgs-salt-identification-challenge look like."""

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from pipeline.frame.rle import encode
from tests.gallery.drawing import hex_ids, write_image

SIDE = 101


def write_sample(raw, seed):
    """Write train/images/, train/masks/, test/images/ and the tables under `raw`, and the test images' masks
    beside it; return the truth of the test images."""
    random = np.random.default_rng(seed)
    hidden = raw.parent / "hidden_masks"
    for split, count in (("train", 90), ("test", 30)):
        ids, runs = hex_ids(count, random, 10), []
        for place, name in enumerate(ids):
            image, mask = _ground(random, salt=place % 5 > 0)
            write_image(image, raw / split / "images" / f"{name}.png")
            deep = place % 2  # the organiser's masks have 0 and 65,535, those of other copies 0 and 255
            pixels = mask.astype("uint16") * 65535 if deep else mask.astype("uint8") * 255
            folder = raw / "train" / "masks" if split == "train" else hidden
            write_image(Image.fromarray(pixels), folder / f"{name}.png")
            runs.append(encode(mask))
        table = pd.DataFrame({"id": ids, "rle_mask": runs})
        if split == "train":
            table.to_csv(raw / "train.csv", index=False)
            pd.DataFrame({"id": ids, "z": 500}).to_csv(raw / "depths.csv", index=False)
    table.assign(rle_mask="1 1").to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "mask": [str(hidden / f"{name}.png") for name in ids]})


def _ground(random, salt):
    """A grey image stored as RGB, and its mask, bool (101, 101)."""
    layer = Image.new("1", (SIDE, SIDE))
    if salt:
        x, y = random.uniform(20, 80, 2)
        radius = random.uniform(18, 34)
        ImageDraw.Draw(layer).ellipse((x - radius, y - radius, x + radius, y + radius), fill=1)
    mask = np.asarray(layer, dtype=bool)
    pixels = (random.normal(80, 15, (SIDE, SIDE)) + 90 * mask).clip(0, 255).astype("uint8")
    return Image.fromarray(pixels).convert("RGB"), mask
