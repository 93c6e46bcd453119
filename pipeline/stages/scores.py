"""Ask Kaggle for the scores of all uploaded runs and write them to the ledger."""

from dataclasses import dataclass

from pipeline.base.progress import say
from pipeline.delivery.upload import refresh_scores
from pipeline.stages.context import Context
from pipeline.stages.options import TrackOptions
from pipeline.stages.upload import score_teller


@dataclass(frozen=True, kw_only=True)
class Options(TrackOptions):
    """Ask Kaggle for the scores of all uploaded runs and write them to the ledger."""


def run(context: Context, options: Options) -> str:
    """Fetch the scores."""
    teller = score_teller(context, options.track)
    changed = refresh_scores(context.competition, context.submissions, teller)
    for row in changed:
        say(f"{row['run']}: public {row['lb_public'] or '-'}, private {row['lb_private'] or '-'}")
    return f"scores: {context.submissions / 'ledger.csv'} ({len(changed)} changed)"
