"""What the files of petfinder-pawpularity-score look like."""

import numpy as np
import pandas as pd

from pipeline.tasks.regression.sample import draw_disc
from tests.gallery.drawing import hex_ids, write_image

FLAGS = (
    *("Subject Focus", "Eyes", "Face", "Near", "Action", "Accessory", "Group", "Collage"),
    *("Human", "Occlusion", "Info", "Blur"),
)


def write_sample(raw, seed):
    """Write train/, test/ and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 400), ("test", 100)):
        table = pd.DataFrame(random.integers(0, 2, (count, len(FLAGS))), columns=FLAGS)
        table.insert(0, "Id", hex_ids(count, random))
        table["Pawpularity"] = random.integers(1, 101, count)
        for name, value in zip(table["Id"], table["Pawpularity"].tolist(), strict=True):
            write_image(draw_disc(value, random), raw / split / f"{name}.jpg", quality=92)
        (table if split == "train" else table.drop(columns="Pawpularity")).to_csv(
            raw / f"{split}.csv", index=False
        )
    truth = table[["Id", "Pawpularity"]]
    truth.assign(Pawpularity=50.0).to_csv(raw / "sample_submission.csv", index=False)
    return truth.rename(columns={"Id": "image_id"})
