"""What a run leaves, also where its score is undefined or a picture fails."""

import importlib
import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.base.files import write_json
from pipeline.config.config import members_of
from pipeline.delivery.deliver import Delivered, Finished, deliver
from pipeline.inputs.batches import Images
from pipeline.metrics.usual import LOG_LOSS
from pipeline.prediction.decide import DECIDED, Decision
from pipeline.runs.ledger import read_ledger
from pipeline.runs.run import Run, save_frame
from tests.helpers import untrained_predictions

FEW = 12
"""Images that are validated."""


def finished_run(prepped, seen: pd.DataFrame, folder: Path) -> Finished:
    """A run of two folds, of a network that has learnt nothing, validated on the images of `seen`."""
    slug, data = prepped.competition.slug, prepped.data
    config = members_of(importlib.import_module(f"competitions.{slug}.configs").CONFIGS["sample"])[0]
    run = Run(folder / "fast-20260101-0123abcd")
    write_json(run.folder / "config.json", {})
    packed = data.images("train").packed
    oof_images = Images(seen, None if packed is None else packed[seen.index])
    for split, images in (("oof", oof_images), ("test", data.images("test"))):
        frame = untrained_predictions(prepped.competition, config, data, images, run.folder / split)
        save_frame(frame, run.folder / f"{split}.parquet")
    return Finished(
        run=run,
        config_name="fast",
        config=config.to_json(),
        config_text=str(config),
        folds=pd.Series([0, 1] * (len(seen) // 2), index=seen["image_id"]),
        histories={},
        minutes=1.0,
    )


def delivered(prepped, finished: Finished, folder: Path) -> Delivered:
    return deliver(finished, prepped.competition, prepped.data, prepped.source, folder / "submissions")


def row_of(folder: Path) -> dict[str, str]:
    (row,) = read_ledger(folder / "submissions" / "ledger.csv").to_dict("records")
    return row


def test_a_run_validated_on_no_object_at_all_is_recorded_without_a_score(prepared_sample, tmp_path, capsys):
    """AP is NaN there, for which JSON has no word."""
    prepped = prepared_sample("coco")
    train = prepped.data.train
    empty = train[train["labels"].str.len() == 0].iloc[:2]
    assert len(empty) == 2
    finished = finished_run(prepped, empty, tmp_path)
    made = delivered(prepped, finished, tmp_path)
    name = prepped.competition.metric.name
    assert f"warning: {name} is not defined on these images" in capsys.readouterr().err
    for path in (made.path.with_suffix(".json"), finished.run.folder / "summary.json"):
        about = json.loads(path.read_text())
        assert about[f"cv_{name}"] is None and about["folds"] == [None, None]
        assert about[f"sample_test_{name}"] is not None
    assert (finished.run.folder / "report.html").exists() and made.path.exists()
    row = row_of(tmp_path)
    assert (row["run"], row["better"]) == (finished.run.name, "larger")
    assert (row["cv_score"], row["cv_std"]) == ("", "")


@pytest.mark.parametrize("broken", ["report", "curves"])
def test_a_picture_that_fails_costs_neither_the_file_nor_the_row(
    prepared_sample, tmp_path, monkeypatch, capsys, broken
):
    prepped = prepared_sample("cifar10")
    finished = finished_run(prepped, prepped.data.train.iloc[:FEW], tmp_path)

    def fail(*given):
        raise RuntimeError("no font")

    if broken == "report":
        monkeypatch.setattr(type(prepped.competition.task), "report", fail)
    else:
        finished.histories["fold 0"] = pd.DataFrame({"epoch": [1]})  # without a loss to draw
    made = delivered(prepped, finished, tmp_path)
    assert "warning: the report lacks a part (" in capsys.readouterr().err
    assert made.path.exists() and finished.run.summary() is not None
    page = made.report.read_text()
    assert "the report lacks a part" in page and "<h2>Folds</h2>" in page, "the rest is there"
    assert row_of(tmp_path)["run"] == finished.run.name


def test_the_row_says_which_scores_are_better(prepared_sample, tmp_path, monkeypatch):
    prepped = prepared_sample("cifar10")
    monkeypatch.setattr(type(prepped.competition), "metric", LOG_LOSS)
    delivered(prepped, finished_run(prepped, prepped.data.train.iloc[:FEW], tmp_path), tmp_path)
    row = row_of(tmp_path)
    assert (row["metric"], row["better"]) == ("log_loss", "smaller")
    assert float(row["cv_score"]) > 0 and row["folds"] == "2"


class Counting(Decision):
    """Fits how many images it saw."""

    def fit(self, predictions, classes, score):
        return [len(predictions), 0.5]

    def apply(self, predictions, classes, fitted):
        return predictions.assign(**{DECIDED: fitted[0]})


def test_what_was_decided_is_recorded(prepared_sample, tmp_path, monkeypatch):
    prepped = prepared_sample("cifar10")
    finished = finished_run(prepped, prepped.data.train.iloc[:FEW], tmp_path)
    monkeypatch.setattr(type(prepped.competition), "decision", Counting())
    made = delivered(prepped, finished, tmp_path)
    for path in (made.path.with_suffix(".json"), finished.run.folder / "summary.json"):
        assert json.loads(path.read_text())["decision"] == [FEW, 0.5]
    assert DECIDED not in made.path.read_text().splitlines()[0]
    page = made.report.read_text()
    assert "<h2>Decision</h2>" in page and "decided on folds that it was not fitted on" in page
    assert "fitted value 1</td><td" in page and f">{FEW}<" in page


def test_the_page_has_the_score_of_each_fold(prepared_sample, tmp_path):
    prepped = prepared_sample("cifar10")
    made = delivered(prepped, finished_run(prepped, prepped.data.train.iloc[:FEW], tmp_path), tmp_path)
    page = made.report.read_text()
    first, second = made.facts["folds"]
    for text in ("fold 0", "fold 1", "all together", f"{first:.4g}", f"{second:.4g}"):
        assert text in page
    assert "Most confused pairs" in page and "Calibration" in page and "data:image/jpeg" in page
