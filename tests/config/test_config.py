"""A config is data: it digests, survives JSON, and explains every option on the command line."""

import contextlib
import dataclasses
import io
import json
import re
from typing import Any, Literal, get_args, get_origin

import pytest
import tyro
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.config.limits import LIMITS
from pipeline.tasks.classification.config import (
    AugmentConfig,
    Config,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)

OPTIONS = [
    (group.name, field)
    for group in dataclasses.fields(Config)
    for field in dataclasses.fields(group.default_factory)
]
IDS = [f"{group}.{field.name}" for group, field in OPTIONS]


def another(field: dataclasses.Field) -> Any:
    """A value of the field's type that is not its default."""
    if get_origin(field.type) is Literal:
        return next(value for value in get_args(field.type) if value != field.default)
    if isinstance(field.default, bool):
        return not field.default
    if isinstance(field.default, int):
        return field.default + 1
    if isinstance(field.default, float):
        return field.default / 2 or 0.5
    return {
        str: "something else",
        str | None: "file.pt",
        int | None: 3,
        float | None: 1.5,
        tuple[float, ...]: (0.5, 1.0),
    }[field.type]


def changed(group: str, field: dataclasses.Field) -> Config:
    """The default config with one field changed."""
    config = Config()
    return dataclasses.replace(
        config, **{group: dataclasses.replace(getattr(config, group), **{field.name: another(field)})}
    )


@pytest.fixture(scope="module")
def help_text() -> str:
    """What ``--help`` prints, without its frames and line breaks."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
        tyro.cli(Config, args=["--help"], console_outputs=True)
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", printed.getvalue()).split())


@pytest.mark.parametrize("group, field", OPTIONS, ids=IDS)
def test_every_option_is_on_the_command_line_with_an_explanation(group, field, help_text):
    option = f"--{group}.{field.name}".replace("_", "-")
    match = re.search(rf"{re.escape(option)}(?![\w-])(.*?)\((?:default|optional)", help_text)
    assert match, f"{option} is not in --help"
    values = r"(, --\S+)?|\{[^}]*\}|INT|FLOAT|STR|None|[|]"
    assert len(re.sub(values, "", match[1]).split()) >= 2, f"{option} has no help text"


@pytest.mark.parametrize("group, field", OPTIONS, ids=IDS)
def test_the_digest_changes_with_every_field(group, field):
    assert changed(group, field).digest() != Config().digest()


def test_no_two_single_changes_share_a_digest():
    assert len({changed(group, field).digest() for group, field in OPTIONS}) == len(OPTIONS)


@settings(deadline=None, max_examples=50)
@given(st.sets(st.sampled_from(range(len(OPTIONS)))))
def test_any_config_survives_json(chosen):
    value = Config().to_json()
    for number in chosen:
        group, field = OPTIONS[number]
        value[group][field.name] = another(field)
    config = Config.from_json(value)
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert Config.from_json(json.loads(str(config))).digest() == config.digest()


def test_an_older_checkpoints_config_may_lack_fields_but_not_have_strange_ones():
    value = Config().to_json()
    del value["train"]["patience"], value["predict"]
    assert Config.from_json(value) == Config()
    with pytest.raises(TypeError, match="learning_rate"):
        Config.from_json({"train": {"learning_rate": 0.1}})


def test_a_config_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().train.lr = 1.0


@pytest.mark.parametrize(
    ("group", "values", "message"),
    [
        (TrainConfig, {"epochs": 0}, "--train.epochs is 0, and must be at least 1"),
        (TrainConfig, {"lr": float("nan")}, "--train.lr is nan, and must be at least 0"),
        (PredictConfig, {"overlap": 1.0}, "--predict.overlap is 1.0, and must be from 0 to 0.9"),
        (PredictConfig, {"tile": -1}, "--predict.tile is -1"),
        (PredictConfig, {"scales": ()}, "--predict.scales are"),
        (AugmentConfig, {"min_scale": 3.0}, "--augment.min-scale is 3.0, above"),
    ],
)
def test_a_number_out_of_its_limits_makes_no_config(group, values, message):
    with pytest.raises(UserError, match=re.escape(message)):
        group(**values)


def test_every_limit_is_of_a_field():
    for group, limits in LIMITS.items():
        names = {field.name for name, field in OPTIONS if name == group}
        assert limits.keys() <= names


@pytest.mark.parametrize(
    ("model", "scale"),
    [(ModelConfig(), 1.0), (ModelConfig(pretrained=True), 0.1), (ModelConfig(weights="file.pt"), 0.1)],
)
def test_the_head_learns_ten_times_as_fast_as_a_backbone_that_has_learned(model, scale):
    assert Config(model=model).resolved().train.backbone_lr_scale == scale
    given = Config(model=model, train=TrainConfig(backbone_lr_scale=0.5))
    assert given.resolved() == given
