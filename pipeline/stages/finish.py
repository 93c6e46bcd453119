"""From experiments to a finished run, its files, its log and its copy."""

from pathlib import Path

from pipeline.delivery.deliver import Delivered, Finished, copy_out, deliver
from pipeline.experiment.combine import folds_of, mean_of, open_combination
from pipeline.experiment.experiment import Experiment
from pipeline.runs.ledger import read_ledger
from pipeline.runs.run import all_checkpoints, read_frame
from pipeline.stages.context import Context
from pipeline.track.wandb_log import TrackConfig, Tracker


def finished_run(experiments: list[Experiment], name: str, context: Context) -> Finished:
    """The run of one experiment, or the mean of several. All are predicted."""
    if len(experiments) == 1:
        return _finished(experiments[0])
    members = [_finished(experiment) for experiment in experiments]
    runs = [member.run for member in members]
    competition = context.competition
    run = open_combination(name, runs, "mean", competition, context.data, context.runs)
    with run.lock():
        mean_of(runs, run, competition)
    text = "\n".join(f"# {member.run.name}\n{member.config_text}" for member in members)
    return Finished(
        run=run,
        config_name=name,
        config={"members": [member.run.name for member in members]},
        config_text=text,
        folds=folds_of(run),
        histories={},
        minutes=sum(member.minutes for member in members),
    )


def _finished(experiment: Experiment) -> Finished:
    return Finished(
        run=experiment.run,
        config_name=experiment.name,
        config=experiment.config.to_json(),
        config_text=str(experiment.config),
        folds=folds_of(experiment.run),
        histories=experiment.histories(),
        minutes=experiment.minutes(),
    )


def deliver_run(
    finished: Finished, context: Context, track: TrackConfig, out: Path | None, other_format: str = "csv"
) -> Path:
    """Write, record and log a finished run, and copy its file to where the user wants it.

    Parameters
    ----------
    other_format : csv, or another of the competition's formats to write as well; `out` then gets that one.

    Raises
    ------
    UserError : the submission would be refused by the organiser, or the copy cannot be written.
    """
    competition = context.competition
    with finished.run.lock():
        delivered = deliver(finished, competition, context.data, context.source, context.submissions)
        path = delivered.path
        if other_format != "csv":
            other = competition.other_formats[other_format]
            path = path.with_suffix(other.suffix)
            other.write(read_frame(finished.run.folder / "test.parquet"), context.data, path)
        _log(finished, delivered, context, track)
    if out:
        copy_out(path, out)
    return path


def _log(finished: Finished, delivered: Delivered, context: Context, track: TrackConfig) -> None:
    tracker = Tracker(track, context.competition.slug, finished.run.name, finished.run.folder)
    weights = all_checkpoints(finished.run) if track.artifacts == "all" else []
    ledger = read_ledger(context.submissions / "ledger.csv")
    tracker.summary(finished.config, delivered.facts, delivered.pictures, delivered.path, weights, ledger)
