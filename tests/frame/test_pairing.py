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


@pytest.mark.parametrize("count, lost", [(100, 4), (1000, 11), (2, 1999)])
def test_many_without_a_partner_are_a_mistake_unless_a_part_is_meant(count, lost, capsys):
    names = [f"x{number}" for number in range(count)]
    some, all_of_them = (
        files(*names),
        labels(**dict.fromkeys([*names, *map("y{}".format, range(lost))], "cat")),
    )
    with pytest.raises(UserError, match=rf"^{lost:,} of .* labels without files: y0, y1, .*tolerance=1"):
        pair(all_of_them, some)
    assert len(pair_labels(all_of_them, some, "trainLabels.csv", "train/", tolerance=1)) == count
    assert f"warning: {lost:,} labels without files, left out" in capsys.readouterr().err


def test_a_small_share_may_lack_a_partner(capsys):
    names = [f"x{number}" for number in range(1000)]
    assert len(pair(labels(**dict.fromkeys(names, "cat")), files(*names[10:]))) == 990
    assert "10 labels without files" in capsys.readouterr().err


def test_accents_may_be_composed_or_not():
    joined = pair(labels(**{"caf\u00e9": "cat", "u\u0308ber": "dog"}), files("cafe\u0301", "\u00fcber"))
    assert joined["image_id"].tolist() == ["caf\u00e9", "\u00fcber"] and joined["label"].tolist() == [
        "cat",
        "dog",
    ]
    assert joined["path"].tolist() == ["train/cafe\u0301.png", "train/\u00fcber.png"]


@pytest.mark.parametrize(
    "label, file, reason",
    [
        ("1", "0001", "leading zeros, as '1' and '0001'"),
        ("img_7_2", "img_0007_02", "leading zeros"),
        ("7.0", "7", "a decimal point, as '7.0' and '7'"),
        ("a ", "a", "blanks around the name, as 'a ' and 'a'"),
        ("a.JPG", "a", "the suffix"),
        ("cats/a.jpg", "a", "the folder before the name"),
        ("cats/a", "a", "the folder before the name"),
        ("IMG_1", "img_1", "capital letters"),
        ("m\u00fcll", "m\u00fcll".encode().decode("cp437"), "unzip -O utf-8"),
        ("\u732b", "\u732b".encode("gb18030").decode("cp437"), "unzip -O gb18030"),
        ("\u30cd\u30b3", "\u30cd\u30b3".encode("shift_jis").decode("cp437"), "unzip -O shift_jis"),
        ("\u043a\u043e\u0442", "\u043a\u043e\u0442".encode("cp1251").decode("cp437"), "unzip -O"),
    ],
)
def test_names_that_differ_in_spelling_alone_are_never_left_out(label, file, reason):
    """Not even one of a thousand: it is there, and a correction away."""
    with pytest.raises(UserError) as caught:
        pair(labels(**{label: "dog"}), files(file))
    assert reason in str(caught.value)
    others = [f"x{number}" for number in range(1000)]
    with pytest.raises(UserError) as caught:
        pair(labels(**dict.fromkeys([*others, label], "cat")), files(*others, file))
    assert "1 differ only in " in str(caught.value) and reason in str(caught.value)


def test_leading_zeros_make_another_id():
    with pytest.raises(
        UserError,
        match=r"no id in trainLabels.csv \(such as 1\) has a file in train/ \(such as 001\): .*zeros",
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
