"""What the files of denoising-dirty-documents look like, zipped as they are; pages of 80 x 50 pixels, not
540 x 420."""

import zipfile

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

WIDTHS, HEIGHT = (72, 80), 50


def write_sample(raw, seed):
    """Write train.zip, train_cleaned.zip, test.zip and sampleSubmission.csv under `raw`, and the clean test
    pages beside it; return the truth of the test pages."""
    random = np.random.default_rng(seed)
    hidden = raw.parent / "hidden_targets"
    for folder in (raw, hidden):
        folder.mkdir(parents=True, exist_ok=True)
    numbers = random.permutation(np.arange(1, 73)).tolist()
    files = {name: zipfile.ZipFile(raw / f"{name}.zip", "w") for name in ("train", "train_cleaned", "test")}
    keys, rows = [], []
    for place, number in enumerate(numbers):
        soiled, clean = draw_page(random)
        if place < 54:
            _add(files["train"], f"train/{number}.png", soiled)
            _add(files["train_cleaned"], f"train_cleaned/{number}.png", clean)
            continue
        _add(files["test"], f"test/{number}.png", soiled)
        clean.save(hidden / f"{number}.png")
        rows.append((str(number), str(hidden / f"{number}.png")))
        height, width = soiled.height, soiled.width
        keys += [f"{number}_{y}_{x}" for y in range(1, height + 1) for x in range(1, width + 1)]
    for file in files.values():
        file.close()
    pd.DataFrame({"id": keys, "value": 1}).to_csv(raw / "sampleSubmission.csv", index=False)
    return pd.DataFrame(rows, columns=["image_id", "target"])


def draw_page(random):
    """Black letters on white, soiled and clean, in grey."""
    width = int(random.choice(WIDTHS))
    clean = Image.new("L", (width, HEIGHT), 255)
    draw = ImageDraw.Draw(clean)
    for line in range(3):
        word = "".join(map(chr, random.integers(97, 123, 11)))
        draw.text((4, 2 + 15 * line), word, fill=0)
    coarse = random.uniform(0.4, 0.95, (6, 8)).astype("float32")
    stains = np.asarray(Image.fromarray(coarse).resize((width, HEIGHT)))
    soiled = np.asarray(clean) * stains + random.normal(0, 8, (HEIGHT, width))
    return Image.fromarray(soiled.clip(0, 255).astype("uint8")), clean


def _add(archive, name, image):
    with archive.open(zipfile.ZipInfo(name), "w") as member:
        image.save(member, format="png")
