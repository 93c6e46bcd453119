"""What fits into the time there is, for any speeds; on a clock that only work moves."""

import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.config.groups import TrainConfig
from pipeline.experiment.clock import Clock, check_hours
from pipeline.training.history import Epoch
from pipeline.training.pace import Hurried
from pipeline.training.plan import (
    Choice,
    Plan,
    Room,
    Seconds,
    choose,
    fits,
    least,
    needed,
    read_plan,
    write_plan,
)

SECONDS = Seconds(epoch=10, views=20, plain=5, after=1)


def an_epoch(number: int, seconds: float) -> Epoch:
    return Epoch(epoch=number, loss=1, lr=0.1, score=0.5, images_per_second=1, seconds=seconds)


# --- what is chosen


@pytest.mark.parametrize(
    ("left", "chosen"),
    [
        (math.inf, Choice(8, True, 2)),
        (3 * (80 + 21), Choice(8, True, 2)),
        (3 * (80 + 21) - 1, Choice(7, True, 2)),
        (3 * (20 + 21), Choice(2, True, 2)),
        (3 * (20 + 21) - 1, Choice(3, False, 2)),
        (3 * (20 + 6), Choice(2, False, 2)),
        (3 * (20 + 6) - 1, Choice(3, False, 1)),
        (2 * (20 + 6) - 1, Choice(3, True, 0)),
        (20 + 6 - 1, Choice(1, False, 0)),
        (-5, Choice(1, False, 0)),
    ],
)
def test_epochs_are_left_out_first_then_views_then_folds(left, chosen):
    assert choose(Room(left=left, folds=2), SECONDS, epochs=8) == chosen


def test_the_limit_of_each_fold_is_for_its_training_alone():
    assert choose(Room(cap=50 / 0.95, folds=9), SECONDS, epochs=8) == Choice(5, True, 9)
    assert choose(Room(cap=1, folds=9), SECONDS, epochs=8) == Choice(1, True, 9)


speeds = st.builds(
    lambda epoch, plain, more, after: Seconds(epoch=epoch, plain=plain, views=plain * more, after=after),
    st.floats(0.01, 1e4),
    st.floats(0, 1e4),
    st.floats(1, 20),
    st.floats(0, 100),
)


@given(speeds, st.floats(-10, 1e6), st.integers(0, 20), st.integers(1, 60), st.data())
def test_what_is_chosen_fits_unless_it_is_the_least_there_is(seconds, left, folds, epochs, data):
    done = data.draw(st.integers(0, epochs))
    room = Room(left=left, slack=0.01, folds=folds)
    choice = choose(room, seconds, epochs, done)
    assert max(1, done) <= choice.epochs <= epochs and choice.folds <= folds
    if fits(choice, room, seconds, done):
        assert choice.epochs == epochs or not fits(
            Choice(choice.epochs + 1, choice.views, choice.folds),
            Room(left=left - 0.01, folds=folds),
            seconds,
            done,
        )
    else:
        assert choice.folds == 0 and not choice.views and choice.epochs == max(1, done)
        assert needed(choice, seconds, done) > left


# --- a whole command


@dataclass
class World:
    """Folds whose parts take so long, on a clock of their own.

    Attributes
    ----------
    true : what they take.
    believed : what was measured before the first.
    """

    folder: Path
    true: Seconds
    believed: Seconds
    train: TrainConfig
    folds: int
    hours: float
    time: float = 0.0
    delivered: list[tuple[float, int]] = field(default_factory=list)

    def run(self) -> list[list[Epoch]]:
        """As `pipeline.experiment.work` does it; returns the epochs of each fold."""
        clock, histories = Clock(self.hours, 0.0, now=lambda: self.time), []
        for fold in range(self.folds):
            if fold and not clock.has_time("x", self.train.epochs, 0, lambda: self.believed):
                break
            clock.folds = self.folds - 1 - fold
            folder = self.folder / str(fold)
            pace = clock.pace("x", fold, folder, self.train, lambda: self.believed)
            history: list[Epoch] = []
            while len(history) < (self.train.epochs if pace is None else pace.epochs(history)):
                self.time += self.true.epoch
                history.append(an_epoch(len(history) + 1, self.true.epoch))
            plan = read_plan(folder)
            views = plan is None or plan.views
            self.time += self.true.views if views else self.true.plain
            clock.measured["x"] = self.true
            with clock.between():
                self.time += self.true.after
            self.delivered.append((self.time, len(histories) + 1))
            histories.append(history)
        return histories


@settings(max_examples=60, deadline=None)
@given(speeds, st.floats(0.2, 5), st.integers(1, 10), st.integers(1, 40), st.floats(0, 30))
def test_a_submission_is_there_at_the_limit_wherever_it_allows_one_fold_of_one_epoch(
    true, wrong, folds, epochs, room
):
    """Also where what was measured before the first epoch was five times too short or too long."""
    believed = Seconds(epoch=true.epoch * wrong, plain=true.plain, views=true.views, after=true.after)
    shortest = true.epoch + true.plain + true.after
    limit = 1.5 * shortest * (1 + room) + 1e-3  # a third at most is kept for the report
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), true, believed, TrainConfig(epochs=epochs), folds, hours=limit / 3600)
        histories = world.run()
    assert world.delivered[0][0] <= limit
    last = world.delivered[-1][0]
    assert last <= limit
    if limit / 1.5 >= folds * (epochs * true.epoch + true.views + true.after) and wrong >= 1:
        assert len(histories) == folds


def test_the_epochs_of_the_first_fold_are_known_before_it_begins(tmp_path, capsys):
    world = World(tmp_path, SECONDS, SECONDS, TrainConfig(epochs=8), 3, hours=(200 + 30) / 3600)
    assert [len(history) for history in world.run()] == [4, 4, 5]
    assert [read_plan(tmp_path / str(fold)) for fold in range(3)] == [Plan(((0, n),)) for n in (4, 4, 5)]
    assert world.time <= 200
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == "fold 0: there is time for 4 of 8 epochs: 3:20 minutes left, 10.0 s an epoch"


def test_without_a_limit_there_is_nothing_to_plan(tmp_path):
    assert Clock().pace("x", 0, tmp_path, TrainConfig(), lambda: SECONDS) is None
    assert Clock().has_time("x", 10, 0, lambda: SECONDS)


# --- a plan and what becomes of it


def hurried(folder: Path, left: float, seconds: Seconds = SECONDS, **train) -> Hurried:
    config = TrainConfig(**{"epochs": 8, **train})
    return Hurried(fold=0, folder=folder, config=config, seconds=seconds, room=lambda: Room(left=left))


def test_a_resumed_fold_keeps_to_its_plan(tmp_path):
    assert hurried(tmp_path, 80).epochs([]) == 5
    done = [an_epoch(1, 10), an_epoch(2, 10)]
    assert hurried(tmp_path, math.inf).epochs(done) == 5
    assert read_plan(tmp_path) == Plan(((0, 5),))
    unlimited = Clock().pace("x", 0, tmp_path, TrainConfig(epochs=8), lambda: SECONDS)
    assert unlimited is not None and unlimited.epochs(done) == 5


def test_epochs_that_turn_out_slower_are_fewer_and_the_fold_knows_since_when(tmp_path):
    pace = hurried(tmp_path, 101)
    assert pace.epochs([]) == 8
    pace.room = lambda: Room(left=90)
    assert pace.epochs([an_epoch(1, 20)]) == 4
    assert read_plan(tmp_path) == Plan(((0, 8), (1, 4)))
    assert hurried(tmp_path, 101).epochs([]) == 8, "that epoch was lost, and what followed from it"


def test_more_epochs_are_given_after_the_first_where_it_was_faster_than_believed(tmp_path):
    pace = hurried(tmp_path, 41, Seconds(epoch=20, views=1, plain=1))
    assert pace.epochs([]) == 2
    assert pace.epochs([an_epoch(1, 5)]) == 8
    assert pace.epochs([an_epoch(1, 5), an_epoch(2, 1)]) == 8


def test_the_limit_of_a_fold_counts_what_it_took_in_earlier_sessions(tmp_path):
    done = [an_epoch(1, 50)]
    assert hurried(tmp_path / "a", math.inf, max_minutes=70 / 60 / 0.95).epochs([]) == 7
    assert hurried(tmp_path / "b", math.inf, max_minutes=70 / 60 / 0.95).epochs(done) == 3


def test_a_damaged_plan_is_none(tmp_path):
    write_plan(tmp_path, Plan(((0, 4), (2, 3)), views=False))
    assert read_plan(tmp_path) == Plan(((0, 4), (2, 3)), views=False)
    for text in ("", "[]", "{}", '{"epochs": [], "views": true}', '{"epochs": [[1, 4]], "views": true}'):
        (tmp_path / "plan.json").write_text(text)
        assert read_plan(tmp_path) is None


def test_a_quarter_of_the_epochs_is_the_least():
    assert [least(epochs) for epochs in (1, 4, 5, 20)] == [1, 1, 2, 5]


@pytest.mark.parametrize("hours", [0, -1, math.inf, math.nan])
def test_a_limit_is_above_0(hours):
    with pytest.raises(UserError, match=r"^--hours is .*, and must be above 0$"):
        check_hours(hours)
