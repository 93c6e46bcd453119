"""What the files of carvana-image-masking-challenge look like; views of 96 x 64 pixels, not 1918 x 1280."""

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.frame.rle import encode
from tests.gallery.drawing import draw_masks, hex_ids, write_image

VIEWS = 4


def write_sample(raw, seed):
    """Write train/, train_masks/, test/ and the tables under `raw`, and the test images' masks beside it;
    return the truth of the test images."""
    random = np.random.default_rng(seed)
    for split, cars in (("train", 20), ("test", 6)):
        masks_of = raw / "train_masks" if split == "train" else raw.parent / "hidden_masks"
        rows = []
        for car in hex_ids(cars, random, 12):
            for view in range(1, VIEWS + 1):
                name = f"{car}_{view:02d}"
                image, masks = draw_masks(1, random, (64, 96), chance=1)
                write_image(image, raw / split / f"{name}.jpg", quality=95)
                # As the organiser's: a palette of black and white, of which white is 1.
                gif = Image.fromarray(masks[0].astype("uint8"), mode="P")
                gif.putpalette([0, 0, 0, 255, 255, 255])
                write_image(gif, masks_of / f"{name}_mask.gif")
                rows.append((name, str(masks_of / f"{name}_mask.gif"), encode(masks[0], "rows")))
        table = pd.DataFrame(rows, columns=["image_id", "mask", "rle_mask"])
        listed = table.assign(img=table["image_id"] + ".jpg")[["img", "rle_mask"]]
        if split == "train":
            listed.to_csv(raw / "train_masks.csv", index=False)
    listed.assign(rle_mask="1 1").to_csv(raw / "sample_submission.csv", index=False)
    return table[["image_id", "mask"]]
