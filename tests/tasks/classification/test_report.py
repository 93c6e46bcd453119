"""What the report of a classifier says, also of more classes than a picture has room for."""

import numpy as np
import pandas as pd

from pipeline.base.page import section
from pipeline.base.parts import Chart, Matrix, Table, Tiles
from pipeline.frame.values import frame_of
from pipeline.inputs.batches import Images
from pipeline.tasks.classification.report import PAIRS, confused_pairs, confusion
from pipeline.tasks.classification.task import Classification
from pipeline.tasks.showing import calibration, class_table
from pipeline.tasks.task import ReportRequest

TASK = Classification()


def indices(text: str) -> np.ndarray:
    return np.array(["abc".index(letter) for letter in text])


def request_of(truth: pd.DataFrame, oof: pd.DataFrame, classes: list[str], **options) -> ReportRequest:
    """The report of black images."""
    return ReportRequest(
        truth=truth,
        oof=oof,
        images=Images(truth, np.zeros((len(truth), 8, 8, 3), dtype="uint8")),
        classes=classes,
        evidence=lambda needs: TASK.evidence(needs, truth, oof, classes),
        folder=None,  # pyright: ignore[reportArgumentType]  # nothing is written
        **options,
    )


def test_confusion_is_the_share_of_each_true_class():
    share = confusion(indices("aabb"), indices("abbb"), list("abc")).values
    assert share.tolist() == [[50, 50, 0], [0, 100, 0], [0, 0, 0]]


def test_the_most_frequent_mistakes_come_first_with_their_share():
    table = confused_pairs(indices("aaaabbc"), indices("abbbcba"), list("abc"))
    assert table.rows[0] == ("a", "b", 3, "75.0 %")
    assert len(table.rows) == 3 and table.note.startswith("5 mistakes in 7 images")


def test_the_lowest_f1_is_the_first_class_and_an_absent_one_the_last():
    table = class_table(indices("aabb"), indices("abbb"), list("abc"))
    assert [row[0] for row in table.rows] == ["a", "b", "c"]
    a, b = table.rows[:2]
    assert (a[1], a[2], a[4], a[5]) == (1.0, 0.5, 2, 1) and round(float(str(b[1])), 3) == 0.667


def test_thousands_of_classes_are_a_table_of_pairs_and_no_picture():
    """Two thousand classes; half of the images of k1500 are taken for k0700."""
    classes = [f"k{number:04d}" for number in range(2000)]
    truth = np.repeat(np.arange(2000), 2)
    values = np.full((4000, 2000), 1e-6)
    values[np.arange(4000), truth] = 0.9
    values[3000, 700] = 0.99
    frame = pd.DataFrame({"image_id": np.arange(4000).astype(str), "label": np.array(classes)[truth]})
    oof = frame_of(frame["image_id"].to_numpy(), values, classes)
    parts = list(TASK.report(request_of(frame, oof, classes)))
    assert not any(isinstance(part, Matrix) for part in parts)
    table, pairs, tiles, chart = parts
    assert isinstance(table, Table) and isinstance(pairs, Table) and isinstance(chart, Chart)
    assert table.rows[0][0] in ("k0700", "k1500") and pairs.rows == [("k1500", "k0700", 1, "50.0 %")]
    assert isinstance(tiles, Tiles) and [tile.title for tile in tiles.tiles] == ["3000"]
    assert sum(len(section(part)) for part in parts) < 1_000_000


def test_a_mistake_says_its_id_and_both_probabilities_and_where_the_network_looked():
    truth = pd.DataFrame({"image_id": ["x", "y", "z"], "label": list("abc")})
    values = np.array([[0.3, 0.6, 0.1], [0.5, 0.1, 0.4], [0.0, 0.1, 0.9]])
    oof = frame_of(truth["image_id"].to_numpy(), values, list("abc"))
    asked: dict = {}

    def saliency(ids, outputs):
        asked.update(zip(ids, outputs, strict=True))
        return [np.full((8, 8, 3), 9, dtype="uint8"), None]

    parts = list(TASK.report(request_of(truth, oof, list("abc"), saliency=saliency)))
    (tiles,) = (part for part in parts if isinstance(part, Tiles))
    assert [tile.title for tile in tiles.tiles] == ["y", "x"], "the worst first, and none that is right"
    assert tiles.tiles[0].lines == ("predicted a 0.500", "is b 0.100")
    assert asked == {"y": 0, "x": 1}
    assert [len(tile.pictures) for tile in tiles.tiles] == [2, 1] and "Grad-CAM" in tiles.note


def test_no_mistake_at_all_is_said():
    truth = pd.DataFrame({"image_id": ["x", "y", "z"], "label": list("abc")})
    oof = frame_of(truth["image_id"].to_numpy(), np.eye(3), list("abc"))
    parts = list(TASK.report(request_of(truth, oof, list("abc"))))
    assert "None." in "".join(map(section, parts)) and "0 mistakes in 3 images" in str(parts[1])


def test_probabilities_that_are_too_high_lie_below_the_diagonal():
    chart = calibration(np.array([0.95] * 10 + [0.05] * 10), np.array([1] * 5 + [0] * 5 + [0] * 10), "p")
    (series,) = chart.series
    assert np.allclose(series.x, [0.05, 0.95]) and np.allclose(series.y, [0, 0.5])
    assert "error 0.250" in chart.note  # half of the images are 0.45 too high, half 0.05


def test_no_more_pairs_than_a_page_has_room_for():
    random = np.random.default_rng(0)
    truth, found = random.integers(0, 50, (2, 2000))
    assert len(confused_pairs(truth, found, [str(n) for n in range(50)]).rows) == PAIRS
