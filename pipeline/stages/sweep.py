"""Search over options (space.py) on one fold, then train the best on all folds."""

import inspect
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path, digest
from pipeline.base.progress import say
from pipeline.config.config import Config, Ensemble
from pipeline.config.limits import option
from pipeline.delivery.deliver import kept_scores
from pipeline.experiment.clock import check_hours
from pipeline.experiment.experiment import Experiment
from pipeline.search.page import Full, entry_of, write_sweep
from pipeline.search.space import changed, check_space, read_space, told
from pipeline.search.study import Search, StoppedError, Watching, open_search
from pipeline.stages.context import Context
from pipeline.stages.experiments import changed_configs, default_name, experiments_of
from pipeline.stages.finish import deliver_again, deliver_run, finished_run
from pipeline.stages.options import ComputeOptions, ConfigOptions, SourceOptions, TrackOptions
from pipeline.stages.predict import predict_all
from pipeline.track.wandb_log import TrackConfig


@dataclass(frozen=True, kw_only=True)
class Options(ConfigOptions, SourceOptions, TrackOptions, ComputeOptions):
    """Search over options of a config: trials on its first fold, proposed by what was seen (TPE) and stopped
    early where they are behind (ASHA); then the best few on all folds, beside the config as it is. Every
    trial that ends is a run."""

    space: Path | None = None
    """File with the SPACE; by default space.py in the competition's folder."""
    trials: int = 20
    """How many trials in all, those of earlier calls too."""
    hours: float | None = None
    """Begin no trial that would leave no time for the best few on all folds. No limit without it."""
    best: int = 3
    """How many are trained on all folds."""


def check(context: Context, options: Options) -> None:
    """Read the space and check it, for whichever config is meant, before any data is read."""
    _check_numbers(options)
    space = read_space(_space_file(context, options))
    names = [options.name] if options.name else [
        name for name in ("sample", "fast", "base") if name in context.configs
    ]  # fmt: skip
    for name in names:
        if isinstance(context.configs[name], Ensemble):
            raise UserError(f"{name} averages several experiments: sweep one of them")
        check_space(space, changed_configs(options, context, name)[0])


def _check_numbers(options: Options) -> None:
    for name in ("trials", "best"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} is {getattr(options, name)}, and must be at least 1")
    check_hours(options.hours)


def _space_file(context: Context, options: Options) -> Path:
    own = Path(inspect.getfile(type(context.competition))).with_name("space.py")
    return options.space or own


def run(context: Context, options: Options) -> str:
    """Search."""
    started = time.monotonic()
    space = read_space(_space_file(context, options))
    name = options.name or default_name(context)
    base = experiments_of(options, context, name, options.track)[0]
    competition = context.competition
    metric = competition.metric
    ranges = {full: repr(one) for full, one in space.items()}
    key = digest([ranges, base.config.to_json(), context.data.identity, metric.name])
    folder = context.runs / "sweeps" / f"{name}-{key}"
    search = open_search(folder, space, metric.larger_is_better)
    sweep = Sweep(context, base, search, options.track)
    if search.done():
        say(f"{search.done()} of {options.trials} trials are done")
    while search.done() < options.trials and sweep.has_time(options.hours, started, options.best):
        sweep.trial()
    full = sweep.best(options.best)
    with atomic_path(folder / "best.py") as temporary:
        temporary.write_text(entry_of(full, name), encoding="utf-8")
    _say_best(full, metric.name)
    title = f"{competition.slug}: sweep of {name}, {search.done()} trials"
    return f"sweep: {write_sweep(folder / 'sweep.html', title, search, full, metric.name, name)}"


@dataclass(frozen=True)
class Sweep:
    """The trials of a search.

    Attributes
    ----------
    base : the experiment whose options are changed.
    """

    context: Context
    base: Experiment
    search: Search
    track: TrackConfig

    @property
    def fold(self) -> int:
        """The fold that chooses."""
        return self.base.fold_numbers[0]

    def trial(self) -> None:
        """One more trial; the first one is the config as it is."""
        first = not self.search.study.get_trials(deepcopy=False)
        trial = self.search.next()
        if first:
            trial.set_user_attr("base", True)
        values = self.search.values(trial)
        say(f"trial {trial.number}: {told(values)}")
        started = time.monotonic()

        def tell(epoch: int, score: float) -> bool:
            trial.report(score, epoch)
            # The config as it is runs to its end: all others are held against it.
            return bool(values) and trial.should_prune()

        try:
            config = changed(self.base.config, values)
            experiment = self._experiment(config, values, trial.number, f"{self.fold},", tell)
            trial.set_user_attr("run", experiment.run.name)
            score = self._scores(experiment)["folds"][0]
        except StoppedError:
            say(f"trial {trial.number}: stopped, for it is behind the others")
            self.search.study.tell(trial, state=_state("PRUNED"))
            return
        except UserError as error:
            say(f"warning: trial {trial.number} failed: {error}")
            self.search.study.tell(trial, state=_state("FAIL"))
            if len(self.search.trials("FAIL")) > 2 + self.search.done():
                raise UserError(f"most trials fail, the last one so: {error}") from error
            return
        trial.set_user_attr("seconds", time.monotonic() - started)
        failed = score is None or math.isnan(score)
        self.search.study.tell(
            trial, None if failed else score, state=_state("FAIL" if failed else "COMPLETE")
        )

    def best(self, count: int) -> list[Full]:
        """The best trials and the config as it is, on all folds."""
        chosen = self.search.best(count)
        base = [one for one in self.search.trials("COMPLETE") if one.user_attrs.get("base")]
        found = []
        for trial in [*chosen, *(one for one in base if one not in chosen)]:
            values = self.search.values(trial)
            config = changed(self.base.config, values)
            use = self.base.config.folds.use
            experiment = self._experiment(config, values, trial.number, use, lambda epoch, score: False)
            scores = self._scores(experiment)
            others = [score for fold, score in zip(experiment.fold_numbers, scores["folds"], strict=True)
                      if fold != self.fold]  # fmt: skip
            found.append(
                Full(
                    name=f"trial {trial.number}",
                    run=experiment.run.name,
                    values=values,
                    chosen=float(trial.value if trial.value is not None else math.nan),
                    others=float(np.mean(others)) if others else math.nan,
                    cv=float(scores[f"cv_{self.context.competition.metric.name}"]),
                )
            )
        return found

    def has_time(self, hours: float | None, started: float, best: int) -> bool:
        """Whether another trial would leave time for the best ones on all folds."""
        if hours is None:
            return True
        seconds = [one.user_attrs.get("seconds", 0.0) for one in self.search.trials("COMPLETE")]
        longest = max(seconds, default=0.0)
        rest = (best + 1) * (len(self.base.fold_numbers) - 1) * longest
        spent = time.monotonic() - started
        enough = spent + longest + rest < 3600 * hours
        if not enough:
            say(
                f"no time for another trial: {(rest + longest) / 60:.0f} minutes are needed for it and the "
                "best ones"
            )
        return enough

    def _experiment(
        self, config: Config, values: dict[str, Any], number: int, use: Any, tell: Any
    ) -> Experiment:
        config = replace(config, folds=replace(config.folds, use=use))
        self.context.competition.task.check(config)
        inner = self.base.listener
        return replace(
            self.base,
            name=f"{self.base.name}_sweep",
            config=config,
            changed=" ".join(f"{option(*name.split('.'))} {value}" for name, value in values.items()),
            note=f"sweep trial {number}",
            listener=lambda run: Watching(inner(run), tell),
        )

    def _scores(self, experiment: Experiment) -> dict[str, Any]:
        """The scores of an experiment, which becomes a run where it is none."""
        if deliver_again(experiment.run, self.context, None, "csv") is None:
            predict_all([experiment])
            finished = finished_run([experiment], experiment.name, self.context)
            deliver_run(finished, self.context, self.track, None)
        finished = finished_run([experiment], experiment.name, self.context)
        return kept_scores(finished, self.context.competition, self.context.data)


def _state(name: str) -> Any:
    from optuna.trial import TrialState

    return TrialState[name]


def _say_best(full: Sequence[Full], metric: str) -> None:
    for one in full:
        others = "" if math.isnan(one.others) else f", {one.others:.4f} on the folds that did not choose"
        say(f"{one.name}: {metric} {one.chosen:.4f} on the choosing fold{others}; {told(one.values)}")
