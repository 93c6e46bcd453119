"""From a run's predictions to what counts: the score, the submission file, its ledger row, the report."""

import datetime
import inspect
import math
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.base.errors import UserError
from pipeline.base.files import atomic_path, digest, file_hash, write_json
from pipeline.base.parts import Part
from pipeline.base.progress import say
from pipeline.competition.base import Competition
from pipeline.competition.evaluate import Evaluation, evaluation_of
from pipeline.competition.identity import scoring_code
from pipeline.competition.prepared import Prepared
from pipeline.competition.sources import Source
from pipeline.delivery.decide import Decided, decide
from pipeline.delivery.report import decision_table, folds_table, write_report
from pipeline.delivery.submission import write_submission
from pipeline.frame.schema import rows_by_id
from pipeline.runs.about import about_run
from pipeline.runs.curves import curves
from pipeline.runs.ledger import LedgerRow, record
from pipeline.runs.provenance import code_folders, git_sha, versions
from pipeline.runs.run import Run, read_frame, read_json
from pipeline.tasks.task import ReportRequest, Saliency, no_saliency

EVALUATION = "evaluation.json"
"""In a run's folder: its scores, and what they follow from."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run with oof.parquet and test.parquet in its folder, ready to be delivered.

    Attributes
    ----------
    config_name, config : the entry of CONFIGS and its JSON.
    folds : the fold of each image with an out-of-fold prediction, by image id.
    planned : how many folds there are to be; None where it has them all.
    complete : whether there is nothing left to be done.
    histories : training curves by name; empty for a run made of runs.
    minutes : training time.
    saliency : where the network of an image's fold looked.
    """

    run: Run
    config_name: str
    config: dict[str, Any]
    config_text: str
    folds: pd.Series
    histories: dict[str, pd.DataFrame]
    minutes: float
    planned: int | None = None
    complete: bool = True
    saliency: Saliency = no_saliency


@dataclass(frozen=True)
class Delivered:
    """What `deliver` made: the submission file, the facts of its sidecar, the page."""

    path: Path
    facts: dict[str, Any]
    report: Path


def deliver(
    finished: Finished, competition: Competition, data: Prepared, source: Source, submissions: Path
) -> Delivered:
    """Score, write and record, then report.

    Raises
    ------
    UserError : the submission would be refused by the organiser; nothing is written then.
    """
    run = finished.run
    decided = decided_run(finished, competition, data)
    evaluation = evaluation_of(competition, data.train, decided.oof, data.classes)
    scores = {**scores_of(finished, evaluation), **evaluation.extra}
    _keep(run, competition, scores)
    if source.truth is not None:
        name = f"sample_test_{competition.metric.name}"
        hidden = pd.read_parquet(source.truth)
        scores[name] = evaluation_of(competition, hidden, decided.test, data.classes).score
        say(f"sample test {competition.metric.name} {scores[name]:.4f} on its hidden labels")
    path, about = _write(finished, competition, data, source, submissions, decided, scores)
    run.finish(about)
    return Delivered(path, about, _report(finished, evaluation, data, about, decided))


def deliver_so_far(
    finished: Finished, competition: Competition, data: Prepared, source: Source, submissions: Path
) -> Path:
    """Score, write and record a run that has some of its folds: nothing that only looks at them, and no mark
    that it is finished.

    Raises
    ------
    UserError : as `deliver`.
    """
    decided = decided_run(finished, competition, data)
    scores = scores_of(finished, evaluation_of(competition, data.train, decided.oof, data.classes))
    return _write(finished, competition, data, source, submissions, decided, scores)[0]


def _write(
    finished: Finished,
    competition: Competition,
    data: Prepared,
    source: Source,
    submissions: Path,
    decided: Decided,
    scores: dict[str, Any],
) -> tuple[Path, dict[str, Any]]:
    """Write the submission with its facts beside it, and the run's row of the ledger."""
    run, test = finished.run, decided.test
    told = about_run(run)
    if not told.git_sha:  # made of others, or begun before it was kept
        told = replace(told, git_sha=git_sha(code_folders(Path(inspect.getfile(type(competition))))))
    path = submissions / f"{run.name}.csv"
    form = competition.submission_format(data.classes)
    frame = competition.to_submission(test, rows_by_id(data.test, test["image_id"]), data.classes)
    rows = write_submission(frame, data.sample_submission, data.test, form, path)
    about = finite(
        {
            "run": run.name,
            "digest": run.digest,
            "data": source.kind,
            **{name: value for name, value in asdict(told).items() if value},
            "sha256": file_hash(path),
            "rows": len(rows),
            **scores,
            "folds_planned": finished.planned or len(scores["folds"]),
            "complete": finished.complete,
            **({} if decided.fitted is None else {"decision": decided.fitted}),
            "minutes": round(finished.minutes, 2),
            "versions": versions(),
            "config": finished.config,
        }
    )
    write_json(path.with_suffix(".json"), about)
    record(submissions / "ledger.csv", _ledger_row(finished, competition, about))
    return path, about


def decided_run(finished: Finished, competition: Competition, data: Prepared) -> Decided:
    """A run's predictions with the competition's decisions, see `pipeline.delivery.decide`."""
    oof, test = (read_frame(finished.run.folder / f"{split}.parquet") for split in ("oof", "test"))
    folds = finished.folds.loc[oof["image_id"]].to_numpy()
    return decide(competition, data.train, oof, test, folds, data.classes)


def kept_scores(finished: Finished, competition: Competition, data: Prepared) -> dict[str, Any]:
    """A run's scores, as `scores_of` gives them, and the further ones: read where they were computed before,
    of the same predictions by the same code, else computed and kept in the run."""
    identity = _scored(finished.run, competition)
    kept = read_json(finished.run.folder / EVALUATION) or {}
    if kept.get("identity") == identity:
        return {name: math.nan if value is None else value for name, value in kept["scores"].items()}
    oof = decided_run(finished, competition, data).oof
    evaluation = evaluation_of(competition, data.train, oof, data.classes)
    scores = {**scores_of(finished, evaluation), **evaluation.extra}
    _keep(finished.run, competition, scores)
    return scores


def _scored(run: Run, competition: Competition) -> str:
    """What a run's scores follow from. Maps that predictions name are those of the run's own code."""
    continued = read_json(run.folder / "continued.json")
    parts = [file_hash(run.folder / "oof.parquet"), scoring_code(competition), continued]
    return digest(parts, length=16)


def _keep(run: Run, competition: Competition, scores: dict[str, Any]) -> None:
    about = {"identity": _scored(run, competition), "scores": finite(scores)}
    write_json(run.folder / EVALUATION, about)


def scores_of(finished: Finished, evaluation: Evaluation) -> dict[str, Any]:
    """The metric over all out-of-fold predictions, and on each fold with its spread."""
    name = evaluation.competition.metric.name
    folds = evaluation.fold_scores(finished.folds.loc[evaluation.predictions["image_id"]].to_numpy())
    spread = float(pd.Series(folds).std(ddof=0)) if len(folds) > 1 else math.nan
    say(
        f"CV {name} {evaluation.score:.4f} over {len(evaluation.predictions):,} images"
        + (f", folds {spread:.4f} apart" if spread > 0 else "")
    )
    if math.isnan(evaluation.score):
        say(f"warning: {name} is not defined on these images: the run counts as worse than any with a score")
    return {f"cv_{name}": evaluation.score, "cv_std": spread, "folds": folds}


def _ledger_row(finished: Finished, competition: Competition, about: dict[str, Any]) -> LedgerRow:
    metric = competition.metric
    cv = about[f"cv_{metric.name}"]
    return LedgerRow(
        run=finished.run.name,
        date=datetime.datetime.now().isoformat(timespec="seconds"),
        config=finished.config_name,
        digest=finished.run.digest,
        git_sha=about["git_sha"],
        data=about["data"],
        metric=metric.name,
        better="larger" if metric.larger_is_better else "smaller",
        cv_score=math.nan if cv is None else round(cv, 6),
        cv_std=math.nan if about["cv_std"] is None else round(about["cv_std"], 6),
        folds=len(about["folds"]),
        folds_planned=about["folds_planned"],
        rows=about["rows"],
        sha256=about["sha256"],
        minutes=about["minutes"],
        **{name: about.get(name, "") for name in ("model", "size", "changed", "note")},
    )


def finite(value: Any) -> Any:
    """`value` with None for every number that is not finite, which JSON has no word for: a score is NaN
    where the images leave it undefined, as an AP without any object."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _report(
    finished: Finished, evaluation: Evaluation, data: Prepared, about: dict[str, Any], decided: Decided
) -> Path:
    """The run's page. A part that fails is told of: the file and its row are written by now."""
    competition, folder = evaluation.competition, finished.run.folder
    metric, ids = competition.metric.name, evaluation.predictions["image_id"]
    folds = finished.folds.loc[ids].to_numpy()
    request = ReportRequest(
        truth=evaluation.truth,
        oof=evaluation.predictions,
        images=data.images("train"),
        classes=data.classes,
        evidence=evaluation.evidence,
        folder=folder,
        saliency=finished.saliency,
    )

    def scores() -> Iterator[Part]:
        numbers, counts = np.unique(folds, return_counts=True)
        each = zip(numbers.tolist(), counts.tolist(), evaluation.fold_scores(folds), strict=True)
        rows = [(f"fold {fold}", count, score) for fold, count, score in each]
        yield folds_table(metric, rows, evaluation.score)

    def training() -> Iterator[Part]:
        if finished.histories:
            yield curves(finished.histories, metric)

    def decision() -> Iterator[Part]:
        if decided.fitted is not None:
            plain = read_frame(folder / "oof.parquet")
            before = evaluation_of(competition, data.train, plain, data.classes).score
            yield decision_table(decided.fitted, data.classes, metric, evaluation.score, before)

    hidden = ("config", "versions", "folds", "folds_planned", "complete", "decision", "sha256", "digest")
    facts = {key: value for key, value in about.items() if key not in hidden}
    title = f"{competition.slug}: {finished.run.name}"
    made = (scores, training, decision, lambda: competition.task.report(request))
    page = write_report(folder, title, facts, made, finished.config_text)
    say(f"report: {page}")
    return page


def copy_out(submission: Path, out: Path) -> None:
    """Copy a submission to where the user wants it. Raises UserError where that cannot be written."""
    try:
        with atomic_path(out) as temporary:
            shutil.copyfile(submission, temporary)
    except OSError as error:
        raise UserError(
            f"{out} cannot be written ({error.strerror}); the submission is {submission}"
        ) from error
