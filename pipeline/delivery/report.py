"""A run's page, report.html: one file that needs nothing beside it."""

import html
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.base.page import section, table, write_page
from pipeline.base.parts import Part, Table
from pipeline.base.progress import say

Made = Callable[[], Iterable[Part]]
"""Makes some parts of the page, one after the other."""


def write_report(folder: Path, title: str, facts: dict[str, Any], made: Sequence[Made], config: str) -> Path:
    """Write ``report.html`` into `folder`.

    Parameters
    ----------
    facts : shown as a table, in order; numbers are rounded.
    made : whichever of these fails is told of, and the page lacks what it had not made by then.
    config : shown as it is.
    """
    parts = [f'<section class="half">{table(("what", "value"), facts.items())}</section>']
    for some in made:
        try:
            for part in some():
                parts.append(section(part))
        except Exception as error:  # whatever keeps a picture from being drawn, the run is finished
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            lacks = f"the report lacks a part ({type(error).__name__}: {reason})"
            say(f"warning: {lacks}")
            parts.append(f'<section><p class="badge">{html.escape(lacks)}</p></section>')
    parts.append(
        f"<section><h2>Config</h2><details><summary>all options</summary>"
        f"<pre>{html.escape(config)}</pre></details></section>"
    )
    return write_page(folder / "report.html", title, parts)


def folds_table(metric: str, scores: Sequence[tuple[str, int, float]], whole: float) -> Table:
    """Scores of the folds and of all their images together.

    Parameters
    ----------
    scores : each fold's name, number of validated images, and score.
    whole : the score of all.
    """
    total = sum(images for _, images, _ in scores)
    rows = [*scores, ("all together", total, whole)] if len(scores) > 1 else scores
    return Table(title="Folds", heads=("fold", "validated images", metric), rows=rows)


def decision_table(fitted: Any, classes: Sequence[str], metric: str, nested: float, before: float) -> Table:
    """What was fitted on all out-of-fold predictions, and what deciding so is worth.

    Parameters
    ----------
    fitted : a plain JSON value; a list with a value for each class is shown by class.
    nested : the score where each fold's decisions were fitted on the others.
    before : the score of the predictions as they are, without a decision.
    """
    rows: list[tuple[str, object]] = [
        (f"{metric}, decided on folds that it was not fitted on", nested),
        (f"{metric} without it", before),
    ]
    return Table(
        title="Decision",
        heads=("what", "value"),
        rows=[*rows, *_shown(fitted, classes)],
        note="Fitted on all out-of-fold predictions; scored by decisions that were fitted on other folds.",
    )


def _shown(fitted: Any, classes: Sequence[str], name: str = "") -> list[tuple[str, object]]:
    label = name.replace("_", " ") or "fitted value"
    if isinstance(fitted, dict):
        return [
            row for key, value in fitted.items() for row in _shown(value, classes, f"{name} {key}".strip())
        ]
    if isinstance(fitted, list) and len(fitted) == len(classes) > 1:
        if len(set(map(str, fitted))) == 1:
            return [(f"{label}, every class", fitted[0])]
        return [(f"{name} {one}".strip(), value) for one, value in zip(classes, fitted, strict=True)]
    if isinstance(fitted, list):
        return [(f"{label} {number}", value) for number, value in enumerate(fitted, start=1)]
    return [(label, fitted)]
