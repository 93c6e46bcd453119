"""The saved view "leaderboard" of a competition's wandb project, made by code with wandb-workspaces.

A view is a layout: which columns, sections and panels wandb shows, and how it groups and sorts the runs. The
numbers are those that `pipeline.track.wandb_log` logs.
"""

import os
from typing import TYPE_CHECKING, Any

import requests

from pipeline.base.errors import UserError
from pipeline.metrics.metric import Metric
from pipeline.track.wandb_log import has_login

if TYPE_CHECKING:
    import wandb_workspaces.workspaces as ws

VIEW = "leaderboard"
"""What the view is called on wandb."""
VIEW_KEY = f"nw-{VIEW}-v"
"""wandb's own key of the view, the ``nw=leaderboard`` of its address. The library draws a random one for each
new view, so that saving twice would leave two views of one name."""
CONFIG = ("model.name", "model.image_size", "train.epochs", "train.lr")
"""Settings that get a column."""
CURVES = ("score", "loss", "lr", "images_per_second")
"""Values of an epoch that get a panel; see `pipeline.training.job.Epoch`."""
REACH_SECONDS = 5
"""Longest wait for a first answer. wandb's own client tries for 20 s to reach a server that is not there."""
MAX_GROUPS = 50
"""Most groups of runs that a panel draws."""


def build_view(slug: str, metric: Metric, entity: str) -> "ws.Workspace":
    """The view of a competition, not saved yet.

    Runs are grouped by their group: the folds and the summary of one `make submit` are one row of the table
    and one colour in the panels, and each curve is the mean of the folds with the range between them.

    Parameters
    ----------
    slug : the competition; the project is ``podium-<slug>``.
    metric : its metric.
    entity : user or team on wandb.
    """
    import wandb_workspaces.expr as expr
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    cv = f"cv_{metric.name}"
    summary = (cv, "cv_std", "lb_public", "lb_private", "cv_lb_gap", "minutes", "data")
    # wandb keeps a config value as {"value": ...} under the first part of its name.
    settings = [f"config:{name.replace('.', '.value.', 1)}" for name in CONFIG]
    compared = [wr.Config(name) for name in CONFIG if name != "model.name"]
    compared += [wr.SummaryMetric(name) for name in ("minutes", "cv_std", cv)]
    column = wr.ParallelCoordinatesPlotColumn  # pyright: ignore[reportPrivateImportUsage]  # it is documented
    scores = [
        wr.BarPlot(title="CV and leaderboard", metrics=[cv, "lb_public", "lb_private"]),
        _scatter("CV against public leaderboard", cv, "lb_public", regression=True),
        _scatter("CV against private leaderboard", cv, "lb_private", regression=True),
        _scatter("CV against minutes", "minutes", cv),
        wr.ParallelCoordinatesPlot(
            title="Config and CV",
            columns=[column(metric=value) for value in compared],
        ),
    ]
    curves: list[wr.interface.PanelTypes] = [
        wr.LinePlot(
            title=name,
            x="Step",
            title_x="epoch",
            y=[name],
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
        )
        for name in CURVES
    ]
    return ws.Workspace(
        entity=entity,
        project=f"podium-{slug}",
        name=VIEW,
        sections=[
            ws.Section(name="leaderboard", panels=scores, is_open=True),
            ws.Section(name="folds", panels=curves, is_open=True),
        ],
        settings=ws.WorkspaceSettings(max_runs=MAX_GROUPS),
        runset_settings=ws.RunsetSettings(
            groupby=[expr.Metric("Group")],
            order=[expr.Ordering(expr.Summary(cv), ascending=not metric.larger_is_better)],
            pinned_columns=["run:displayName", *(f"summary:{name}" for name in summary), *settings],
        ),
    )


def _scatter(title: str, x: str, y: str, regression: bool = False) -> Any:
    import wandb_workspaces.reports.v2 as wr

    return wr.ScatterPlot(
        title=title, x=wr.SummaryMetric(x), y=wr.SummaryMetric(y), regression=regression or None
    )


def save_view(slug: str, metric: Metric, entity: str | None) -> str:
    """Save the view on wandb, in place of the one saved before, and return its address.

    Parameters
    ----------
    slug, metric : see `build_view`.
    entity : user or team on wandb; None is the login's own.

    Raises
    ------
    UserError : the library is missing, there is no login, wandb cannot be reached or refuses, or nothing of
        the competition was logged yet. What wandb answers is told without the login's key.
    """
    try:
        import wandb
        import wandb_workspaces.workspaces  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error.name} is not installed: pip install wandb-workspaces") from error
    host = os.environ.get("WANDB_BASE_URL") or wandb.Settings().base_url
    if not has_login():
        raise UserError("the view is saved on wandb, which needs a login: wandb login, or set WANDB_API_KEY")
    try:
        requests.get(host, timeout=REACH_SECONDS)
    except requests.RequestException as error:
        raise UserError(f"wandb at {host} cannot be reached: check the network and WANDB_BASE_URL") from error
    # wandb's client raises what its transport does, from AuthenticationError to ValueError.
    try:
        api = wandb.Api()
    except Exception as error:
        raise UserError(
            f"wandb at {host} does not take the login: renew it with wandb login --relogin"
        ) from error
    try:
        entity = entity or api.default_entity or ""
        view = build_view(slug, metric, entity)
        view._internal_name, view._internal_id = VIEW_KEY, _saved_id(entity, view.project)
        return view.save().url
    except UserError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        reason = reason.replace(api.api_key, "***") if api.api_key else reason
        raise UserError(f"wandb at {host} did not save the view ({reason}): try again later") from None


def _saved_id(entity: str, project: str) -> str:
    """wandb's id of the view saved before, "" where there is none. Raises UserError without the project."""
    import wandb_workspaces.workspaces as ws

    try:
        return ws.Workspace.from_url(f"https://wandb.ai/{entity}/{project}?nw={VIEW}")._internal_id
    except ValueError as error:
        if str(error).startswith("Workspace `"):
            return ""
        if str(error).startswith("Project `"):
            raise UserError(
                f"wandb has no project {entity}/{project}: log a run first with make submit, or name another "
                "--track.entity"
            ) from error
        raise
