"""COCO 2017 detection: train2017/, test2017/ and annotations/, scored by AP, the mean average precision over
IoU thresholds from 0.50 to 0.95."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from competitions.coco.categories import CATEGORIES
from competitions.coco.sample import write_sample
from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path
from pipeline.competition import base
from pipeline.competition.base import OtherFormat
from pipeline.competition.prepared import Prepared
from pipeline.frame.boxes import box_array, repair_boxes
from pipeline.frame.coco_json import read_coco
from pipeline.metrics.coco_ap import COCO_AP, coco_figures, coco_scores
from pipeline.metrics.voc_ap import voc_ap
from pipeline.raw.files import RawFiles
from pipeline.tasks.detection.task import Detection

TRAIN_FILE, TEST_FILE = "annotations/instances_train2017.json", "annotations/image_info_test2017.json"


def write_results(predictions: pd.DataFrame, data: Prepared, path: Path) -> None:
    """The evaluation server's results file: one entry for each box, and its mask where there is one."""
    numbers = data.test.set_index("image_id")["coco_id"].loc[predictions["image_id"]]
    separator = ""
    # Written as they are made: the test set's four million boxes would fill a laptop's memory.
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("[")
        for row, coco_id in zip(predictions.itertuples(), numbers, strict=True):
            for entry in _results_of(row, int(coco_id)):
                file.write(f"{separator}\n{json.dumps(entry, allow_nan=False)}")
                separator = ","
        file.write("\n]\n")


def _results_of(row: Any, coco_id: int) -> Iterator[dict[str, Any]]:
    masks = getattr(row, "masks", None)
    masks = [None] * len(row.scores) if masks is None else masks
    columns = (box_array(row.boxes).tolist(), row.scores, row.labels, masks)
    for box, score, label, mask in zip(*columns, strict=True):
        x1, y1, x2, y2 = (round(value, 2) for value in box)
        entry = {
            "image_id": coco_id,
            "category_id": CATEGORIES[label],
            "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
            "score": round(float(score), 5),
        }
        yield entry if mask is None else entry | {"segmentation": json.loads(mask)}


class Competition(base.Competition):
    """The competition. It has no mirror: 19 GB in several archives; fetch what you need, and give it as
    RAW=."""

    task = Detection(categories=CATEGORIES)
    metric = COCO_AP
    other_formats = {"coco": OtherFormat(".results.json", write_results)}  # noqa: RUF012  read by name alone

    def load_train(self, raw: RawFiles) -> pd.DataFrame:
        """image_id, path, coco_id, boxes, labels, crowd, masks, areas."""
        frame, categories = read_coco(raw.find(TRAIN_FILE), raw.images("train2017"), tolerance=1)
        _check_categories(categories, raw.find(TRAIN_FILE))
        return repair_boxes(frame)

    def load_test(self, raw: RawFiles) -> pd.DataFrame:
        """image_id, path, coco_id."""
        frame, categories = read_coco(raw.find(TEST_FILE), raw.images("test2017"), tolerance=1)
        _check_categories(categories, raw.find(TEST_FILE))
        return frame[["image_id", "path", "coco_id"]]

    def extra_scores(
        self, truth: pd.DataFrame, predictions: pd.DataFrame, classes: Sequence[str]
    ) -> dict[str, float]:
        """The other COCO figures, PASCAL VOC's AP50 (all points), and the AP of masks where predicted."""
        scores = coco_figures(truth, predictions, classes)
        scores["VOC_AP50"] = voc_ap(truth, predictions, classes)["mAP"]
        if "masks" in predictions:
            scores["mask_AP"] = coco_scores(truth, predictions, classes, kind="segm")["AP"]
        return scores

    def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
        """See `competitions.coco.sample`."""
        return write_sample(raw, seed)


def _check_categories(categories: dict[str, int | str], path: Path) -> None:
    wrong = [name for name, number in categories.items() if CATEGORIES.get(name) != number]
    if wrong:
        raise UserError(
            f"{path} has the category {wrong[0]!r} with the id {categories[wrong[0]]}, which is not one of "
            "COCO's: is it another dataset's? make new COMP=<slug> TASK=detection makes a folder for it"
        )
