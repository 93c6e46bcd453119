"""What every competition folder must do; a new folder is picked up by being there."""

import importlib

import numpy as np
import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.competition.contract import check_image_frame
from pipeline.config.config import Config, Ensemble
from pipeline.delivery.submission import check_file, write_submission
from pipeline.raw.files import open_raw
from tests.helpers import (
    REPOSITORY,
    SLUGS,
    competition_of,
    ideal_predictions,
    random_predictions,
)

pytestmark = pytest.mark.parametrize("slug", SLUGS)


def test_the_folder_is_whole(slug):
    folder = REPOSITORY / "competitions" / slug
    expected = ["__init__.py", "__main__.py", "README.md", "competition.py", "configs.py", "sample.py"]
    assert [name for name in expected if not (folder / name).is_file()] == []
    assert competition_of(slug).slug == slug


def test_configs_survive_json_and_have_the_expected_names(slug):
    configs = importlib.import_module(f"competitions.{slug}.configs").CONFIGS
    assert {"sample", "fast", "base"} <= set(configs)
    for entry in configs.values():
        for config in entry.members if isinstance(entry, Ensemble) else (entry,):
            assert Config.from_json(config.to_json()) == config


def test_sample_loads_into_valid_frames(slug, prepared_sample):
    prepped = prepared_sample(slug)
    raw = open_raw(prepped.source.raw, prepped.paths.data / slug / "extracted")
    targets = prepped.competition.task.target_columns
    train = check_image_frame(prepped.competition.load_train(raw), targets, "train")
    test = check_image_frame(prepped.competition.load_test(raw), (), "test")
    assert len(train) == len(prepped.data.train)
    assert list(test["image_id"]) == list(prepped.data.test["image_id"])


def test_sample_truth_covers_the_test_images(slug, prepared_sample):
    prepped = prepared_sample(slug)
    truth = pd.read_parquet(prepped.source.truth)
    assert set(truth["image_id"]) == set(prepped.data.test["image_id"])
    assert set(prepped.competition.task.target_columns) <= set(truth.columns)


def test_sample_depends_on_the_seed_alone(slug, tmp_path):
    competition = competition_of(slug)
    first = competition.make_sample(tmp_path / "a", seed=1)
    second = competition.make_sample(tmp_path / "b", seed=1)
    pd.testing.assert_frame_equal(first, second)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert files == sorted(
        path.relative_to(tmp_path / "b") for path in (tmp_path / "b").rglob("*") if path.is_file()
    )
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


def test_metric_prefers_the_truth(slug, prepared_sample, tmp_path):
    prepped = prepared_sample(slug)
    competition, classes = prepped.competition, prepped.data.classes
    truth = prepped.data.train.iloc[:60].reset_index(drop=True)
    ideal = ideal_predictions(competition.task, truth, classes, tmp_path / "ideal")
    random = random_predictions(competition.task, truth, classes, tmp_path / "random")
    best, worse = (competition.score(truth, frame, classes) for frame in (ideal, random))
    assert competition.metric.endswith(("_score", "_loss", "_error"))
    assert best > worse if competition.metric.endswith("_score") else best < worse
    assert all(np.isfinite(value) for value in competition.extra_scores(truth, ideal, classes).values())


def test_predictions_become_a_submission_that_is_accepted(slug, prepared_sample, tmp_path):
    prepped = prepared_sample(slug)
    competition, data = prepped.competition, prepped.data
    form = competition.submission_format(data.classes)
    form.check_sample(data.sample_submission, data.test)
    predictions = random_predictions(competition.task, data.test, data.classes, tmp_path / "maps")
    frame = competition.to_submission(predictions.sample(frac=1, random_state=0), data.classes)
    rows = write_submission(frame, data.sample_submission, data.test, form, tmp_path / "submission.csv")
    check_file(tmp_path / "submission.csv", data.sample_submission, data.test, form)
    assert len(rows) > 0
    if len(data.sample_submission):
        ids = rows.columns[0]
        assert list(rows[ids]) == list(data.sample_submission[ids])


def test_a_submission_that_names_an_unknown_image_is_refused(slug, prepared_sample, tmp_path):
    prepped = prepared_sample(slug)
    competition, data = prepped.competition, prepped.data
    form = competition.submission_format(data.classes)
    predictions = random_predictions(competition.task, data.test.iloc[:5], data.classes, tmp_path / "maps")
    frame = competition.to_submission(predictions, data.classes)
    frame.iloc[0, 0] = "nowhere_1"
    with pytest.raises(UserError, match="nowhere_1"):
        write_submission(frame, data.sample_submission, data.test, form, tmp_path / "submission.csv")
    assert not (tmp_path / "submission.csv").exists()
