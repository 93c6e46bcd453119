"""How many epochs a fold is to have, asked before each of them: by its config, or by a clock as well."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from pipeline.base.progress import say
from pipeline.config.groups import TrainConfig
from pipeline.training.history import Epoch
from pipeline.training.plan import Choice, Plan, Room, Seconds, choose, fits, read_plan, write_plan

RECENT = 3
"""Epochs whose mean time stands for the next one's."""
MORE = 1.1
"""By how much more epochs must fit than were planned on a short measurement for them to be given."""


class Pace(Protocol):
    """How many epochs a fold is to have."""

    def epochs(self, history: Sequence[Epoch]) -> int:
        """In all, as of now; it may be another number after each epoch.

        Parameters
        ----------
        history : the epochs that are done.
        """
        ...


@dataclass(frozen=True)
class Unhurried:
    """As many as the config says."""

    config: TrainConfig

    def epochs(self, history: Sequence[Epoch]) -> int:
        """See Pace."""
        return self.config.epochs


@dataclass
class Hurried:
    """As many as fit into the time. What is decided is said, and kept in the fold's folder.

    Attributes
    ----------
    fold : its number.
    folder : its folder.
    seconds : what was measured before; the epoch's is measured again here.
    room : the time left now, but for `cap`.
    """

    fold: int
    folder: Path
    config: TrainConfig
    seconds: Seconds
    room: Callable[[], Room]
    begun: int | None = field(default=None, init=False)
    fresh: bool = field(default=False, init=False)
    folds: int | None = field(default=None, init=False)

    def epochs(self, history: Sequence[Epoch]) -> int:
        """See Pace."""
        done, known = len(history), read_plan(self.folder)
        full = Plan(((0, self.config.epochs),))
        before, room = (known or full).at(done), replace(self.room(), cap=self._cap(history))
        if self.begun is None:
            self.begun, self.fresh = done, known is None
            self.folds = room.folds
            choice = choose(room, self.seconds, self.config.epochs, done) if self.fresh else None
        else:
            room, choice = replace(room, folds=min(room.folds, self.folds or 0)), None
            self._measure(history[self.begun :])
        choice = choice or self._again(before, room, done)
        plan = before.then(done, choice)
        self._tell(plan, before, choice, room)
        if plan != (known or full):
            write_plan(self.folder, plan)
        self.folds = choice.folds
        return plan.total

    def _measure(self, fresh: Sequence[Epoch]) -> None:
        recent = [row.seconds for row in fresh[-RECENT:]]
        if recent:
            self.seconds = replace(self.seconds, epoch=sum(recent) / len(recent))

    def _again(self, plan: Plan, room: Room, done: int) -> Choice:
        """What was planned, unless it does not fit any more, or much more does after the first epoch."""
        same = Choice(plan.total, plan.views, room.folds)
        if self.fresh and done == 1 and self.begun == 0:
            more = choose(room, self.seconds, self.config.epochs, done)
            if more.folds == room.folds and more.views >= plan.views and more.epochs > MORE * plan.total:
                return more
        if fits(same, room, self.seconds, done):
            return same
        return choose(room, self.seconds, self.config.epochs, done, most=plan.total)

    def _cap(self, history: Sequence[Epoch]) -> float:
        if self.config.max_minutes is None:
            return math.inf
        return 60 * self.config.max_minutes - sum(row.seconds for row in history)

    def _tell(self, plan: Plan, before: Plan, choice: Choice, room: Room) -> None:
        parts = []
        if plan.total != before.total:
            parts.append(f"{plan.total} of {self.config.epochs} epochs")
        if plan.views != before.views:
            parts.append(f"{'' if plan.views else 'no '}test-time augmentation")
        if choice.folds < room.folds:
            parts.append(f"{choice.folds} of the {room.folds} folds to come")
        if parts:
            say(
                f"fold {self.fold}: there is time for {', '.join(parts)}: {_minutes(room)} left, "
                f"{self.seconds.epoch:,.1f} s an epoch"
            )


def _minutes(room: Room) -> str:
    seconds = round(max(0, min(room.left, room.cap)))
    return f"{seconds // 60}:{seconds % 60:02} minutes"
