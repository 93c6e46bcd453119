"""What the files of hubmap-kidney-segmentation look like: tiled TIFF files, of 400 pixels and not 40,000."""

import numpy as np
import pandas as pd
import tifffile
from PIL import Image

from pipeline.frame.rle import encode
from tests.gallery.drawing import hex_ids
from tests.gallery.hubmap_kidney import competition


def write_sample(raw, seed):
    """Write train/, test/, train.csv and sample_submission.csv under `raw`; return the truth of the test's
    tiles."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 6), ("test", 2)):
        (raw / split).mkdir(parents=True)
        ids = hex_ids(count, random, 10)
        texts = []
        for name in ids:
            pixels, mask = draw_slide(random, tuple(random.integers(330, 420, 2).tolist()))
            tifffile.imwrite(raw / split / f"{name}.tiff", pixels, tile=(64, 64), photometric="rgb")
            texts.append(encode(mask))
        table = pd.DataFrame({"id": ids, "encoding": texts})
        if split == "train":
            table.to_csv(raw / "train.csv", index=False)
    pd.DataFrame({"id": ids, "predicted": ""}).to_csv(raw / "sample_submission.csv", index=False)
    paths = [str(raw / "test" / f"{name}.tiff") for name in ids]
    whole = pd.DataFrame({"image_id": ids, "path": paths, "masks": [[text] for text in texts]})
    return competition.TILES.rows(whole).drop(columns="path")


def draw_slide(random, size, radius=22, count=12):
    """Tissue with dark discs, uint8 (H, W, 3), and their mask."""
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    mask = np.zeros(size, dtype=bool)
    for _ in range(count):
        y, x = random.uniform(0, size)
        mask |= np.hypot(rows - y, columns - x) < random.uniform(0.7, 1) * radius
    ground = random.integers(170, 230, (height // 16 + 1, width // 16 + 1, 3)).astype("uint8")
    pixels = np.asarray(Image.fromarray(ground).resize((width, height)), dtype=float)
    pixels[mask] = 0.5 * pixels[mask] + 0.5 * np.array([110, 20, 120])
    return (pixels + random.normal(0, 8, pixels.shape)).clip(0, 255).astype("uint8"), mask
