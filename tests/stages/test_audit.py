"""The audit of images with planted faults: each is found and named, and nothing else is."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.competition import base
from pipeline.metrics.usual import ACCURACY
from pipeline.stages.main import main
from pipeline.tasks.classification.config import Config as ClassificationConfig
from pipeline.tasks.classification.task import Classification
from pipeline.tasks.detection.config import Config as DetectionConfig
from pipeline.tasks.detection.task import Detection
from pipeline.tasks.multilabel.config import Config as MultilabelConfig
from pipeline.tasks.multilabel.task import Multilabel
from pipeline.tasks.regression.config import Config as RegressionConfig
from pipeline.tasks.regression.task import Regression
from pipeline.tasks.segmentation.config import Config as SegmentationConfig
from pipeline.tasks.segmentation.task import Segmentation
from tests.audit.test_near import jpeg, lighter, photo

TASKS = {
    "classification": (Classification(), ClassificationConfig()),
    "multilabel": (Multilabel(), MultilabelConfig()),
    "regression": (Regression(("age",), low=0, high=9), RegressionConfig()),
    "segmentation": (
        Segmentation(("background", "thing"), np.array([[0, 0, 0], [200, 0, 0]], dtype=np.uint8)),
        SegmentationConfig(),
    ),
    "detection": (Detection(("cat", "dog")), DetectionConfig()),
}
CONFLICTS = {"t41": 1, "t42": 1}
"""Images that have another target than the one they are copies of."""


def half(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def write(folder: Path, plant: bool) -> None:
    """40 training and 8 test images; with `plant` also copies, an image of one colour and an odd one."""
    train = {f"t{number:02}": photo(number, 60, 80) for number in range(40)}
    test = {f"u{number:02}": photo(500 + number, 60, 80) for number in range(8)}
    if plant:
        train["t40"] = jpeg(train["t00"], 60)
        train["t41"] = train["t01"]
        train["t42"] = half(train["t02"])
        train["t43"] = np.full((60, 80, 3), 90, dtype=np.uint8)
        train["t44"] = photo(44, 40, 400)
        test["u08"] = np.ascontiguousarray(lighter(train["t03"], 1.2)[:, ::-1])
        test["u09"] = train["t04"]
    for split, images in (("train", train), ("test", test)):
        (folder / split).mkdir(parents=True)
        for name, image in images.items():
            Image.fromarray(image).save(folder / split / f"{name}.png")


def targets(task: str, frame: pd.DataFrame, masks: Path) -> pd.DataFrame:
    """A target for each training image: copies have their original's, but those in `CONFLICTS`."""
    same = {"t40": "t00", "t41": "t01", "t42": "t02", "<script>x": "t00", "a&b": "t00"}
    code = [
        (int(same.get(name, name)[1:]) + CONFLICTS.get(name, 0)) % 2 for name in frame["image_id"].tolist()
    ]
    names = ["dog" if one else "cat" for one in code]
    if task == "classification":
        return frame.assign(label=names)
    if task == "multilabel":
        return frame.assign(labels=[[name, "animal"] if name == "dog" else [name] for name in names])
    if task == "regression":
        return frame.assign(age=[2.5 + 4 * one for one in code])
    if task == "detection":
        boxes = [[[2.0, 2.0, 30.0, 25.0]]] * len(frame)
        empty = {"crowd": [[False]] * len(frame), "masks": [[""]] * len(frame)}
        return frame.assign(boxes=boxes, labels=[[name] for name in names], **empty)
    masks.mkdir(exist_ok=True)
    paths = []
    for name, path, one in zip(frame["image_id"], frame["path"], code, strict=True):
        with Image.open(path) as image:
            mask = np.zeros((image.height, image.width), dtype=np.uint8)
        mask[: 4 + 4 * one] = 1
        Image.fromarray(mask).save(masks / f"{name}.png")
        paths.append(str(masks / f"{name}.png"))
    return frame.assign(mask=paths)


def competition_of(name: str, masks: Path) -> base.Competition:
    """A competition whose raw files are what `write` writes."""

    class Competition(base.Competition):
        slug = "planted"
        task = TASKS[name][0]
        metric = ACCURACY

        def load_train(self, raw):
            return targets(name, raw.images("train"), masks)

        def load_test(self, raw):
            return raw.images("test")

        def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
            raise NotImplementedError

    return Competition()


@pytest.fixture
def audit(tmp_path, monkeypatch, capfd):
    """Function from a task and options to what the audit says, by kind, and its page."""
    monkeypatch.chdir(tmp_path)

    def run(task: str = "classification", *options: str, plant: bool = True) -> tuple[dict[str, str], str]:
        if not (tmp_path / "raw").exists():
            write(tmp_path / "raw", plant)
        competition, config = competition_of(task, tmp_path / "masks"), TASKS[task][1]
        names: Any = dict.fromkeys(("sample", "fast", "base"), config)
        capfd.readouterr()
        main(competition, names, ["audit", "--raw", "raw", *options])
        out, told = capfd.readouterr()
        page = tmp_path / out.strip().removeprefix("audit: ")
        return dict(line.split(": ", 1) for line in told.splitlines() if ": " in line), page.read_text()

    return run


def named(told: str) -> set[str]:
    """What a line names after its count: ``2 (a, b)``."""
    return set(told.partition("(")[2].removesuffix(")").split(", ")) - {""}


@pytest.mark.parametrize("task", TASKS)
def test_planted_faults_are_found_and_nothing_else_whatever_the_task(task, audit):
    told, page = audit(task)
    assert told["exact copies"].startswith("2 (") and "t01 = t41" in told["exact copies"]
    assert "t04 = u09" in told["exact copies"]
    assert told["near copies"].startswith("3 (")
    assert all(pair in told["near copies"] for pair in ("t00 = t40", "t02 = t42", "t03 = u08"))
    assert named(told["copies, one in train, one in test"]) == {"t03 = u08", "t04 = u09"}
    # Masks of other sizes cannot be compared; all else can.
    conflicts = {"t01 = t41"} | ({"t02 = t42"} if task != "segmentation" else set())
    assert named(told["copies, other targets"]) == conflicts
    assert told["images of one colour"] == "1 (t43)"
    assert told["images of odd size or shape"] == "1 (t44)"
    assert "mirrored" in page and "<b>t42</b>" in page


def test_nothing_planted_nothing_found(audit):
    told, page = audit(plant=False)
    assert set(told.values()) - {"40 training and 8 test images, 2 classes"} == {"0"}
    assert "<img src" not in page


def test_near_copies_in_other_folds_are_leaks_and_exact_ones_never_are(audit, tmp_path):
    told, _ = audit()
    folds = pd.read_parquet(next((tmp_path / "data" / "planted" / "folds").iterdir()))
    fold = folds.set_index("image_id")["fold"]
    expected = {f"{a} = {b}" for a, b in (("t00", "t40"), ("t02", "t42")) if fold[a] != fold[b]}
    assert named(told["copies, in different folds"]) == expected
    assert fold["t01"] == fold["t41"]


def test_the_page_needs_no_network_and_holds_names_as_text(audit, tmp_path):
    write(tmp_path / "raw", plant=True)
    for old, new in (("t00", "<script>x"), ("t40", "a&b")):
        (tmp_path / "raw" / "train" / f"{old}.png").rename(tmp_path / "raw" / "train" / f"{new}.png")
    told, page = audit("segmentation")
    assert "<script>x" in told["near copies"]
    assert page.count("<script") == 1 and "<script>x" not in page
    assert "&lt;script&gt;x" in page and "a&amp;b" in page
    assert "http:" not in page and "https:" not in page and 'src="' not in page.replace('src="data:', "")


def test_fingerprints_are_made_once_and_made_again_where_their_file_is_damaged(audit, tmp_path):
    _, page = audit()
    (saved,) = (tmp_path / "data" / "planted" / "prepared").glob("fingerprints-*.npz")
    content, made = saved.read_bytes(), saved.stat().st_mtime_ns
    assert audit()[1] == page
    assert saved.stat().st_mtime_ns == made
    saved.write_bytes(content[:1000])
    assert audit()[1] == page
    assert len(saved.read_bytes()) == len(content)


def test_the_page_goes_where_it_is_asked_to(audit, tmp_path):
    audit("classification", "--out", "there.html")
    assert "What was found" in (tmp_path / "there.html").read_text()
