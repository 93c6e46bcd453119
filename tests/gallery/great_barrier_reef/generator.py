"""What the files of tensorflow-great-barrier-reef look like, in 64 pixels instead of 1,280 x 720.

The organiser serves the test images one by one; here they lie as those of training do.
"""

import numpy as np
import pandas as pd

from tests.gallery.drawing import draw_things, write_image


def write_sample(raw, seed):
    """Write train_images/video_<n>/, test_images/video_<n>/ and the tables under `raw`; return the truth of
    the test images."""
    random = np.random.default_rng(seed)
    for split, videos, count in (("train", (0, 1, 2), 50), ("test", (7, 8), 20)):
        rows, truth = [], []
        for video in videos:
            for frame in range(count):  # numbers start again in each video
                image, boxes = draw_things([0] * max(0, int(random.integers(-1, 4))), random)
                write_image(image, raw / f"{split}_images" / f"video_{video}" / f"{frame}.jpg", quality=95)
                told = [dict(zip(("x", "y", "width", "height"), box, strict=True)) for box in boxes]
                rows.append(
                    (video, 100 * video + frame // 10, frame, frame % 10, f"{video}-{frame}", str(told))
                )
                truth.append([[float(v) for v in (x, y, x + w, y + h)] for x, y, w, h in boxes])
        names = ["video_id", "sequence", "video_frame", "sequence_frame", "image_id", "annotations"]
        table = pd.DataFrame(rows, columns=names)
        table.drop(columns=[] if split == "train" else "annotations").to_csv(
            raw / f"{split}.csv", index=False
        )
    sample = pd.DataFrame({"index": range(len(table)), "annotations": "0.5 0 0 100 100"})
    sample.to_csv(raw / "example_sample_submission.csv", index=False)
    columns = {"labels": "starfish", "crowd": 0, "masks": ""}
    parallel = {name: [[value] * len(boxes) for boxes in truth] for name, value in columns.items()}
    return pd.DataFrame({"image_id": list(map(str, sample["index"])), "boxes": truth, **parallel})
