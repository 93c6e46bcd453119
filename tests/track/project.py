"""A project folder with ledgers, sidecars and run folders, as weeks of work leave them."""

import datetime
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.base.files import digest, write_json
from pipeline.delivery.report import write_report
from pipeline.metrics.metric import Metric
from pipeline.metrics.usual import ACCURACY, LOG_LOSS
from pipeline.runs.ledger import LedgerRow, record, update_upload
from pipeline.tasks.classification.config import Config, TrainConfig


@dataclass(frozen=True)
class Project:
    """Where everything lies. rows: what was recorded, by slug."""

    submissions: Path
    runs: Path
    rows: dict[str, list[LedgerRow]]


def make_project(root: Path) -> Project:
    """Two competitions: 26 runs scored by accuracy, two of them on samples, and 4 scored by a loss."""
    project = Project(root / "submissions", root / "runs", {"birds": [], "leaves": []})
    random = np.random.default_rng(3)
    names = ["sample", "fast", "base", "strong", "probe"]
    for number in range(26):
        name = "sample" if number in (0, 9) else names[1 + int(random.integers(4))]
        cv = 0.98 + number / 1000 if name == "sample" else 0.86 + 0.003 * number + random.normal(0, 0.012)
        config = Config(train=TrainConfig(epochs=4 + number, lr=float(random.choice([0.1, 0.5, 1]))))
        public = None if name == "sample" or number % 3 == 1 else cv - 0.011 + random.normal(0, 0.008)
        _add(project, "birds", number, name, config, ACCURACY, cv, public)
    for number, cv in enumerate((0.61, 0.52, 0.55, 0.49)):
        _add(project, "leaves", number, "base", Config(), LOG_LOSS, cv, None)
    return project


def _add(
    project: Project,
    slug: str,
    number: int,
    name: str,
    config: Config,
    metric: Metric,
    cv: float,
    public: float | None,
) -> None:
    date = datetime.datetime(2026, 10, 20, 9, 12) + datetime.timedelta(hours=31 * number)
    key = digest([slug, number])
    run = f"{name}-{date:%Y%m%d}-{key}"
    folds = 1 if name in ("sample", "fast") else 5
    row = LedgerRow(
        run=run,
        date=date.isoformat(timespec="seconds"),
        config=name,
        digest=key,
        git_sha=digest(number, 12) + ("-dirty" if number % 4 == 0 else ""),
        data="sample" if name == "sample" else "kaggle" if number % 5 else "folder",
        metric=metric.name,
        better="larger" if metric.larger_is_better else "smaller",
        cv_score=round(cv, 6),
        cv_std=math.nan if folds == 1 else round(0.002 + 0.0004 * (number % 7), 6),
        folds=folds,
        folds_planned=folds,
        rows=10000,
        sha256=digest(run, 64),
        minutes=round(1.3 + 7.7 * (number % 11), 2),
        model="resnet18" if number % 3 else "convnext_tiny",
        size=str(128 + 32 * (number % 4)),
        changed=f"--train.lr 0.0{number}" if number % 2 else "",
        note="with the cleaned labels" if number == 5 else "",
    )
    ledger = project.submissions / slug / "ledger.csv"
    record(ledger, row)
    project.rows[slug].append(row)
    if public is not None:
        scores = {"lb_public": f"{public:.5f}", "lb_private": f"{public - 0.004:.5f}"}
        update_upload(ledger, run, uploaded=date.isoformat(), reference=str(4400 + number), **scores)
    if number != 2:  # a run that came by git has neither sidecar nor folder
        write_json(project.submissions / slug / f"{run}.json", {"run": run, "config": config.to_json()})
    if number % 2:
        folder = project.runs / slug / run
        folder.mkdir(parents=True)
        write_report(folder, run, {"cv": cv}, (), str(config))
