"""Save the wandb view of all runs, their scores and curves. Needs a wandb login; trains nothing."""

from dataclasses import dataclass

from pipeline.stages.context import Context
from pipeline.stages.options import TrackOptions
from pipeline.track.workspace import save_view


@dataclass(frozen=True, kw_only=True)
class Options(TrackOptions):
    """Save the wandb view of all runs, their scores and curves. Needs a wandb login; trains nothing."""


def run(context: Context, options: Options) -> str:
    """Save the view."""
    competition = context.competition
    return f"workspace: {save_view(competition.slug, competition.metric, options.track.entity)}"
