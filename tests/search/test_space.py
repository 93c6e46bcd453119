"""A search space is checked like options, before anything runs."""

import numpy as np
import pytest

from pipeline.base.errors import UserError
from pipeline.search.space import changed, check_space, choice, integers, log_uniform, read_space, uniform
from pipeline.tasks.classification.config import AugmentConfig, Config, TrainConfig

BASE = Config(train=TrainConfig(lr=0.1, optimizer="sgd"))


def test_ranges_draw_what_they_say():
    random = np.random.default_rng(0)
    whole = {integers(2, 4).draw(random) for _ in range(50)}
    assert whole == {2, 3, 4} and all(type(value) is int for value in whole)
    rates = np.array([log_uniform(1e-4, 1).draw(random) for _ in range(400)])
    assert rates.min() >= 1e-4 and rates.max() <= 1 and 0.4 < (rates < 1e-2).mean() < 0.6
    assert {choice("a", "b").draw(random) for _ in range(20)} == {"a", "b"}
    assert all(0.5 <= uniform(0.5, 0.6).draw(random) <= 0.6 for _ in range(20))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: uniform(1, 1), r"uniform\(1, 1\) needs two finite numbers, the lower one first"),
        (lambda: uniform(0, float("inf")), "needs two finite numbers"),
        (lambda: uniform("a", 2), "needs two finite numbers"),  # pyright: ignore
        (lambda: log_uniform(0, 1), "must begin above 0"),
        (lambda: integers(1, 2.5), "needs two whole numbers"),  # pyright: ignore
        (lambda: choice("a"), "needs two or more different values"),
        (lambda: choice(1, 2, 1), "needs two or more different values"),
    ],
)
def test_a_range_that_is_none_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()


def test_a_space_that_suits_the_config_passes():
    space = {
        "train.lr": log_uniform(0.01, 1),
        "train.epochs": integers(1, 5),
        "augment.crop": choice("pad", "resized"),
        "augment.min_area": uniform(0.2, 0.9),  # does something under one of the crops
    }
    check_space(space, BASE)
    config = changed(BASE, {"train.lr": 0.5, "augment.crop": "resized", "augment.min_area": 0.4})
    assert (config.train.lr, config.augment.crop, config.augment.min_area) == (0.5, "resized", 0.4)
    assert config.train.optimizer == "sgd"


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"train.learning_rate": uniform(0, 1)}, "SPACE has 'train.learning_rate', and there is .*train.lr"),
        (
            {"trian.lr": uniform(0, 1)},
            "SPACE has 'trian.lr', and there is folds, model, augment, train",
        ),
        ({"folds.count": integers(2, 5)}, "so the folds stay"),
        ({"train.workers": integers(0, 5)}, "makes no experiment better"),
        ({"train.seed": integers(0, 5)}, "makes no experiment better"),
        ({"train.lr": uniform(-1, 1)}, r"values that do not go together .*--train.lr is -"),
        ({"augment.crop": choice("pad", "square")}, "must be one of pad, resized, none"),
        ({"augment.magnitude": integers(1, 9)}, "--augment.magnitude would do nothing"),
        ({"augment.pad": integers(2, 60)}, "an image of 32 pixels"),
    ],
)
def test_a_space_that_does_not_suit_is_refused(space, words):
    with pytest.raises(UserError, match=words):
        check_space(space, BASE)


def test_an_option_that_another_one_always_switches_off_is_named():
    space = {"augment.crop": choice("pad", "none"), "augment.min_area": uniform(0.2, 0.9)}
    with pytest.raises(UserError, match=r"--augment\.min-area would do nothing"):
        check_space(space, Config(augment=AugmentConfig(crop="pad")))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"there is no search space .*space\.py"),
        ("SPACE = 3", "has no dictionary SPACE"),
        ("SPACE = {}", "has no dictionary SPACE"),
        ("SPACE = {'train.lr': (0, 1)}", "gives train.lr no range"),
        ("SPACE = ", "cannot be run"),
        ("import nowhere", "cannot be run .ModuleNotFoundError: No module named 'nowhere'"),
        (
            "from pipeline.search.space import uniform\nSPACE = {'train.lr': uniform(2, 1)}",
            "the lower one first",
        ),
    ],
)
def test_a_file_without_a_space_is_named(tmp_path, text, words):
    path = tmp_path / "space.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_space(path)
