"""One experiment. A config is data: it prints, compares and digests."""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self, get_type_hints

from pipeline.base.errors import UserError
from pipeline.base.files import digest
from pipeline.config.groups import AugmentConfig, FoldConfig, Group, ModelConfig, PredictConfig, TrainConfig
from pipeline.config.limits import option
from pipeline.config.reach import Reach
from pipeline.config.teachers import DistillConfig, PseudoConfig


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options of one experiment. Each task has a subclass, whose groups have its own options too.

    Raises
    ------
    UserError : values that do not go together; see `check`.
    """

    folds: FoldConfig = field(default_factory=FoldConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    predict: PredictConfig = field(default_factory=PredictConfig)
    pseudo: PseudoConfig = field(default_factory=PseudoConfig)
    distill: DistillConfig = field(default_factory=DistillConfig)

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Refuse values of different groups that do not go together. Raises UserError."""

    def groups(self) -> Iterator[Group]:
        """Its groups, in order."""
        yield from (getattr(self, one.name) for one in dataclasses.fields(self))

    def unused(self) -> dict[str, dict[str, str]]:
        """By group, every option that does nothing beside the other choices, with the reason."""
        found = {group.group: group.unused() for group in self.groups()}
        if self.predict.flip and not self.augment.horizontal_flip:
            found["predict"]["flip"] = (
                "augment.horizontal_flip is off, so the network knows no mirrored image"
            )
        return {name: members for name, members in found.items() if members}

    def effective(self) -> Self:
        """With the default in place of every value that does nothing, so that it tells no runs apart."""
        defaults, changes = type(self)(), {}
        for group, members in self.unused().items():
            values = {name: getattr(getattr(defaults, group), name) for name in members}
            changes[group] = dataclasses.replace(getattr(self, group), **values)
        return dataclasses.replace(self, **changes)

    def resolved(self) -> Self:
        """With what None leaves to the other fields."""
        if self.train.backbone_lr_scale is not None:
            return self
        scale = 0.1 if self.model.pretrained or self.model.weights else 1.0
        return dataclasses.replace(self, train=dataclasses.replace(self.train, backbone_lr_scale=scale))

    def predicting(self) -> PredictConfig:
        """The options of prediction: no mirrored view where training mirrors nothing."""
        return dataclasses.replace(self.predict, flip=self.predict.flip and self.augment.horizontal_flip)

    def without_views(self) -> PredictConfig:
        """The options of prediction without test-time augmentation."""
        return self.predict.plain()

    def reach(self) -> Reach | None:
        """How much of an image's resolution is used, in training as in prediction; None: all of it."""
        return None

    def turns_squares(self) -> None:
        """Raise UserError where an input that is no square is to be turned by a quarter."""
        if self.predict.rot90 and not isinstance(self.model.image_size, int):
            height, width = self.model.image_size
            raise UserError(
                f"--predict.rot90 turns the input on its side, and --model.image-size {height} {width} is no "
                "square: take --predict.rot180, or one number"
            )

    def changes_from(self, other: "Config") -> list[str]:
        """The options that differ from those of `other`, as typed: ``--train.lr 0.1 -> 0.2``."""
        mine, theirs = self.to_json(), other.to_json()
        return [
            f"{option(group, name)} {theirs.get(group, {}).get(name)} -> {value}"
            for group, values in mine.items()
            for name, value in values.items()
            if theirs.get(group, {}).get(name) != value
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain nested dictionaries, in field order."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Inverse of `to_json`. A group or field this version does not know raises TypeError."""
        types = get_type_hints(cls)
        return cls(**{name: types.get(name, dict)(**_with_tuples(fields)) for name, fields in value.items()})

    def digest(self) -> str:
        """Eight hexadecimal digits that change when any field changes."""
        return digest(self.to_json())

    def __str__(self) -> str:
        return json.dumps(self.to_json(), indent=2)


def _with_tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """JSON knows lists alone."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


@dataclass(frozen=True)
class Ensemble:
    """Several experiments whose predictions are averaged with equal weight."""

    members: tuple[Config, ...]


Entry = Config | Ensemble
"""What a competition's ``CONFIGS`` holds under a name."""


def members_of(entry: Entry) -> tuple[Config, ...]:
    """The experiments of an entry: one, or those of an ensemble."""
    return entry.members if isinstance(entry, Ensemble) else (entry,)
