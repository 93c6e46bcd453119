"""What a search found: its best experiments, what mattered, and an entry for configs.py."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.page import section, write_page
from pipeline.base.parts import Chart, Charts, Part, Series, Table
from pipeline.search.space import Choice, told
from pipeline.search.study import Search

FEWEST = 4
"""Trials below which it cannot be said what mattered."""
THIRDS = 3


@dataclass(frozen=True, kw_only=True)
class Full:
    """An experiment that was trained on all folds.

    Attributes
    ----------
    chosen : its score on the fold that chose it.
    others : its mean score on the other folds, which did not; NaN where there are none.
    cv : over all out-of-fold predictions.
    """

    name: str
    run: str
    values: dict[str, Any]
    chosen: float
    others: float
    cv: float


def write_sweep(
    path: Path, title: str, search: Search, full: Sequence[Full], metric: str, config: str
) -> Path:
    """Write the page."""
    parts = [_summary(full, metric), *_parts(search, metric)]
    entry = f"<section><h2>For configs.py</h2><pre>{html.escape(entry_of(full, config))}</pre></section>"
    return write_page(path, title, [*map(section, parts[:1]), entry, *map(section, parts[1:])])


def entry_of(full: Sequence[Full], config: str) -> str:
    """Python that adds the experiment which the search chose to a competition's ``CONFIGS``, at their end."""
    best = next((one for one in full if one.values), None)
    if best is None:
        return "# nothing was better than the config as it is\n"
    groups: dict[str, list[str]] = {}
    for name, value in best.values.items():
        group, _, field = name.partition(".")
        groups.setdefault(group, []).append(f"{field}={value!r}")
    changes = [
        f"    {group}=replace(CONFIGS[{config!r}].{group}, {', '.join(members)}),\n"
        for group, members in groups.items()
    ]
    return (
        f"# from dataclasses import replace; found by make sweep, run {best.run}\n"
        f"CONFIGS[{config + '_swept'!r}] = replace(\n    CONFIGS[{config!r}],\n{''.join(changes)})\n"
    )


def _summary(full: Sequence[Full], metric: str) -> Table:
    several = any(not math.isnan(one.others) for one in full)
    note = (
        "Chosen by the score of one fold, which flatters whatever is chosen among many; the other folds "
        "had no say."
        if several
        else "The config has one fold alone: there is no score that did not choose."
    )
    heads = ("experiment", f"{metric} of the choosing fold", "of the other folds", "CV", "options", "run")
    rows = [(one.name, one.chosen, one.others, one.cv, told(one.values), one.run) for one in full]
    return Table(title="Best experiments, trained on all folds", heads=heads, rows=rows, note=note)


def _parts(search: Search, metric: str) -> list[Part]:
    ended = [one for one in search.trials("COMPLETE") if one.value is not None]
    rows = [
        (one.number, one.value if one.value is not None else math.nan, one.state.name.lower(), len(
            one.intermediate_values), told(search.values(one)), one.user_attrs.get("run", ""))
        for one in search.trials("COMPLETE", "PRUNED", "FAIL")
    ]  # fmt: skip
    heads = ("trial", metric, "ended", "epochs", "options", "run")
    note = "Pruned: stopped early, for it was behind the others."
    found: list[Part] = [Table(title="All trials", heads=heads, rows=rows, note=note)]
    if ended:
        found = [_curves(search, metric), *found]
    own = [one for one in ended if search.values(one)]
    if len(own) >= FEWEST:
        scores = np.array([one.value for one in own], dtype="float64")
        places = {name: np.array([_place(search, name, one) for one in own]) for name in search.space}
        found = [_importance(search, metric), _against(search, places, scores, metric),
                 _parallel(search, places, scores), *found]  # fmt: skip
    return found


def _place(search: Search, name: str, trial: Any) -> float:
    """A value as a number; of a choice, its place."""
    one, value = search.space[name], search.values(trial)[name]
    return float(one.values.index(value)) if isinstance(one, Choice) else float(value)


def _importance(search: Search, metric: str) -> Table:
    """Optuna's: by fANOVA (Hutter et al., ICML 2014)."""
    from optuna.importance import get_param_importances

    shares = get_param_importances(search.study)
    note = f"Share of the variance of {metric} over the space that an option explains (fANOVA)."
    return Table(title="What mattered", heads=("option", "share"), rows=list(shares.items()), note=note)


def _against(search: Search, places: dict[str, np.ndarray], scores: np.ndarray, metric: str) -> Charts:
    charts = []
    for name, one in search.space.items():
        log = not isinstance(one, Choice) and one.log
        across = f"log10 of {name}" if log else name
        if isinstance(one, Choice):
            across = f"{name}: {', '.join(f'{place} {value}' for place, value in enumerate(one.values))}"
        x = np.log10(places[name]) if log else places[name]
        points = Series(name="trials", x=x, y=scores, style="points")
        charts.append(Chart(title=name, across=across, up=metric, series=[points]))
    return Charts(title="Score by option", charts=charts)


def _parallel(search: Search, places: dict[str, np.ndarray], scores: np.ndarray) -> Chart:
    """Parallel coordinates: a line for each trial, coloured by its third."""
    rank = np.argsort(np.argsort(-scores if search.larger else scores))
    lines = np.stack([_scaled(search, name, values) for name, values in places.items()], axis=1)
    series = []
    for third, name in enumerate(("best third", "middle", "worst third")):
        chosen = lines[(rank * THIRDS) // len(rank) == third]
        gap = np.full((len(chosen), 1), np.nan)
        x = np.concatenate([np.tile(np.arange(lines.shape[1]), (len(chosen), 1)), gap], axis=1).ravel()
        y = np.concatenate([chosen, gap], axis=1).ravel()
        series.append(Series(name=name, x=x, y=y, color=third))
    named = ", ".join(f"{place} {name}" for place, name in enumerate(search.space))
    return Chart(title="Parallel coordinates", across=named, up="place in the range, 0 to 1", series=series)


def _scaled(search: Search, name: str, values: np.ndarray) -> np.ndarray:
    one = search.space[name]
    if isinstance(one, Choice):
        return values / (len(one.values) - 1)
    low, high = one.low, one.high
    if one.log:
        low, high, values = math.log(low), math.log(high), np.log(values)
    return (values - low) / (high - low)


def _curves(search: Search, metric: str) -> Chart:
    """Learning curves of all trials: the validation score by epoch."""
    best = {one.number for one in search.best(3)}
    series = []
    for one in search.trials("PRUNED", "COMPLETE"):
        steps = sorted(one.intermediate_values)
        scores = [one.intermediate_values[step] for step in steps]
        kind, color = (
            ("best", 0)
            if one.number in best
            else (("stopped", 2) if one.state.name == "PRUNED" else ("others", 1))
        )
        series.append(Series(name=kind, x=steps, y=scores, color=color, style="line"))
    return Chart(title="Learning curves", across="epoch", up=f"validation {metric}", series=_joined(series))


def _joined(series: Sequence[Series]) -> list[Series]:
    """One series for each name, with a gap between the lines."""
    found = []
    for name in dict.fromkeys(one.name for one in series):
        same = [one for one in series if one.name == name]
        x = np.concatenate([[*map(float, one.x), np.nan] for one in same])
        y = np.concatenate([[*map(float, one.y), np.nan] for one in same])
        found.append(Series(name=name, x=x, y=y, color=same[0].color))
    return found
