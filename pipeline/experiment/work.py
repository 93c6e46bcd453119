"""Folds as jobs: those of one experiment or of several, one after the other or side by side."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from typing import Protocol

from pipeline.base.progress import say, warnings_kept
from pipeline.experiment.experiment import Experiment
from pipeline.training.plan import Seconds

Measured = dict[str, Seconds]
"""What the parts of folds took, by a name of their options; see `pipeline.experiment.clock`."""


@dataclass(frozen=True)
class FoldWork:
    """Training of one fold, and its predictions where they are wanted. It can be sent to another process."""

    experiment: Experiment
    fold: int
    predict: bool

    def __call__(self) -> Measured:
        """Do it; returns what was measured."""
        one = self.experiment
        with warnings_kept(one.run.folder):
            (one.predict_fold if self.predict else one.train_fold)(self.fold)
        return one.clock.measured

    def on(self, device: str) -> "FoldWork":
        """The same on another device."""
        return replace(self, experiment=self.experiment.on(device))

    @property
    def is_done(self) -> bool:
        """Whether all of it is there."""
        one = self.experiment
        return one.is_trained(self.fold) and (not self.predict or one.is_predicted(self.fold))


class Crew(Protocol):
    """Who does the jobs.

    Attributes
    ----------
    size : how many are done at once.
    """

    size: int

    def submit(self, work: FoldWork) -> "Future[Measured]":
        """Begin a job; no more than `size` are begun at once."""
        ...

    def result(self, future: "Future[Measured]") -> Measured:
        """What a job returned. Raises what it raised, and UserError where whoever did it has ended."""
        ...


class Alone:
    """This process does one job after the other."""

    size = 1

    def submit(self, work: FoldWork) -> "Future[Measured]":
        """See Crew; it is done on return. Raises what the job raises."""
        future: Future[Measured] = Future()
        future.set_result(work())
        return future

    def result(self, future: "Future[Measured]") -> Measured:
        """See Crew."""
        return future.result()


def finish(
    experiments: Sequence[Experiment], after_fold: Callable[[], None] = lambda: None, crew: Crew | None = None
) -> None:
    """Train and predict what is missing of each experiment, and join its folds' predictions.

    Folds that the clock leaves no time for are told and left out; the first is never one of them.

    Parameters
    ----------
    after_fold : called as soon as a fold is predicted, and at the beginning where some are.
    """
    _do(experiments, True, after_fold, crew or Alone())
    for one in experiments:
        if folds := one.predicted_folds():
            one.join(folds)


def train(experiments: Sequence[Experiment], crew: Crew | None = None) -> None:
    """Train every fold of the experiments that is not trained yet, as far as there is time."""
    _do(experiments, False, lambda: None, crew or Alone())


def _do(experiments: Sequence[Experiment], predict: bool, after_fold: Callable[[], None], crew: Crew) -> None:
    all_work = [FoldWork(one, fold, predict) for one in experiments for fold in one.fold_numbers]
    waiting = deque(work for work in all_work if not work.is_done)
    if len(waiting) < len(all_work):
        after_fold()
    if crew.size > 1:
        for work in waiting:
            work.experiment.settle()
    begun, running = 0, set[Future[Measured]]()
    clock = experiments[0].clock
    while waiting or running:
        while waiting and len(running) < crew.size:
            work = waiting[0]
            first = begun < crew.size and len(waiting) == len(all_work) - begun
            if not first and not work.experiment.has_time(work.fold):
                say(
                    f"there is no time for {len(waiting)} of {len(all_work)} folds: they are left out, and "
                    "the same command goes on with them"
                )
                waiting.clear()
                break
            waiting.popleft()
            begun += 1
            clock.folds = len(waiting) // crew.size
            running.add(crew.submit(work))
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            clock.measured |= crew.result(future)
            with clock.between():
                after_fold()
