"""The trials of a search, kept by Optuna in a file, so that a search which was killed goes on.

Optuna proposes by TPE (Bergstra et al., NeurIPS 2011), and stops what is behind by successive halving (ASHA,
arXiv 1810.05934). Needs the extra ``search``.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.base.errors import UserError
from pipeline.search.space import Number, Range, Space
from pipeline.training.history import Epoch
from pipeline.training.job import FoldLog, Listener

if TYPE_CHECKING:
    import optuna

FIRST_TRIALS = 8
"""Points drawn at random before proposals are made of what was seen."""
REDUCTION = 3
"""Of so many trials at a rung one goes on."""


class StoppedError(Exception):
    """A trial that is behind the others is not trained to its end."""


@dataclass(frozen=True)
class Search:
    """A study over a space.

    Attributes
    ----------
    larger : whether larger scores are better.
    """

    study: "optuna.Study"
    space: Space
    larger: bool

    def trials(self, *states: str) -> list["optuna.trial.FrozenTrial"]:
        """Those in one of these states (COMPLETE, PRUNED, FAIL), in order."""
        return [one for one in self.study.get_trials(deepcopy=False) if one.state.name in states]

    def done(self) -> int:
        """How many trials have ended, by their score or by being stopped."""
        return len(self.trials("COMPLETE", "PRUNED"))

    def next(self) -> "optuna.Trial":
        """The next trial, one that was cut off before all others."""
        from optuna.samplers import TPESampler

        # A function of how much is known, so that a search that goes on proposes what it would have.
        seed = len(self.study.get_trials(deepcopy=False))
        self.study.sampler = TPESampler(seed=seed, n_startup_trials=FIRST_TRIALS, multivariate=True)
        return self.study.ask({name: _distribution(one) for name, one in self.space.items()})

    def values(self, trial: "optuna.Trial | optuna.trial.FrozenTrial") -> dict[str, Any]:
        """The options of a trial, by name; of the first one, which changes nothing, none."""
        if trial.user_attrs.get("base"):
            return {}
        return {name: _value(self.space[name], value) for name, value in trial.params.items()}

    def best(self, count: int) -> list["optuna.trial.FrozenTrial"]:
        """The trials with the best scores, the best first."""
        ended = self.trials("COMPLETE")
        return sorted(ended, key=lambda one: -(one.value or 0) if self.larger else (one.value or 0))[:count]


def open_search(folder: Path, space: Space, larger: bool) -> Search:
    """The search in this folder, begun earlier or new. A trial that was cut off is proposed again.

    Raises
    ------
    UserError : Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UserError("a sweep needs optuna, which is not installed: pip install '.[search]'") from error
    from optuna.pruners import SuccessiveHalvingPruner
    from optuna.storages import RDBStorage
    from optuna.trial import TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=RDBStorage(f"sqlite:///{(folder / 'study.db').resolve()}"),
        study_name="sweep",
        direction="maximize" if larger else "minimize",
        pruner=SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION),
        load_if_exists=True,
    )
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs=dict(trial.user_attrs))
    return Search(study, space, larger)


def _distribution(one: Range) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(one, Number):
        # By their text: Optuna keeps plain values alone, and a value may be a tuple.
        return CategoricalDistribution([json.dumps(value) for value in one.values])
    if one.whole:
        return IntDistribution(int(one.low), int(one.high))
    return FloatDistribution(one.low, one.high, log=one.log)


def _value(one: Range, stored: Any) -> Any:
    if isinstance(one, Number):
        return stored
    return next(value for value in one.values if json.dumps(value) == stored)


class Watching:
    """A listener that tells a trial of each epoch's score, and stops a fold whose trial is behind.

    Parameters
    ----------
    inner : whom else to tell.
    tell : of the number of epochs and the score; returns whether to stop.
    """

    def __init__(self, inner: Listener, tell: Callable[[int, float], bool]) -> None:
        self.inner, self.tell = inner, tell

    def fold(self, fold: int, settings: dict[str, Any]) -> AbstractContextManager[FoldLog]:
        """See Listener."""
        return self._fold(fold, settings)

    @contextmanager
    def _fold(self, fold: int, settings: dict[str, Any]) -> Iterator[FoldLog]:
        behind = False
        with self.inner.fold(fold, settings) as log:

            def epoch(one: Epoch) -> None:
                log.epoch(one)
                if self.tell(one.epoch, one.score):
                    raise StoppedError

            try:
                yield FoldLog(log.begun, epoch)
            except StoppedError:
                behind = True  # to whoever keeps a log elsewhere, it is a fold that has ended
        if behind:
            raise StoppedError
