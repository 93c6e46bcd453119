"""What the files of state-farm-distracted-driver-detection look like."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import balanced, draw_kind, write_image

FIRST_DRIVER = 1000
"""Where the numbers of drivers' own colours begin."""


def write_sample(raw, seed):
    """Write imgs/train/<class>/, imgs/test/ and the tables under `raw`; return the truth of the test images.
    Those of a driver have a frame of the driver's own, and no driver of the test is in train."""
    random = np.random.default_rng(seed)
    numbers = random.choice(100_000, 480, replace=False).tolist()
    for split, count, drivers in (("train", 400, range(2, 14)), ("test", 80, range(50, 54))):
        kinds = balanced(10, count, random)
        names = [f"img_{numbers.pop()}.jpg" for _ in kinds]
        subjects = random.choice(list(drivers), count).tolist()
        for name, kind, subject in zip(names, kinds, subjects, strict=True):
            image = draw_kind(FIRST_DRIVER + subject, random, side=48)
            image.paste(draw_kind(kind, random, side=40), (4, 4))
            folder = raw / "imgs" / "test" if split == "test" else raw / "imgs" / "train" / f"c{kind}"
            write_image(image, folder / name)
        if split == "train":
            labels = [f"c{kind}" for kind in kinds]
            people = [f"p{subject:03d}" for subject in subjects]
            table = pd.DataFrame({"subject": people, "classname": labels, "img": names})
            table.to_csv(raw / "driver_imgs_list.csv", index=False)
    sample = pd.DataFrame({"img": names, **{f"c{kind}": 0.1 for kind in range(10)}})
    sample.to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": names, "label": [f"c{kind}" for kind in kinds]})
