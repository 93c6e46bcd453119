"""What the files of google-research-identify-contrails look like: arrays of 64 x 64 pixels, not 256 x 256."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import draw_masks

BANDS = range(8, 17)
FRAMES, LABELLED, SIDE = 8, 4, 64


def write_sample(raw, seed):
    """Write train/, validation/ and test/ with a folder for each record, and sample_submission.csv, under
    `raw`; the test's masks go beside it. Return the truth of the test records."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 64), ("validation", 16), ("test", 24)):
        ids = [str(number) for number in random.choice(10**18, count, replace=False) + 10**18]
        paths = []
        for name in ids:
            folder = raw / split / name
            folder.mkdir(parents=True)
            image, masks = draw_masks(1, random, (SIDE, SIDE), chance=0.6)
            shown = np.asarray(image) / 255
            for (
                band
            ) in BANDS:  # brightness temperatures in kelvin; the contrail is in the labelled frame alone
                values = random.normal(270, 3, (SIDE, SIDE, FRAMES))
                if band in (11, 14, 15):
                    values[..., LABELLED] += 30 * shown[..., band % 3]
                np.save(folder / f"band_{band:02d}.npy", values.astype("float32"))
            home = raw.parent / "hidden_masks" / name if split == "test" else folder
            home.mkdir(parents=True, exist_ok=True)
            paths.append(str(home / "human_pixel_masks.npy"))
            np.save(paths[-1], masks[0][..., None].astype("int32"))
    sample = pd.DataFrame({"record_id": ids, "encoded_pixels": "1 1 5 1"})
    sample.to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "mask": paths})
