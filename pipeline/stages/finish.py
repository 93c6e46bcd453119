"""From experiments to a finished run, its files, its log and its copy."""

from pathlib import Path

from pipeline.base.files import file_hash
from pipeline.base.progress import say
from pipeline.delivery.deliver import Delivered, Finished, copy_out, deliver
from pipeline.experiment.combine import folds_of, mean_of, open_combination
from pipeline.experiment.experiment import Experiment
from pipeline.experiment.saliency import saliency_of
from pipeline.runs.about import tell_about
from pipeline.runs.ledger import read_ledger, update_note
from pipeline.runs.run import Run, all_checkpoints, read_frame
from pipeline.stages.context import Context
from pipeline.track.wandb_log import TrackConfig, Tracker


def run_of(experiments: list[Experiment], name: str, context: Context) -> Run:
    """The run of one experiment, or the one that is the mean of several."""
    runs = [experiment.run for experiment in experiments]
    if len(runs) == 1:
        return runs[0]
    return open_combination(name, runs, "mean", context.competition, context.data, context.runs)


def finished_run(experiments: list[Experiment], name: str, context: Context) -> Finished:
    """The run of one experiment, or the mean of several. All are predicted, as far as there was time."""
    run = run_of(experiments, name, context)
    if len(experiments) == 1:
        return _finished(experiments[0])
    if experiments[0].note:
        tell_about(run, note=experiments[0].note)
    members = [_finished(experiment) for experiment in usable(experiments)]
    with run.lock():
        mean_of([member.run for member in members], run, context.competition)
    text = "\n".join(f"# {member.run.name}\n{member.config_text}" for member in members)
    return Finished(
        run=run,
        config_name=name,
        config={"members": [member.run.name for member in members]},
        config_text=text,
        folds=folds_of(run),
        histories={},
        minutes=sum(member.minutes for member in members),
        planned=members[0].planned,
        complete=len(members) == len(experiments) and all(member.complete for member in members),
    )


def usable(experiments: list[Experiment]) -> list[Experiment]:
    """The experiments that are complete, or the first one: what has its test predictions of some folds alone
    would weigh as much as the others."""
    complete = [one for one in experiments if one.predicted_folds() == one.fold_numbers]
    return complete or experiments[:1]


def _finished(experiment: Experiment) -> Finished:
    run, folds = experiment.run, folds_of(experiment.run)
    numbers = experiment.fold_numbers
    return Finished(
        run=run,
        config_name=experiment.name,
        config=experiment.config.to_json(),
        config_text=str(experiment.config),
        folds=folds,
        histories=experiment.histories(),
        minutes=experiment.minutes(),
        planned=len(numbers),
        complete=experiment.predicted_folds() == numbers,
        saliency=saliency_of(
            run,
            experiment.config.train.keep,
            folds,
            experiment.competition,
            experiment.data,
            experiment.device,
        ),
    )


def finished_of(run: Run) -> Finished:
    """A run that was delivered before, as far as its scores need."""
    return Finished(
        run=run,
        config_name="",
        config={},
        config_text="",
        folds=folds_of(run),
        histories={},
        minutes=(run.summary() or {}).get("minutes", 0.0),
    )


def deliver_again(
    run: Run, context: Context, out: Path | None, other_format: str, note: str = ""
) -> Path | None:
    """The submission of a run that is done, copied to where the user wants it; nothing else changes, but for
    a note that is another one.

    None where it is not done, its file is not the one that was recorded, or another format is asked for.
    """
    if other_format != "csv":
        return None
    path, ledger = _delivered(run, context), context.submissions / "ledger.csv"
    if path:
        say(f"already done: {run.name}")
        if note and note != read_ledger(ledger).set_index("run").at[run.name, "note"]:
            tell_about(run, note=note)
            update_note(ledger, run.name, note)
            say(f"its note is now: {note}")
        if out:
            copy_out(path, out)
    return path


def _delivered(run: Run, context: Context) -> Path | None:
    path = context.submissions / f"{run.name}.csv"
    about = run.summary()
    whole = (
        about is not None and run.is_complete() and path.is_file() and file_hash(path) == about.get("sha256")
    )
    known = read_ledger(context.submissions / "ledger.csv")
    return path if whole and (known["run"] == run.name).any() else None


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
    tracker.summary(finished.config, delivered.facts, delivered.report, delivered.path, weights, ledger)
