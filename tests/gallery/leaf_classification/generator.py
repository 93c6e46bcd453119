"""What the files of leaf-classification look like: zip archives, ten images of each species."""

import io
import zipfile

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind

SPECIES = [f"Genus{letter}_Species{number}" for letter in "ABCDEFGHIJK" for number in range(1, 10)]


def write_sample(raw, seed):
    """Write images.zip, train.csv.zip, test.csv.zip and the sample file; return the test's truth."""
    random = np.random.default_rng(seed)
    kinds = np.array(balanced(99, 990, random))
    table = pd.DataFrame({"id": range(1, 991), "species": np.array(SPECIES)[kinds]})
    numbers = [f"{name}{place}" for name in ("margin", "shape", "texture") for place in range(1, 65)]
    usual = np.random.default_rng(99).random((99, 192)) * 0.04
    measured = (usual[kinds] + random.normal(0, 0.02, (990, 192))).clip(0).round(6)
    table = table.join(pd.DataFrame(measured, columns=numbers))
    with zipfile.ZipFile(raw / "images.zip", "w") as archive:
        for number, kind in enumerate(kinds.tolist(), start=1):
            content = io.BytesIO()
            grey = draw_kind(kind, random, side=40, noise=8).convert("L").point(lambda v: 255 * (v > 110))
            grey.save(content, "JPEG")
            archive.writestr(f"images/{number}.jpg", content.getvalue())
    train, test = table[:792], table[792:]
    sample = pd.DataFrame(1 / 99, index=test.index, columns=SPECIES)
    sample.insert(0, "id", test["id"])
    parts = {"train": train, "test": test.drop(columns="species"), "sample_submission": sample}
    for name, part in parts.items():
        with zipfile.ZipFile(raw / f"{name}.csv.zip", "w") as archive:
            archive.writestr(f"{name}.csv", part.to_csv(index=False))
    return test[["id", "species"]].set_axis(["image_id", "label"], axis=1).astype("str")
