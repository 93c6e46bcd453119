"""A config is data: its values are within their limits and go together, it digests, survives JSON, says
what does nothing, and explains every option on the command line. The same for each task's."""

import contextlib
import dataclasses
import io
import json
import math
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import tyro
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.config.config import Config, Ensemble, members_of
from pipeline.config.groups import FoldConfig, Group, ModelConfig, PredictConfig, TrainConfig
from pipeline.config.limits import Limit, option
from pipeline.config.whole_images import ViewPredict
from pipeline.tasks.classification import config as classification
from pipeline.tasks.detection import config as detection
from pipeline.tasks.image_to_image import config as image_to_image
from pipeline.tasks.multilabel import config as multilabel
from pipeline.tasks.overlapping_segmentation import config as overlapping_segmentation
from pipeline.tasks.regression import config as regression
from pipeline.tasks.segmentation import config as segmentation
from pipeline.tasks.soft_labels import config as soft_labels

TASKS = [
    classification,
    detection,
    image_to_image,
    multilabel,
    overlapping_segmentation,
    regression,
    segmentation,
    soft_labels,
]
OPTIONS = [
    (task.Config, group.group, field.name)
    for task in TASKS
    for group in task.Config().groups()
    for field in dataclasses.fields(group)
]
IDS = [f"{config.__module__.split('.')[2]}-{group}.{name}" for config, group, name in OPTIONS]
every_option = pytest.mark.parametrize(("config", "group", "name"), OPTIONS, ids=IDS)
every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.__name__.split(".")[2])


def hint_of(group: Group, name: str) -> Any:
    """What may be the value of a field, without the limits."""
    return get_type_hints(type(group))[name]


def another(group: Group, name: str) -> Any:
    """A legal value of a field that is not the one it has."""
    value, hint = getattr(group, name), hint_of(group, name)
    if get_origin(hint) is Literal:
        return next(choice for choice in get_args(hint) if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return 2 * value if name == "max_scale" else value / 2 or 0.5  # not below min_scale
    return {
        str: "something else",
        str | None: "file.pt",
        int | None: 3,
        int | str | None: 3,
        int | Literal["auto"]: 3,
        float | None: 1.5,
        tuple[float, ...]: (0.5, 1.0),
    }[hint]


def changed(config: Config, group: str, **values: Any) -> Config:
    """`config` with other values in one group."""
    return dataclasses.replace(config, **{group: dataclasses.replace(getattr(config, group), **values)})


def changed_in(kind: type[Config], group: str, name: str) -> Config:
    """The default config of a task with another value of one field."""
    return changed(kind(), group, **{name: another(getattr(kind(), group), name)})


@pytest.fixture(scope="module")
def help_texts() -> dict[type[Config], str]:
    """What ``--help`` prints for each task, without its frames and line breaks."""
    texts = {}
    for task in TASKS:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), pytest.raises(SystemExit):
            tyro.cli(task.Config, args=["--help"], console_outputs=True)
        texts[task.Config] = " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", printed.getvalue()).split())
    return texts


class TestCommandLine:
    @every_option
    def test_every_option_is_there_with_an_explanation(self, config, group, name, help_texts):
        typed = option(group, name)
        match = re.search(rf"{re.escape(typed)}(?![\w-])(.*?)\((?:default|optional)", help_texts[config])
        assert match, f"{typed} is not in --help"
        values = r"(, --\S+)?|\{[^}]*\}|INT|FLOAT|STR|None|[|]"
        assert len(re.sub(values, "", match[1]).split()) >= 2, f"{typed} has no help text"

    def test_what_another_task_has_is_no_option_of_this_one(self):
        names = {
            task: {(group, name) for kind, group, name in OPTIONS if kind is task.Config} for task in TASKS
        }
        assert ("augment", "mosaic") in names[detection] - names[classification] - names[segmentation]
        assert ("model", "decoder") in names[segmentation] - names[classification] - names[detection]
        assert ("augment", "crop") in names[classification] - names[detection] - names[segmentation]
        assert ("augment", "erase") in names[classification] - names[detection] - names[segmentation]
        assert ("train", "balance") in names[multilabel] - names[classification] - names[regression]


class TestIdentity:
    @every_option
    def test_the_digest_changes_with_every_field(self, config, group, name):
        assert changed_in(config, group, name).digest() != config().digest()

    @every_task
    def test_no_two_single_changes_share_a_digest(self, task):
        own = [(group, name) for kind, group, name in OPTIONS if kind is task.Config]
        assert len({changed_in(task.Config, *one).digest() for one in own}) == len(own)

    @every_task
    @settings(deadline=None, max_examples=20)
    @given(data=st.data())
    def test_any_config_survives_json(self, task, data):
        own = [(group, name) for kind, group, name in OPTIONS if kind is task.Config]
        config = task.Config()
        # Some changes do not go together: a holdout, for one, has no three folds to use.
        for group, name in data.draw(st.lists(st.sampled_from(own), unique=True)):
            with contextlib.suppress(UserError):
                config = changed(config, group, **{name: another(getattr(config, group), name)})
        assert task.Config.from_json(json.loads(json.dumps(config.to_json()))) == config
        assert task.Config.from_json(json.loads(str(config))).digest() == config.digest()

    def test_an_older_checkpoints_config_may_lack_fields_but_not_have_strange_ones(self):
        value = classification.Config().to_json()
        del value["train"]["patience"], value["predict"]
        assert classification.Config.from_json(value) == classification.Config()
        for strange in ({"train": {"learning_rate": 0.1}}, {"optimisation": {"lr": 0.1}}):
            with pytest.raises(TypeError, match=r"learning_rate|optimisation"):
                classification.Config.from_json(strange)

    def test_the_config_of_another_task_is_not_taken_for_ones_own(self):
        with pytest.raises(TypeError):
            segmentation.Config.from_json(classification.Config().to_json())

    def test_what_is_read_back_is_within_its_limits_too(self):
        with pytest.raises(UserError, match=r"^--train\.epochs is 0, "):
            classification.Config.from_json({"train": {"epochs": 0}})

    def test_a_config_cannot_be_changed_in_place(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            classification.Config().train.lr = 1.0  # type: ignore[misc]

    def test_differences_are_told_as_they_are_typed(self):
        old = classification.Config()
        new = changed(changed(old, "train", lr=0.2), "augment", horizontal_flip=False)
        assert new.changes_from(old) == ["--augment.horizontal-flip True -> False", "--train.lr 0.1 -> 0.2"]
        assert new.changes_from(new) == []
        tiled = changed(segmentation.Config(), "predict", scales=(0.5, 1.0))
        assert tiled.changes_from(segmentation.Config()) == ["--predict.scales (1.0,) -> (0.5, 1.0)"]


OUT_OF_LIMITS = [
    (TrainConfig, {"epochs": 0}, "--train.epochs is 0, and must be at least 1"),
    (TrainConfig, {"batch_size": -1}, "--train.batch-size is -1, and must be at least 1"),
    (TrainConfig, {"lr": math.nan}, "--train.lr is nan, and must be a finite number"),
    (TrainConfig, {"lr": math.inf}, "--train.lr is inf, and must be a finite number"),
    (TrainConfig, {"lr": -0.1}, "--train.lr is -0.1, and must be at least 0"),
    (TrainConfig, {"max_minutes": math.inf}, "--train.max-minutes is inf, and must be a finite number"),
    (TrainConfig, {"ema": 1.0}, "--train.ema is 1.0, and must be from 0 to 0.99999"),
    (TrainConfig, {"seed": -1}, "--train.seed is -1, and must be from 0 to 4294967295"),
    (TrainConfig, {"seed": 2**32}, "--train.seed is 4294967296, and must be from 0 to 4294967295"),
    (TrainConfig, {"frozen_stages": -2}, "--train.frozen-stages is -2, and must be from -1 to 1000"),
    (TrainConfig, {"schedule": "linear"}, "--train.schedule is 'linear', and must be one of "),
    (TrainConfig, {"keep": "first"}, "--train.keep is 'first', and must be one of last, best"),
    (FoldConfig, {"seed": -1}, "--folds.seed is -1, and must be from 0 to 4294967295"),
    (FoldConfig, {"count": 1}, "--folds.count is 1, and must be from 2 to 1000"),
    (FoldConfig, {"use": 0}, "--folds.use is 0, and must be at least 1"),
    (FoldConfig, {"use": 9}, "--folds.use is 9, and stratified makes 5 fold(s)"),
    (FoldConfig, {"scheme": "holdout", "use": 2}, "--folds.use is 2, and holdout makes 1 fold(s)"),
    (FoldConfig, {"scheme": "random"}, "--folds.scheme is 'random', and must be one of stratified, gro"),
    (FoldConfig, {"valid_ratio": 1.5}, "--folds.valid-ratio is 1.5, and must be from 0.001 to 0.999"),
    (ModelConfig, {"image_size": 100000}, "--model.image-size is 100000, and must be from 8 to 8192"),
    (ModelConfig, {"image_size": 0}, "--model.image-size is 0, and must be from 8 to 8192"),
    (ModelConfig, {"image_size": (96, 9000)}, "--model.image-size is 9000, and must be from 8 to 8192"),
    (ModelConfig, {"image_size": (96, 96, 3)}, "--model.image-size is (96, 96, 3), and must be one number"),
    (
        segmentation.ModelConfig,
        {"fit": "center_crop"},
        "--model.fit is 'center_crop', and must be one of nat",
    ),
    (detection.ModelConfig, {"fit": "native"}, "--model.fit is 'native', and must be one of letterbox, res"),
    (classification.ModelConfig, {"drop_rate": 1.0}, "--model.drop-rate is 1.0, and must be from 0 to 0.95"),
    (
        classification.AugmentConfig,
        {"crop": "centre"},
        "--augment.crop is 'centre', and must be one of pad, ",
    ),
    (classification.AugmentConfig, {"mixup": math.inf}, "--augment.mixup is inf, and must be a finite"),
    (classification.PredictConfig, {"crops": 3}, "--predict.crops is 3, and must be one of 1, 5"),
    (classification.PredictConfig, {"shift": -1}, "--predict.shift is -1, and must be at least 0"),
    (segmentation.PredictConfig, {"overlap": 1.0}, "--predict.overlap is 1.0, and must be from 0 to 0.9"),
    (segmentation.PredictConfig, {"tile": -1}, "--predict.tile is -1, and must be at least 0"),
    (segmentation.PredictConfig, {"scales": ()}, "--predict.scales are none, and must be one or more"),
    (segmentation.PredictConfig, {"scales": (1.0, 0.0)}, "--predict.scales is 0.0, and must be from 0.01"),
    (segmentation.PredictConfig, {"scales": (math.nan,)}, "--predict.scales is nan, and must be a finite"),
    (
        segmentation.AugmentConfig,
        {"min_scale": 3.0},
        "--augment.min-scale is 3.0, above --augment.max-scale, 2.0",
    ),
    (segmentation.AugmentConfig, {"max_scale": 99.0}, "--augment.max-scale is 99.0, and must be from 0.05"),
    (detection.AugmentConfig, {"mosaic": 2.0}, "--augment.mosaic is 2.0, and must be from 0 to 1"),
    (detection.ModelConfig, {"detector": "yolo"}, "--model.detector is 'yolo', and must be one of faster_r"),
    (detection.PredictConfig, {"fusion": "soft"}, "--predict.fusion is 'soft', and must be one of wbf, nms"),
    (classification.TrainConfig, {"loss": "mse"}, "--train.loss is 'mse', and must be one of ce, bce, foc"),
    (multilabel.TrainConfig, {"loss": "mse"}, "--train.loss is 'mse', and must be one of bce, focal, asym"),
    (multilabel.TrainConfig, {"balance": 1.5}, "--train.balance is 1.5, and must be from 0 to 1"),
    (regression.TrainConfig, {"loss": "focal"}, "--train.loss is 'focal', and must be one of mse, smooth_l1"),
]


def numbers(task: ModuleType) -> Iterator[tuple[Group, str]]:
    """Groups and the names of their fields that hold numbers."""
    for group in task.Config().groups():
        for field in dataclasses.fields(group):
            hint = hint_of(group, field.name)
            if get_origin(hint) is not Literal and {hint, *get_args(hint)} & {int, float}:
                yield group, field.name


class TestLimits:
    @pytest.mark.parametrize(("group", "values", "message"), OUT_OF_LIMITS)
    def test_a_value_out_of_its_limits_makes_no_config(self, group, values, message):
        with pytest.raises(UserError, match=f"^{re.escape(message)}"):
            group(**values)

    @every_task
    def test_every_number_has_a_limit_and_none_may_be_infinite(self, task):
        for group, name in numbers(task):
            hint = get_type_hints(type(group), include_extras=True)[name]
            assert any(isinstance(one, Limit) for one in getattr(hint, "__metadata__", ())), name
            infinite = (math.inf,) if isinstance(getattr(group, name), tuple) else math.inf
            with pytest.raises(UserError, match=f"^{option(group.group, name)} is inf, and must be a finite"):
                dataclasses.replace(group, **{name: infinite})

    def test_none_is_legal_where_it_may_be(self):
        assert TrainConfig(clip_norm=None, patience=None).clip_norm is None
        assert FoldConfig(use=5).use == 5

    def test_the_limits_themselves_are_legal(self):
        assert FoldConfig(seed=2**32 - 1, count=1000).count == 1000
        assert ModelConfig(image_size=8).image_size == 8

    def test_a_square_is_the_same_however_it_is_told(self):
        assert ModelConfig(image_size=(96, 96)) == ModelConfig(image_size=96)
        oblong = changed(classification.Config(), "model", image_size=(96, 320))
        assert classification.Config.from_json(json.loads(json.dumps(oblong.to_json()))) == oblong
        assert TrainConfig(frozen_stages=-1, lr=0).lr == 0


class TestValuesThatDependOnTheImage:
    @pytest.mark.parametrize(
        ("group", "values", "message"),
        [
            (
                "predict",
                {"shift": 32},
                "--predict.shift is 32, and an image of 32 pixels (--model.image-size",
            ),
            (
                "augment",
                {"pad": 32},
                "--augment.pad is 32, and an image of 32 pixels (--model.image-size) al",
            ),
            ("augment", {"cutout": 33}, "--augment.cutout is 33, and an image of 32 pixels"),
        ],
    )
    def test_what_does_not_fit_makes_no_config(self, group, values, message):
        with pytest.raises(UserError, match=f"^{re.escape(message)}"):
            changed(classification.Config(), group, **values)
        larger = changed(classification.Config(), "model", image_size=64)
        assert changed(larger, group, **values).model.image_size == 64

    @pytest.mark.parametrize(
        ("group", "values"),
        [("predict", {"shift": 31}), ("augment", {"pad": 31}), ("augment", {"cutout": 32})],
    )
    def test_what_just_fits_does(self, group, values):
        assert changed(classification.Config(), group, **values) != classification.Config()

    @pytest.mark.parametrize("task", [classification, detection])
    def test_quarter_turns_need_a_square(self, task):
        turning = changed(task.Config(), "predict", rot90=True)
        with pytest.raises(
            UserError, match=r"^--predict\.rot90 turns .* --model.image-size 96 320 is no square"
        ):
            changed(turning, "model", image_size=(96, 320))
        assert changed(turning, "model", image_size=(96, 96)).predict.rot90

    def test_quarter_turns_of_images_of_their_own_size_need_none(self):
        turning = changed(segmentation.Config(), "predict", rot90=True)
        oblong = changed(turning, "model", image_size=(96, 320))
        with pytest.raises(UserError, match=r"^--predict\.rot90"):
            changed(oblong, "model", fit="resize")

    def test_prediction_mirrors_where_training_does(self):
        config = classification.Config()
        assert config.predicting().flip and "flip" not in config.unused().get("predict", {})
        upright = changed(config, "augment", horizontal_flip=False)
        assert not upright.predicting().flip and "flip" in upright.unused()["predict"]
        assert "flip" not in changed(upright, "predict", flip=False).unused().get("predict", {})

    def test_padding_that_the_crop_does_not_use_may_be_anything(self):
        config = changed(classification.Config(), "augment", crop="resized", pad=999)
        assert "pad" in config.unused()["augment"]


AVERAGES = {"average_epochs", "average_lr"}
"""What only the mean of several epochs uses."""


class TestWhatDoesNothing:
    @pytest.mark.parametrize(
        ("task", "group", "values", "names"),
        [
            (classification, "folds", {}, {"valid_ratio"}),
            (classification, "folds", {"scheme": "holdout"}, {"count"}),
            (classification, "train", {}, AVERAGES),
            (classification, "train", {"keep": "swa"}, set()),
            (classification, "train", {"keep": "soup"}, set()),
            (classification, "train", {"optimizer": "adamw"}, {"momentum", *AVERAGES}),
            (
                classification,
                "train",
                {"frozen_stages": -1},
                {"backbone_lr_scale", "layer_decay", "unfreeze_every", *AVERAGES},
            ),
            (classification, "train", {"loss": "bce", "class_weights": "balanced"}, AVERAGES),
            (classification, "train", {"loss": "focal"}, {"label_smoothing", *AVERAGES}),
            (classification, "train", {"loss": "symmetric_ce"}, {"label_smoothing", *AVERAGES}),
            (classification, "augment", {}, {"min_area", "magnitude"}),
            (classification, "augment", {"crop": "resized", "policy": "randaugment"}, {"pad"}),
            (classification, "augment", {"crop": "none"}, {"pad", "min_area", "magnitude"}),
            (classification, "augment", {"policy": "trivialaugment"}, {"min_area", "magnitude"}),
            (segmentation, "augment", {"rotate": 10.0}, set()),
            (segmentation, "predict", {}, {"overlap"}),
            (segmentation, "predict", {"tile": 64}, set()),
            (segmentation, "train", {}, AVERAGES),
            (segmentation, "train", {"loss": "focal"}, {"label_smoothing", *AVERAGES}),
            (
                segmentation,
                "train",
                {"loss": "0.5*dice + lovasz"},
                {"label_smoothing", "logit_adjustment", *AVERAGES},
            ),
            (detection, "predict", {}, {"overlap"}),
            (multilabel, "train", {}, AVERAGES),
            (multilabel, "train", {"loss": "focal"}, {"label_smoothing", "balance", *AVERAGES}),
            (
                multilabel,
                "train",
                {"loss": "asymmetric", "optimizer": "adamw"},
                {"label_smoothing", "balance", "momentum", *AVERAGES},
            ),
            (regression, "train", {"loss": "laplace"}, AVERAGES),
            (regression, "augment", {"crop": "resized"}, {"pad", "magnitude"}),
        ],
    )
    def test_it_is_named_with_the_reason(self, task, group, values, names):
        found = changed(task.Config(), group, **values).unused().get(group, {})
        assert set(found) == names
        assert all("=" in reason and "\n" not in reason for reason in found.values()), found

    def test_it_tells_no_configs_apart(self):
        plain = changed(classification.Config(), "train", optimizer="adamw")
        other = changed(changed(plain, "train", momentum=0.5), "folds", valid_ratio=0.3)
        assert other.digest() != plain.digest()
        assert other.effective() == plain.effective() == plain

    def test_what_acts_stays(self):
        config = changed(changed(classification.Config(), "train", momentum=0.5), "augment", pad=2)
        assert config.effective() == config

    @every_option
    def test_taking_it_away_twice_changes_no_more(self, config, group, name):
        effective = changed_in(config, group, name).effective()
        assert effective.effective() == effective and type(effective) is config


class TestResolved:
    @pytest.mark.parametrize(
        ("options", "scale"), [({}, 1.0), ({"pretrained": True}, 0.1), ({"weights": "file.pt"}, 0.1)]
    )
    @every_task
    def test_the_head_learns_ten_times_as_fast_as_a_backbone_that_has_learned(self, task, options, scale):
        config = changed(task.Config(), "model", **options)
        assert config.resolved().train.backbone_lr_scale == scale
        chosen = changed(config, "train", backbone_lr_scale=0.5)
        assert chosen.resolved() == chosen


@every_task
def test_validation_after_an_epoch_looks_at_one_view_and_keeps_the_rest(task: ModuleType):
    """What is no view, and asks no training image, stays as chosen: tiles, for an image may be too large
    without, and the batch."""
    views = {"flip", "vertical_flip", "rot180", "rot90", "shift", "crops", "scales", "knn", "neighbours"}
    default = task.Config().predict
    values = {
        field.name: another(default, field.name)
        for field in dataclasses.fields(default)
        if field.name not in views | {"fusion"}
    }
    config: PredictConfig = dataclasses.replace(default, **values, flip=True)
    assert config.plain() == dataclasses.replace(config, flip=False)
    if isinstance(config, ViewPredict):
        assert dataclasses.replace(config, shift=2, crops=5).plain() == config.plain()
    else:
        assert dataclasses.replace(config, scales=(0.5, 1.0)).plain() == config.plain()


def test_an_entry_is_one_experiment_or_several():
    one, two = classification.Config(), changed(classification.Config(), "train", seed=1)
    assert members_of(one) == (one,)
    assert members_of(Ensemble((one, two))) == (one, two)
