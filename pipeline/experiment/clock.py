"""The time that a command has: one for data, folds, predictions, the report and the submission."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.config.groups import TrainConfig
from pipeline.training.pace import Hurried, Pace
from pipeline.training.plan import Room, Seconds, has_time, read_plan

MARGIN = 0.1
"""Share of the time that nothing is planned for: the end of the command, with its report, takes it..."""
LEAST_MARGIN_S, MOST_MARGIN_S = 30.0, 900.0
"""...but no less and no more than this, and no more than a third of a short time."""


@dataclass
class Clock:
    """The time that a command has, and what was measured in it. It can be pickled; another process then has
    the same limit.

    Attributes
    ----------
    hours : the limit; None where there is none.
    began : of the command, as `now` tells it.
    folds : how many come after the one that is worked on, on the same device.
    now : seconds since some moment that all processes have in common.
    measured : of folds, by a name of their options.
    """

    hours: float | None = None
    began: float = field(default_factory=time.time)
    folds: int = 0
    now: Callable[[], float] = time.time
    measured: dict[str, Seconds] = field(default_factory=dict)

    @property
    def margin(self) -> float:
        """Seconds at the end that nothing is planned for."""
        if self.hours is None:
            return 0.0
        seconds = 3600 * self.hours
        return min(max(MARGIN * seconds, LEAST_MARGIN_S), MOST_MARGIN_S, seconds / 3)

    def room(self) -> Room:
        """The time that is left."""
        if self.hours is None:
            return Room(folds=self.folds)
        ends = self.began + 3600 * self.hours - self.margin
        return Room(left=ends - self.now(), slack=self.margin / 2, folds=self.folds)

    def seconds(self, name: str, measure: Callable[[], Seconds]) -> Seconds:
        """What the parts of a fold take: as the last one did, or as measured where there was none."""
        if name not in self.measured:
            self.measured[name] = measure()
        return self.measured[name]

    def pace(
        self, name: str, fold: int, folder: Path, train: TrainConfig, measure: Callable[[], Seconds]
    ) -> Pace | None:
        """What decides how many epochs a fold has; None where nothing limits them.

        Parameters
        ----------
        folder : of the fold; where a plan was made, it is kept to.
        """
        if self.hours is None and train.max_minutes is None:
            if read_plan(folder) is None:
                return None
            known = Seconds(epoch=1.0)  # there is time, however long it takes
        else:
            known = self.seconds(name, measure)
        return Hurried(fold=fold, folder=folder, config=train, seconds=known, room=self.room)

    def has_time(self, name: str, epochs: int, done: int, measure: Callable[[], Seconds]) -> bool:
        """Whether there is time for a fold after others, see `pipeline.training.plan.has_time`."""
        return self.hours is None or has_time(self.room(), self.seconds(name, measure), epochs, done)

    def tell(self, name: str, **seconds: float) -> None:
        """Keep what was measured of a fold's parts; nothing before the fold was measured at all."""
        if name in self.measured:
            self.measured[name] = replace(self.measured[name], **seconds)

    @contextmanager
    def between(self) -> Iterator[None]:
        """Around what is done between two folds: it is measured."""
        began = self.now()
        yield
        for name in self.measured:
            self.tell(name, after=self.now() - began)


def check_hours(hours: float | None) -> None:
    """Raise UserError for a limit that is none."""
    if hours is not None and not (math.isfinite(hours) and hours > 0):
        raise UserError(f"--hours is {hours}, and must be above 0")
