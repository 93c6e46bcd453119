"""What a run leaves, also where its score is undefined."""

import json
from pathlib import Path

from pipeline.base.files import write_json
from pipeline.delivery.deliver import Finished, deliver
from pipeline.runs.ledger import read_ledger
from pipeline.runs.run import Run, save_frame
from tests.helpers import random_predictions


def test_a_run_validated_on_no_object_at_all_is_recorded_without_a_score(
    prepared_sample, tmp_path: Path
) -> None:
    """AP is NaN there, for which JSON has no word."""
    prepped = prepared_sample("coco")
    competition, data = prepped.competition, prepped.data
    run = Run(tmp_path / "runs" / "fast-20260101-0123abcd")
    write_json(run.folder / "config.json", {})
    empty = data.train[data.train["labels"].str.len() == 0].reset_index(drop=True)
    assert len(empty) > 2
    for split, images in (("oof", empty), ("test", data.test)):
        frame = random_predictions(competition.task, images, data.classes, run.folder / split)
        save_frame(frame, run.folder / f"{split}.parquet")
    finished = Finished(run, "fast", {}, "", [float("nan"), 0.5], {}, 1.0)
    delivered = deliver(finished, competition, data, prepped.source, tmp_path)
    for path in (tmp_path / f"{run.name}.json", run.folder / "summary.json"):
        about = json.loads(path.read_text())
        assert about["cv_ap_score"] is None and about["folds"] == [None, 0.5]
        assert about["sample_test_ap_score"] is not None
    assert (run.folder / "report.html").exists() and delivered.path.exists()
    (row,) = read_ledger(tmp_path / "ledger.csv").to_dict("records")
    assert (row["run"], row["cv_score"], row["cv_std"]) == (run.name, "", "0.0")
