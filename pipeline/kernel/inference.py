"""A submission from checkpoints alone: what a kernel does whose training happened elsewhere."""

import shutil
from dataclasses import replace
from pathlib import Path

from pipeline.base.device import pick_device
from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path
from pipeline.base.paths import default_paths
from pipeline.competition.base import Competition
from pipeline.competition.prepare import prepare
from pipeline.competition.sources import find_source
from pipeline.config.config import Config
from pipeline.delivery.submission import write_submission
from pipeline.export.apply import Apply, fitted_decision
from pipeline.frame.schema import rows_by_id
from pipeline.readers.decoding import Decoding
from pipeline.runs.run import Run
from pipeline.training.checkpoint import Checkpoint

CHECKPOINT = "model.pt"
"""Name of a fold's checkpoint in a bundle."""


def infer(competition: Competition, run: Path, raw: Path, out: Path) -> Path:
    """Predict the test images of `raw` with every fold of a run, and write the checked submission to `out`.

    Parameters
    ----------
    run : folder made by `copy_checkpoints`.

    Raises
    ------
    UserError : as `write_submission` does; the raw files have other classes than the run; the run lacks the
        competition's decision.
    """
    paths = default_paths()
    source = find_source(competition, paths, raw=raw)
    data = prepare(competition, source, paths.data / competition.slug, decoding=_decoding(competition, run))
    form = competition.submission_format(data.classes)
    form.check_sample(data.sample_submission, data.test)
    work = paths.data / competition.slug / "inference" / run.name
    apply = Apply(
        competition=competition,
        images=data.images("test"),
        classes=data.classes,
        device=pick_device(),
        checkpoints=_checkpoints,
    )
    members_of(run)  # refuses a blend that is no mean
    test = apply.predict(Run(run), work)
    if competition.decision is not None:
        test = competition.decision.apply(test, data.classes, fitted_decision(Run(run)))
    rows = rows_by_id(data.test, test["image_id"])
    frame = competition.to_submission(test, rows, data.classes)
    write_submission(frame, data.sample_submission, data.test, form, out)
    return out


def _decoding(competition: Competition, run: Path) -> Decoding | None:
    """How the images were read that a run was trained on, so that black stays black; None where the run is
    older than this was kept."""
    home = next(iter(members_of(run)), None)
    checkpoint = next(iter(sorted((run.parent / home if home else run).glob(f"fold*/{CHECKPOINT}"))), None)
    if home is not None and checkpoint is None:
        return _decoding(competition, run.parent / home)
    if checkpoint is None:
        return None  # what predicts says so
    value = Checkpoint.load(checkpoint, competition.task.config).preprocess.decoding
    return Decoding.from_json(competition.reader, value) if value else None


def _checkpoints(run: Run) -> list[Path]:
    """Of a run in a bundle."""
    return sorted(run.folder.glob(f"fold*/{CHECKPOINT}"))


def members_of(run: Path) -> list[str]:
    """Names of the runs that an ensemble's run averages; none for a run of its own.

    Raises UserError for a blend that is no plain mean.
    """
    about = Run(run).description()
    if about.get("method", "mean") != "mean":
        raise UserError(
            f"{run} is a blend by {about['method']}, and a kernel can only average: name a member, or "
            "blend with --method mean"
        )
    return [member.name for member in Run(run).members()]


def copy_checkpoints(run: Path, target: Path, competition: Competition) -> list[str]:
    """Copy what `infer` needs of a run, and of its members, into the folder `target`.

    What training needs to go on (optimiser, averages) stays behind.

    Returns
    -------
    Names of the runs copied, `run` first.

    Raises
    ------
    UserError : no such run, or one that is not finished, or has no checkpoints, or not the decision that the
        competition needs.
    """
    if not (run / "summary.json").exists():
        raise UserError(f"{run} is not a finished run: name a folder of runs/ that has a summary.json")
    if competition.decision is not None:
        fitted_decision(Run(run))
    return _copy(run, target, competition.task.config)


def _copy(run: Path, target: Path, config: type[Config]) -> list[str]:
    members = members_of(run)
    weights = Run(run).checkpoints()
    if not weights and not members:
        raise UserError(f"{run} has no checkpoints of its own: name a run that was trained")
    (target / run.name).mkdir(parents=True)
    for name in ("config.json", "options.json", "summary.json"):
        if (run / name).exists():
            with atomic_path(target / run.name / name) as temporary:
                shutil.copyfile(run / name, temporary)
    for path in weights:
        slim = replace(Checkpoint.load(path, config), training={})
        slim.save(target / run.name / path.parent.name / CHECKPOINT)
    copied = [run.name]
    for name in members:
        copied += _copy(run.parent / name, target, config)
    return copied
