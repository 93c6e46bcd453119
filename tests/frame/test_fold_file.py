"""A split from a CSV file: every training image once, in a fold."""

import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.config.groups import FoldConfig
from pipeline.frame.fold_file import read_folds

TRAIN = pd.DataFrame({"image_id": ["a", "b", "c", "d"]})


def read(text: str, tmp_path, train: pd.DataFrame = TRAIN) -> pd.DataFrame:
    path = tmp_path / "folds.csv"
    path.write_text(text)
    return read_folds(path, train)


def test_folds_meet_images_by_id(tmp_path):
    folds = read("fold,image_id,note\n2,d,x\n0,a,x\n-1,c,x\n0,b,x\n", tmp_path)
    assert folds["image_id"].tolist() == ["a", "b", "c", "d"]
    assert folds["fold"].tolist() == [0, 0, -1, 2]
    assert read("name,fold\nd,1\nc,1\nb,0\na,0\n", tmp_path)["fold"].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image_id,part\na,0\n", "has the columns image_id, part: an id and a column fold are needed"),
        ("fold\n0\n", "an id and a column fold are needed"),
        (
            "image_id,fold\na,0\nb,x\nc,-2\nd,1.5\n",
            r"3 fold\(s\) that are no .*'b': 'x', 'c': '-2', 'd': '1.5'",
        ),
        ("image_id,fold\na,0\na,1\nb,0\nc,1\nd,1\n", r"lists 1 id\(s\) twice: a"),
        ("image_id,fold\na,0\nb,1\nc,1\n", r"lacks 1 training image\(s\) \(d\)"),
        ("image_id,fold\na,0\nb,1\nc,1\nd,0\ne,1\n", r"has 1 id\(s\) of no training image \(e\)"),
        ("image_id,fold\na,0\nb,0\nc,0\nd,0\n", "all images in one fold"),
        ("image_id,fold\na,-1\nb,-1\nc,-1\nd,-1\n", "no fold but -1"),
    ],
)
def test_a_file_that_is_no_split_is_named(text, words, tmp_path):
    with pytest.raises(UserError, match=words):
        read(text, tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.csv does not exist; check --folds\.csv"):
        read_folds(tmp_path / "nowhere.csv", TRAIN)


def test_ids_that_lost_their_zeros_are_told_so(tmp_path):
    train = pd.DataFrame({"image_id": ["007", "008"]})
    with pytest.raises(UserError, match="differ only in"):
        read("image_id,fold\n7,0\n8,1\n", tmp_path, train)


@pytest.mark.parametrize(
    ("use", "chosen"),
    [(None, [0, 1, 2, 3, 4]), (2, [0, 1]), ("0,3", [0, 3]), ("3,", [3]), (" 4, 1 ", [1, 4])],
)
def test_folds_are_chosen_by_their_number_or_how_many(use, chosen):
    assert FoldConfig(use=use).chosen(range(5)) == chosen


@pytest.mark.parametrize(
    ("use", "words"),
    [
        ("0,5", "names fold 5, and the folds are 0 to 4"),
        ("1,1", "names a fold twice"),
        ("a,b", "give how many folds, or their numbers with a comma"),
        ("-1,2", "give how many folds"),
        (",", "give how many folds"),
    ],
)
def test_folds_that_are_not_there_are_refused(use, words):
    with pytest.raises(UserError, match=words):
        FoldConfig(use=use)


def test_folds_of_a_file_need_not_be_counted_before_it_is_read():
    config = FoldConfig(csv="folds.csv", use="7,9")
    assert config.chosen([0, 7, 9]) == [7, 9]
    with pytest.raises(UserError, match="names fold 7"):
        config.chosen([0, 1])
    assert "scheme" in config.unused()
