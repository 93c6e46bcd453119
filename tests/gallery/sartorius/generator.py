"""What the files of sartorius-cell-instance-segmentation look like: a few cells, not hundreds."""

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.frame.instance_tables import coded_mask
from pipeline.frame.rle import encode
from tests.gallery.drawing import hex_ids, write_image

HEIGHT, WIDTH = 48, 64
KINDS = ("astro", "cort", "shsy5y")


def write_sample(raw, seed):
    """Write train/, test/ and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 120), ("test", 30)):
        ids, rows, truth = hex_ids(count, random, 12), [], []
        for name in ids:
            kind = int(random.integers(3))  # all cells of a picture are of one kind
            pixels, masks = _culture(random, kind)
            image = Image.fromarray(pixels.clip(0, 255).astype("uint8"))
            write_image(image, raw / split / f"{name}.png")
            rows += [(name, encode(mask, "rows"), WIDTH, HEIGHT, KINDS[kind]) for mask in masks]
            truth.append([(KINDS[kind], *coded_mask(mask)) for mask in masks])
        if split == "train":
            table = pd.DataFrame(rows, columns=["id", "annotation", "width", "height", "cell_type"])
            table.to_csv(raw / "train.csv", index=False)
    pd.DataFrame({"id": ids, "predicted": ""}).to_csv(raw / "sample_submission.csv", index=False)
    columns = {
        "boxes": [[box for _, box, _ in row] for row in truth],
        "labels": [[kind for kind, _, _ in row] for row in truth],
        "crowd": [[0] * len(row) for row in truth],
        "masks": [[mask for *_, mask in row] for row in truth],
    }
    return pd.DataFrame({"image_id": ids, "height": HEIGHT, "width": WIDTH, **columns})


def _culture(random, kind):
    """Grey values (H, W), and the masks of two to three cells, ellipses; the kind shows in their grey."""
    pixels, masks = random.normal(70, 8, (HEIGHT, WIDTH)), []
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for third in random.permutation(3)[: int(random.integers(2, 4))].tolist():
        wide, tall = random.uniform(6.5, 9.5, 2)
        x, y = 10.5 + 21 * third, random.uniform(11, HEIGHT - 11)
        mask = ((columns - x) / wide) ** 2 + ((rows - y) / tall) ** 2 <= 1
        pixels[mask] += 60 + 50 * kind
        masks.append(mask)
    return pixels, masks
