"""Prepared data of a few images, for tests that train."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.competition.prepared import FRAMES, Prepared, open_prepared, seal


def few(data: Prepared, folder: Path, train: int, test: int = 20) -> Prepared:
    """The first images of each split, in a folder of their own."""
    folder.mkdir(parents=True)
    counts = {"train": train, "test": test}
    less = replace(data, **{split: getattr(data, split).head(count) for split, count in counts.items()})
    for name in FRAMES:
        frame = getattr(less, name)
        frame.head(test if name == "sample_submission" else len(frame)).to_parquet(folder / f"{name}.parquet")
    for split, count in counts.items():
        packed = data.images(split).packed
        if packed is not None:
            np.save(folder / f"{split}.npy", packed[:count])
    about = {"classes": data.classes, "train_identity": f"first-{train}", "test_identity": f"first-{test}"}
    seal(folder, about)
    return open_prepared(folder, data.decoding.reader)
