"""Numbers, labels and folders of classes that make no sense."""

from collections.abc import Callable

from pipeline.competition.prepared import Prepared
from tests.broken.case import Break, accepted, refused
from tests.broken.images import whole
from tests.broken.worlds import rows, save

TRAIN_CSV = "train.csv"


def values(*cells: str) -> Break:
    """The values of regression's images."""
    return lambda raw: rows(
        raw / TRAIN_CSV, "image_id,value", *(f"a{n},{cell}" for n, cell in enumerate(cells, start=1))
    )


def names(*cells: str) -> Break:
    """The labels of multilabel's images."""
    return lambda raw: rows(
        raw / TRAIN_CSV, "image_id,labels", *(f"a{n},{cell}" for n, cell in enumerate(cells, start=1))
    )


def numbers(*wanted: float) -> Callable[[Prepared], bool]:
    return lambda data: [float(value) for value in data.train["value"]] == list(wanted)


def lists(*wanted: list[str]) -> Callable[[Prepared], bool]:
    return lambda data: [list(cell) for cell in data.train["labels"]] == list(wanted)


TEMPLATES = [
    accepted(
        "numbers as spreadsheets write them",
        "regression",
        values("1e1", "+20", "030", "4.50"),
        numbers(10, 20, 30, 4.5),
    ),
    *(
        refused(f"a value of {cell or 'nothing'}", "regression", values("10", cell, "20", "30"), *words)
        for cell, words in {
            "nan": ("a2", "no number"),
            "inf": ("a2", "no number"),
            "1e999": ("a2", "no number"),
            "-5": ("a2", "1 to 100"),
            "101": ("a2", "1 to 100"),
            "0x1F": ("a2", "no number"),
            '"12,5"': ("a2", "no number"),
            "12 5": ("a2", "no number"),
            "1_0": ("a2", "no number"),
            "ten": ("a2", "no number"),
            "True": ("a2", "no number"),
            "": (TRAIN_CSV, "value"),
        }.items()
    ),
    accepted(
        "several blanks between labels",
        "multilabel",
        names("x", "x   y ", "", "y"),
        lists(["x"], ["x", "y"], [], ["y"]),
    ),
    accepted(
        "labels that are called nan and None",
        "multilabel",
        names("nan", "nan None", "", "None"),
        lists(["nan"], ["nan", "None"], [], ["None"]),
    ),
    refused("one label twice in a cell", "multilabel", names("x", "y y", "", "y"), "a2", "labels"),
    refused("no image with a label", "multilabel", names("", "", "", ""), "label"),
    refused(
        "no column of labels",
        "multilabel",
        lambda raw: rows(raw / TRAIN_CSV, "image_id,tags", "a1,x", "a2,y", "a3,x", "a4,y"),
        TRAIN_CSV,
        "labels",
    ),
    refused(
        "a label of one image alone in no fold",
        "classification",
        lambda raw: rows(raw / TRAIN_CSV, "image_id,label", "a1,x", "a2,x", "a3,x", "a4,x"),
        "class",
    ),
    accepted(
        "labels that look like numbers stay as they are",
        "classification",
        lambda raw: rows(raw / TRAIN_CSV, "image_id,label", "a1,01", "a2,1", "a3,01", "a4,1"),
        lambda data: data.classes == ["01", "1"],
    ),
    accepted(
        "labels NaN, None and true",
        "classification",
        lambda raw: rows(raw / TRAIN_CSV, "image_id,label", "a1,NaN", "a2,None", "a3,true", "a4,NaN"),
        lambda data: set(data.classes) == {"NaN", "None", "true"},
    ),
    accepted(
        "labels that look the same are one",
        "classification",
        lambda raw: rows(
            raw / TRAIN_CSV, "image_id,label", "a1,caf\u00e9", "a2,y", "a3,cafe\u0301", "a4,y\u00a0"
        ),
        lambda data: data.classes == ["caf\u00e9", "y"],
        "blanks around them",
    ),
]

FOLDERS = [
    refused(
        "a class's folder is missing",
        "hotdog",
        lambda raw: [f.unlink() for f in (raw / "train/hotdog").iterdir()],
        "hotdog",
    ),
    refused(
        "a class's folder in capital letters",
        "hotdog",
        lambda raw: (raw / "train/hotdog").rename(raw / "train/Hotdog"),
        "Hotdog",
    ),
    refused("a third class", "hotdog", lambda raw: save(raw / "train/cat", ["1.png"], 40), "cat"),
    refused(
        "test images in folders and beside them",
        "hotdog",
        lambda raw: save(raw / "test/hotdog", ["9.png"], 40),
        "test",
    ),
    accepted(
        "an image in no class's folder, which is named",
        "hotdog",
        lambda raw: save(raw / "train", ["9.png"], 40),
        whole,
        "9.png",
        "left out",
    ),
    accepted(
        "an empty folder among the test images", "hotdog", lambda raw: (raw / "test/more").mkdir(), whole
    ),
    accepted(
        "one name in both classes",
        "hotdog",
        lambda raw: None,
        lambda data: set(data.train["image_id"]) == {"hotdog/1", "hotdog/2", "not-hotdog/1", "not-hotdog/2"},
    ),
]

CASES = [*TEMPLATES, *FOLDERS]
