"""What every competition folder must do; a new folder is picked up by being there, also one with a task class
of its own."""

import importlib

import pandas as pd
import pytest

from pipeline.base.errors import UserError
from pipeline.competition.evaluate import evaluation_of
from pipeline.config.config import members_of
from pipeline.delivery.submission import check_file, write_submission
from pipeline.frame.schema import check_image_frame, rows_by_id
from pipeline.inputs.batches import Images
from pipeline.raw.files import open_raw
from tests.helpers import REPOSITORY, SLUGS, competition_of, untrained_predictions

pytestmark = pytest.mark.parametrize("slug", SLUGS)
FEW = 24
"""Images that a network without training looks at."""


def configs_of(slug: str) -> dict:
    return importlib.import_module(f"competitions.{slug}.configs").CONFIGS


def guesses(slug: str, prepped, split: str, folder) -> pd.DataFrame:
    """What an untrained network of the config sample predicts."""
    data = prepped.data
    images = data.images(split)
    if split == "train":
        images = Images(images.frame.iloc[:FEW], None if images.packed is None else images.packed[:FEW])
    config = members_of(configs_of(slug)["sample"])[0]
    return untrained_predictions(prepped.competition, config, data, images, folder)


def test_the_folder_is_whole(slug):
    folder = REPOSITORY / "competitions" / slug
    expected = ["__init__.py", "__main__.py", "README.md", "competition.py", "configs.py"]
    assert [name for name in expected if not (folder / name).is_file()] == []
    assert competition_of(slug).slug == slug


def test_configs_survive_json_have_the_expected_names_and_use_all_they_set(slug):
    task = competition_of(slug).task
    assert {"sample", "fast", "base"} <= set(configs_of(slug))
    for entry in configs_of(slug).values():
        for config in members_of(entry):
            assert type(config) is task.config
            assert task.config.from_json(config.to_json()) == config
            assert config.effective() == config, config.unused()


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


def test_every_figure_is_a_number_and_the_same_in_any_row_order(slug, prepared_sample, tmp_path):
    prepped = prepared_sample(slug)
    predictions = guesses(slug, prepped, "train", tmp_path)
    found = []
    for order in (predictions, predictions.sample(frac=1, random_state=0)):
        one = evaluation_of(prepped.competition, prepped.data.train, order, prepped.data.classes)
        found.append({prepped.competition.metric.name: one.score, **one.extra})
    assert all(isinstance(value, float) for value in found[0].values())
    assert found[1] == pytest.approx(found[0], nan_ok=True)


def test_predictions_become_a_submission_that_is_accepted(slug, prepared_sample, tmp_path):
    prepped = prepared_sample(slug)
    competition, data = prepped.competition, prepped.data
    form = competition.submission_format(data.classes)
    form.check_sample(data.sample_submission, data.test)
    predictions = guesses(slug, prepped, "test", tmp_path / "made").sample(frac=1, random_state=0)
    test = rows_by_id(data.test, predictions["image_id"])
    frame = competition.to_submission(predictions, test, data.classes)
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
    predictions = guesses(slug, prepped, "test", tmp_path / "made")
    test = rows_by_id(data.test, predictions["image_id"])
    frame = competition.to_submission(predictions, test, data.classes)
    frame.iloc[0, 0] = "nowhere_1"
    with pytest.raises(UserError, match="nowhere_1"):
        write_submission(frame, data.sample_submission, data.test, form, tmp_path / "submission.csv")
    assert not (tmp_path / "submission.csv").exists()
