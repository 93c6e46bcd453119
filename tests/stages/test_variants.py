"""Lists of values become experiments, each combination once."""

import pytest

from pipeline.base.errors import UserError
from pipeline.stages.variants import variants
from pipeline.tasks.classification.config import Config


def made(*words: str) -> list[str]:
    return [" ".join(one) for one in variants(words, Config())]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--train.lr 0.1,0.2", ["--train.lr 0.1", "--train.lr 0.2"]),
        ("--train.lr=0.1,0.2 --config a", ["--train.lr=0.1 --config a", "--train.lr=0.2 --config a"]),
        ("--config a,b --raw x,y --note so,lala", ["--config a,b --raw x,y --note so,lala"]),
        ("--folds.use 0,3", ["--folds.use 0,3"]),
        ("--augment.horizontal-flip --train.lr 1", ["--augment.horizontal-flip --train.lr 1"]),
    ],
)
def test_a_list_is_one_experiment_for_each_value(words, expected):
    assert made(*words.split()) == expected


def test_two_lists_are_all_combinations():
    assert made("--train.lr", "1,2", "--model.name", "a,b") == [
        f"--train.lr {lr} --model.name {name}" for lr in "12" for name in "ab"
    ]


@pytest.mark.parametrize("words", ["--train.lr 0.1,", "--train.lr=,1", "--train.lr 1,1"])
def test_an_empty_place_or_the_same_twice_is_refused(words):
    with pytest.raises(UserError, match="an empty place or the same value twice"):
        made(*words.split())
