"""From a run's predictions to what counts: the score, the report, the submission file and its ledger row."""

import datetime
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.base.errors import UserError
from pipeline.base.figures import plot_curves
from pipeline.base.files import atomic_path, file_hash, write_json
from pipeline.base.progress import say
from pipeline.competition.contract import Competition
from pipeline.competition.prepare import Prepared
from pipeline.competition.sources import Source
from pipeline.delivery.report import write_report
from pipeline.delivery.submission import write_submission
from pipeline.inputs.batches import Images
from pipeline.runs.ledger import LedgerRow, record
from pipeline.runs.provenance import git_sha, versions
from pipeline.runs.run import Run, read_frame


@dataclass(frozen=True)
class Finished:
    """A run with oof.parquet and test.parquet in its folder, ready to be delivered.

    Attributes
    ----------
    config_name, config : the entry of CONFIGS and its JSON.
    fold_scores : the metric of each fold, or of each member of an ensemble.
    histories : training curves by name; empty for an ensemble.
    minutes : training time.
    """

    run: Run
    config_name: str
    config: dict[str, Any]
    config_text: str
    fold_scores: list[float]
    histories: dict[str, pd.DataFrame]
    minutes: float


@dataclass(frozen=True)
class Delivered:
    """What `deliver` made: the submission file, the facts of its sidecar, the report's pictures."""

    path: Path
    facts: dict[str, Any]
    pictures: list[Path]


def deliver(
    finished: Finished, competition: Competition, data: Prepared, source: Source, submissions: Path
) -> Delivered:
    """Score, report, write and record.

    Raises
    ------
    UserError : the submission would be refused by the organiser; nothing is written then.
    """
    run, metric = finished.run, competition.metric
    oof, truth = _oof_and_truth(run, data)
    test = read_frame(run.folder / "test.parquet")
    scores = cv_scores(finished, competition, data)
    if source.truth is not None:
        hidden = pd.read_parquet(source.truth).set_index("image_id").loc[test["image_id"]].reset_index()
        scores[f"sample_test_{metric}"] = float(competition.score(hidden, test, data.classes))
        say(f"sample test {metric} {scores[f'sample_test_{metric}']:.4f} on its hidden labels")
    path = submissions / f"{run.name}.csv"
    form = competition.submission_format(data.classes)
    rows = write_submission(
        competition.to_submission(test, data.classes), data.sample_submission, data.test, form, path
    )
    sha = git_sha(Path(__file__).parent)
    about = {
        "run": run.name,
        "digest": run.name.rsplit("-", 1)[1],
        "data": source.kind,
        "git_sha": sha,
        "sha256": file_hash(path),
        "rows": len(rows),
        **scores,
        "folds": finished.fold_scores,
        "minutes": round(finished.minutes, 2),
        "versions": versions(),
        "config": finished.config,
    }
    about = _json(about)
    write_json(path.with_suffix(".json"), about)
    run.finish(about)
    pictures = _report(finished, competition, data, truth, oof, about)
    record(
        submissions / "ledger.csv",
        LedgerRow(
            run.name,
            datetime.datetime.now().isoformat(timespec="seconds"),
            finished.config_name,
            run.name.rsplit("-", 1)[1],
            sha,
            source.kind,
            metric,
            round(scores[f"cv_{metric}"], 6),
            round(scores["cv_std"], 6),
            len(finished.fold_scores),
            len(rows),
            about["sha256"],
            round(finished.minutes, 2),
        ),
    )
    return Delivered(path, about, pictures)


def _json(value: Any) -> Any:
    """`value` with None for every number that is not finite, which JSON has no word for: a score is NaN
    where the images leave it undefined, as an AP without any object."""
    if isinstance(value, dict):
        return {key: _json(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_json(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _oof_and_truth(run: Run, data: Prepared) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Out-of-fold predictions, and the truth in their row order."""
    oof = read_frame(run.folder / "oof.parquet")
    return oof, data.train.set_index("image_id").loc[oof["image_id"]].reset_index()


def cv_scores(finished: Finished, competition: Competition, data: Prepared) -> dict[str, Any]:
    """The metric over all out-of-fold predictions, its spread over the folds, and the further scores."""
    oof, truth = _oof_and_truth(finished.run, data)
    cv = float(competition.score(truth, oof, data.classes))
    spread = float(pd.Series(finished.fold_scores).std(ddof=0))
    say(
        f"CV {competition.metric} {cv:.4f} over {len(oof):,} images"
        + (f", folds {spread:.4f} apart" if spread > 0 else "")
    )
    extra = competition.extra_scores(truth, oof, data.classes)
    return {f"cv_{competition.metric}": cv, "cv_std": spread, **extra}


def _report(
    finished: Finished,
    competition: Competition,
    data: Prepared,
    truth: pd.DataFrame,
    oof: pd.DataFrame,
    about: dict[str, Any],
) -> list[Path]:
    folder = finished.run.folder
    pictures = []
    if finished.histories:
        pictures.append(plot_curves(finished.histories, competition.metric, folder / "curves.png"))
    images = Images(data.train, data.packed("train"))
    pictures += competition.task.report(truth, oof, images, data.classes, folder)
    facts = {key: value for key, value in about.items() if key not in ("config", "versions", "folds")}
    page = write_report(
        folder, f"{competition.slug}: {finished.run.name}", facts, pictures, finished.config_text
    )
    say(f"report: {page}")
    return pictures


def copy_out(submission: Path, out: Path) -> None:
    """Copy a submission to where the user wants it. Raises UserError where that cannot be written."""
    try:
        with atomic_path(out) as temporary:
            shutil.copyfile(submission, temporary)
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror}); the submission is {submission}"
        ) from error
