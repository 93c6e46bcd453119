"""What the files of alaska2-image-steganalysis look like, with messages that are easier to see."""

import numpy as np
import pandas as pd
from PIL import Image

from tests.gallery.drawing import balanced, draw_kind, write_image


def write_sample(raw, seed):
    """Write Cover/, JMiPOD/, JUNIWARD/, UERD/, Test/ and sample_submission.csv; return the test's truth."""
    random = np.random.default_rng(seed)
    for number in range(1, 101):
        cover = draw_kind(number, random, noise=5)
        for folder in ("Cover", "JMiPOD", "JUNIWARD", "UERD"):
            image = cover if folder == "Cover" else _with_message(cover, random)
            write_image(image, raw / folder / f"{number:05d}.jpg", quality=95)
    labels = balanced(2, 80, random)
    ids = [f"{number:04d}.jpg" for number in range(1, len(labels) + 1)]
    for number, (name, label) in enumerate(zip(ids, labels, strict=True)):
        image = draw_kind(1000 + number, random, noise=5)
        write_image(_with_message(image, random) if label else image, raw / "Test" / name, quality=95)
    pd.DataFrame({"Id": ids, "Label": 0}).to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "label": labels}).astype("str")


def _with_message(image, random):
    bits = random.choice([-40, 40], (image.height, image.width, 1))
    return Image.fromarray((np.asarray(image) + bits).clip(0, 255).astype("uint8"))
