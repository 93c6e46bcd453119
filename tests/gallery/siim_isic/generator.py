"""What the files of siim-isic-melanoma-classification look like (the JPEG ones)."""

import numpy as np
import pandas as pd

from tests.gallery.drawing import draw_kind, write_image


def write_sample(raw, seed):
    """Write jpeg/train/, jpeg/test/ and the tables under `raw`; return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, count in (("train", 320), ("test", 100)):
        labels = random.permutation(np.arange(count) % 10 == 0).astype(int).tolist()
        ids = [f"ISIC_{number:07d}" for number in random.choice(10**7, count, replace=False).tolist()]
        for name, label in zip(ids, labels, strict=True):
            write_image(draw_kind(label, random, side=48), raw / "jpeg" / split / f"{name}.jpg")
        table = pd.DataFrame({"image_name": ids})
        table["patient_id"] = [f"IP_{number:07d}" for number in random.integers(0, 40, count).tolist()]
        table["sex"] = random.choice(["male", "female", ""], count, p=[0.5, 0.45, 0.05])
        table["age_approx"] = [45.0 + 15 * label + 5 * int(random.integers(-2, 3)) for label in labels]
        table["anatom_site_general_challenge"] = random.choice(["torso", "head/neck", ""], count)
        if split == "train":
            named = ["malignant" if label else "benign" for label in labels]
            table.assign(diagnosis="unknown", benign_malignant=named, target=labels).to_csv(
                raw / "train.csv", index=False
            )
    table.to_csv(raw / "test.csv", index=False)
    pd.DataFrame({"image_name": ids, "target": 0}).to_csv(raw / "sample_submission.csv", index=False)
    return pd.DataFrame({"image_id": ids, "label": labels}).astype("str")
