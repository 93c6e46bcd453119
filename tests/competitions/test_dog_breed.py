"""Dog breeds: Kaggle's raw layout, and rows of probabilities that sum to 1."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from competitions.dog_breed.competition import Competition
from competitions.dog_breed.sample import COATS, EARS, MARKINGS, draw_dog
from pipeline.base.errors import UserError
from pipeline.competition.evaluate import evaluation_of
from pipeline.raw.files import RawFiles

DOGS = Competition()


@pytest.fixture
def raw(tmp_path):
    for split, names in (("train", ("a1", "b2", "c3")), ("test", ("d4", "e5"))):
        (tmp_path / split).mkdir()
        for name in names:
            Image.new("RGB", (9, 7)).save(tmp_path / split / f"{name}.jpg")
    (tmp_path / "labels.csv").write_text("id,breed\nc3,pug\na1,basset\nb2,pug\n")
    (tmp_path / "sample_submission.csv").write_text("id,basset,pug\ne5,0.5,0.5\nd4,0.5,0.5\n")
    return RawFiles((tmp_path,))


def test_labels_meet_files_by_id(raw):
    train = DOGS.load_train(raw)
    assert dict(zip(train["image_id"], train["label"], strict=True)) == {
        "a1": "basset",
        "b2": "pug",
        "c3": "pug",
    }
    assert sorted(DOGS.load_test(raw)["image_id"]) == ["d4", "e5"]


def test_kaggles_sample_has_a_column_for_each_breed(raw):
    classes = DOGS.task.classes(DOGS.load_train(raw))
    sample, test = DOGS.load_sample_submission(raw), DOGS.load_test(raw)
    DOGS.submission_format(classes).check_sample(sample, test)
    with pytest.raises(UserError, match=r"has the columns \['id', 'basset', 'pug'\], not"):
        DOGS.submission_format([*classes, "whippet"]).check_sample(sample, test)


def test_rows_sum_to_one_to_more_digits_than_float32_has():
    random = np.random.default_rng(0)
    values = random.dirichlet(np.ones(120), 50).astype("float32") * np.float32(1.00001)
    names = [f"breed{number}" for number in range(120)]
    predictions = pd.DataFrame(values, columns=names)
    predictions.insert(0, "image_id", [f"{number:032x}" for number in range(50)])
    rows = DOGS.to_submission(predictions, pd.DataFrame(), names)
    assert list(rows.columns) == ["id", *names]
    assert np.abs(rows[names].sum(axis=1) - 1).max() < 1e-12
    assert rows[names].to_numpy() == pytest.approx(values / values.sum(axis=1, keepdims=True), abs=1e-6)


def test_the_score_is_kaggles_log_loss():
    truth = pd.DataFrame({"image_id": ["a", "b"], "label": ["pug", "basset"]})
    predictions = pd.DataFrame({"image_id": ["a", "b"], "basset": [0.25, 0.5], "pug": [0.75, 0.5]})
    found = evaluation_of(DOGS, truth, predictions, ["basset", "pug"])
    assert found.score == pytest.approx(-(np.log(0.75) + np.log(0.5)) / 2)
    assert found.extra["accuracy"] == 1


def test_breeds_of_the_sample_differ_in_what_is_drawn():
    assert len(COATS) * len(MARKINGS) * len(EARS) == 120
    first, again, other = (
        np.asarray(draw_dog(kind, np.random.default_rng(3)), dtype=int) for kind in (7, 7, 8)
    )
    assert (first == again).all() and np.abs(first - other).max() > 50
