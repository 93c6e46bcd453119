"""How much of a fold fits into the time there is: epochs first, then views, then the folds to come.

Pure functions of what was measured. A learning rate that falls to its end over fewer epochs beats one that is
cut at a high rate, so the number of epochs is decided before they begin; it is decided again where an epoch
took longer than was measured before.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.base.files import write_json
from pipeline.runs.run import read_json

PLAN = "plan.json"
"""In a fold's folder: what of it fits into the time; not there where nothing limits it."""
LEAST = 0.25
"""Share of the epochs below which views, and then whole folds, are left out instead."""
CAUTION = 0.95
"""Share of a fold's own limit that is planned; measured times differ a little each time."""


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """What the parts of a fold take.

    Attributes
    ----------
    epoch : one epoch, with its validation.
    views, plain : the predictions of a fold, with test-time augmentation and without.
    after : what is done between two folds, such as a submission of those there are.
    """

    epoch: float
    views: float = 0.0
    plain: float = 0.0
    after: float = 0.0

    def predict(self, views: bool) -> float:
        """From the end of training to the beginning of the next fold."""
        return (self.views if views else self.plain) + self.after


@dataclass(frozen=True, kw_only=True)
class Room:
    """The time there is, in seconds; infinite where nothing limits it.

    Attributes
    ----------
    left : until all must have ended.
    slack : by how much a plan may exceed it before it is changed: measured times differ a little each time.
    folds : how many come after this one, on the same device.
    cap : for the rest of the training of this fold.
    """

    left: float = math.inf
    slack: float = 0.0
    folds: int = 0
    cap: float = math.inf


@dataclass(frozen=True)
class Plan:
    """What of a fold is done.

    Attributes
    ----------
    epochs : pairs (after, total), the first one (0, n): once so many epochs had been trained, so many in all
        were planned. The learning rate follows it.
    views : whether it is predicted with the views of test-time augmentation.
    """

    epochs: tuple[tuple[int, int], ...]
    views: bool = True

    @property
    def total(self) -> int:
        """Epochs in all, as planned last."""
        return self.epochs[-1][1]

    def at(self, done: int) -> "Plan":
        """What was planned before epoch `done` + 1: later plans were of epochs that were lost."""
        return replace(self, epochs=tuple(pair for pair in self.epochs if pair[0] <= done))

    def then(self, done: int, choice: "Choice") -> "Plan":
        """The plan from now on."""
        kept = tuple(pair for pair in self.epochs if pair[0] < done)
        pairs = kept if kept and kept[-1][1] == choice.epochs else (*kept, (done, choice.epochs))
        return Plan(pairs, choice.views)


def read_plan(folder: Path) -> Plan | None:
    """The plan of a fold; None where nothing limited it, or the file is damaged: it is made again then."""
    value = read_json(folder / PLAN)
    try:
        pairs = tuple((int(after), int(total)) for after, total in value["epochs"])  # pyright: ignore[reportOptionalSubscript]  # then a TypeError
        return Plan(pairs, bool(value["views"])) if pairs and pairs[0][0] == 0 else None  # pyright: ignore[reportOptionalSubscript]
    except (TypeError, KeyError, ValueError):
        return None


def write_plan(folder: Path, plan: Plan) -> None:
    """Inverse of `read_plan`."""
    write_json(folder / PLAN, {"epochs": plan.epochs, "views": plan.views})


@dataclass(frozen=True)
class Choice:
    """So many epochs in all, with or without views, with so many folds after this one."""

    epochs: int
    views: bool
    folds: int


def needed(choice: Choice, seconds: Seconds, done: int) -> float:
    """Seconds until all of a choice has ended, where `done` epochs of this fold are trained."""
    fold = choice.epochs * seconds.epoch + seconds.predict(choice.views)
    return (1 + choice.folds) * fold - done * seconds.epoch


def fits(choice: Choice, room: Room, seconds: Seconds, done: int) -> bool:
    """Whether there is still time for a choice that was made before."""
    training = (choice.epochs - done) * seconds.epoch
    return needed(choice, seconds, done) <= room.left + room.slack and training <= room.cap


def least(epochs: int) -> int:
    """Epochs that a fold must be given for it to be worth its time."""
    return max(1, math.ceil(LEAST * epochs))


def choose(room: Room, seconds: Seconds, epochs: int, done: int = 0, most: int | None = None) -> Choice:
    """What fits: all epochs where they do, else fewer; without views rather than less than `LEAST` of the
    epochs; fewer folds to come rather than that. What is left at last is this fold alone, with one epoch at
    least.

    Parameters
    ----------
    epochs : that were asked for.
    done : epochs of this fold that are trained.
    most : that it may have, where that is fewer.
    """
    most = max(
        done, 1, min(epochs if most is None else most, done + _whole(CAUTION * room.cap / seconds.epoch))
    )
    enough = min(least(epochs), most)
    for folds in range(room.folds, -1, -1):
        for views in (True, False):
            left = room.left - needed(Choice(0, views, folds), seconds, done)
            found = min(most, _whole(left / ((1 + folds) * seconds.epoch)))
            if found >= max(enough, done):
                return Choice(found, views, folds)
    left = room.left - needed(Choice(0, False, 0), seconds, done)
    return Choice(max(done, 1, min(most, _whole(left / seconds.epoch))), False, 0)


def _whole(number: float) -> int:
    """The whole part, also of what is infinite."""
    return int(min(max(number, 0), 10**9))


def has_time(room: Room, seconds: Seconds, epochs: int, done: int = 0) -> bool:
    """Whether a fold can be begun, or gone on with, that is worth its time, but for the others."""
    wanted = Choice(max(done, least(epochs)), False, 0)
    return needed(wanted, seconds, done) <= room.left + room.slack
