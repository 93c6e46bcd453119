"""Labels meet files by id. Pairing them by position is the classic silent mistake."""

import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.frame.pairing import pair_labels


def files(*ids: str) -> pd.DataFrame:
    return pd.DataFrame({"image_id": list(ids), "path": [f"train/{image_id}.png" for image_id in ids]})


def labels(**rows: str) -> pd.DataFrame:
    return pd.DataFrame({"image_id": [name.strip("_") for name in rows], "label": list(rows.values())})


def pair(labels: pd.DataFrame, files: pd.DataFrame) -> pd.DataFrame:
    return pair_labels(labels, files, "trainLabels.csv", "train/")


def test_pairs_by_id_whatever_the_two_orders():
    """Sorted as text, files come 1, 10, 2; the labels come 1, 2, 10."""
    joined = pair(labels(_1="cat", _2="dog", _10="frog"), files("1", "10", "2"))
    assert joined.set_index("image_id")["label"].to_dict() == {"1": "cat", "2": "dog", "10": "frog"}
    assert joined.set_index("image_id")["path"].to_dict() == {i: f"train/{i}.png" for i in ("1", "2", "10")}
    assert list(joined.columns) == ["image_id", "path", "label"]


def test_nothing_is_said_where_everything_fits(capsys):
    pair(labels(_1="cat"), files("1"))
    assert capsys.readouterr().err == ""


def test_what_has_no_partner_is_left_out_counted_and_named(capsys):
    joined = pair(labels(a="cat", b="dog", c="dog", d="cat"), files("a", "x", "y10", "y9"))
    assert joined["image_id"].tolist() == ["a"]
    assert capsys.readouterr().err.splitlines() == [
        "warning: 3 labels without files, left out: b, c, d (trainLabels.csv, train/)",
        "warning: 3 files without labels, left out: x, y9, y10 (trainLabels.csv, train/)",
    ]


def test_of_many_without_partner_the_first_are_named(capsys):
    pair(labels(_1="cat"), files(*(str(number) for number in range(1, 2001))))
    message = capsys.readouterr().err
    assert "warning: 1,999 files without labels, left out: 2, 3, 4, 5, 6 and 1994 more" in message


def test_leading_zeros_make_another_id():
    with pytest.raises(
        UserError, match=r"no id in trainLabels.csv \(such as 1\) has a file in train/ \(such as 001\)"
    ):
        pair(labels(_1="cat"), files("001"))


def test_an_id_labelled_twice_is_named():
    twice = pd.concat([labels(a="cat", b="dog"), labels(b="cat")])
    with pytest.raises(
        UserError, match=r"trainLabels.csv lists 1 id\(s\) more than once: b; keep one row for each"
    ):
        pair(twice, files("a", "b"))


def test_no_files_at_all():
    with pytest.raises(
        UserError, match=r"no id in trainLabels.csv .* has a file in train/, which has no images"
    ):
        pair(labels(a="cat"), files())


def test_no_labels_at_all():
    with pytest.raises(UserError, match=r"trainLabels\.csv lists no images"):
        pair(labels(), files("a"))
