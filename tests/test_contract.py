"""What every competition folder must do; a new folder is picked up by being there."""

import importlib

import numpy as np
import pandas as pd
import pytest

from pipeline.config import Config, Ensemble
from pipeline.contract import check_image_frame
from pipeline.data.raw import open_raw
from pipeline.errors import UserError
from pipeline.submit import check_sample, write_submission
from tests.helpers import REPOSITORY, SLUGS, competition_of

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


def test_metric_prefers_the_truth(slug, prepared_sample):
    prepped = prepared_sample(slug)
    truth = prepped.data.train
    classes = prepped.data.classes
    ideal = _certain(truth, classes)
    shuffled = ideal.assign(image_id=truth["image_id"].to_numpy())
    values = np.random.default_rng(0).permutation(shuffled[list(classes)].to_numpy())
    shuffled[list(classes)] = values
    best = prepped.competition.score(truth, ideal, classes)
    worse = prepped.competition.score(truth, shuffled, classes)
    assert prepped.competition.metric.endswith(("_score", "_loss", "_error"))
    assert best > worse if prepped.competition.metric.endswith("_score") else best < worse


def _certain(truth: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    one_hot = pd.get_dummies(truth["label"]).reindex(columns=classes, fill_value=False).astype("float32")
    return pd.concat([truth[["image_id"]], one_hot], axis=1)


def test_predictions_become_a_submission_the_sample_file_accepts(slug, prepared_sample, tmp_path):
    prepped = prepared_sample(slug)
    classes = prepped.data.classes
    form = prepped.competition.submission_format(classes)
    check_sample(prepped.data.sample_submission, prepped.data.test["image_id"], form)
    random = np.random.default_rng(0).dirichlet(np.ones(len(classes)), len(prepped.data.test))
    predictions = pd.DataFrame(random.astype("float32"), columns=classes)
    predictions.insert(0, "image_id", prepped.data.test["image_id"].to_numpy())
    frame = prepped.competition.to_submission(predictions.sample(frac=1, random_state=0), classes)
    rows = write_submission(frame, prepped.data.sample_submission, form, tmp_path / "submission.csv")
    assert list(rows[form.id_column]) == list(prepped.data.sample_submission[form.id_column])


def test_a_submission_that_lacks_an_image_is_refused(slug, prepared_sample, tmp_path):
    prepped = prepared_sample(slug)
    form = prepped.competition.submission_format(prepped.data.classes)
    short = prepped.data.sample_submission.iloc[1:]
    lost = prepped.data.sample_submission[form.id_column].iloc[0]
    with pytest.raises(UserError, match=f"lacks 1 id.*{lost}"):
        write_submission(short, prepped.data.sample_submission, form, tmp_path / "submission.csv")
    assert list(tmp_path.iterdir()) == []
