"""What makes another run, another training, other predictions; and what does not."""

import importlib
import inspect
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline.competition.identity import (
    frame_identity,
    prediction_code,
    scoring_code,
    training_code,
    training_options,
    weights_identity,
)
from pipeline.tasks.classification.config import AugmentConfig, Config, ModelConfig
from tests.helpers import REPOSITORY, competition_of

CONFIG = Config()

MODULE = """
\"\"\"A competition.\"\"\"

from pathlib import Path

import pandas as pd

from competitions.{slug}.helper import CLASSES, rows
from pipeline.competition import base
from pipeline.metrics.usual import ACCURACY
from pipeline.raw.files import RawFiles
from pipeline.tasks.classification.task import Classification


class Competition(base.Competition):
    \"\"\"It.\"\"\"

    task = Classification(CLASSES[0])
    metric = ACCURACY

    def load_train(self, raw: RawFiles) -> pd.DataFrame:
        return rows(raw)

    def load_test(self, raw: RawFiles) -> pd.DataFrame:
        return rows(raw)

    def to_submission(self, predictions, test, classes):
        return predictions

    def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
        return pd.DataFrame()
"""
HELPER = """
CLASSES = ("a", "b")

def rows(raw):
    return None
"""


@pytest.fixture
def edited(tmp_path, monkeypatch):
    """Function from changes (old text, new text, file) to the three codes of the folder so changed."""
    import competitions

    numbers = iter(range(100))

    def make(*changes: tuple[str, str, str]) -> tuple[dict, dict, dict]:
        folder = tmp_path / str(next(numbers)) / "of_test_identity"
        folder.mkdir(parents=True)
        texts = {"__init__.py": "", "competition.py": MODULE, "helper.py": HELPER}
        for old, new, file in changes:
            assert old in texts[file]
            texts[file] = texts[file].replace(old, new)
        for name, text in texts.items():
            (folder / name).write_text(text.replace("{slug}", folder.name))
        for name in [name for name in sys.modules if "of_test_identity" in name]:
            del sys.modules[name]
        monkeypatch.setattr(competitions, "__path__", [str(folder.parent), *competitions.__path__[-1:]])
        competition = importlib.import_module(f"competitions.{folder.name}.competition").Competition()
        return training_code(competition, CONFIG), prediction_code(competition), scoring_code(competition)

    return make


def test_comments_docstrings_and_layout_change_nothing(edited):
    commented = ("    metric = ACCURACY", "    # why\n    metric  =  ACCURACY", "competition.py")
    assert edited() == edited(("It.", "It, well explained.", "competition.py"), commented)


def test_what_formats_the_submission_is_scored_anew_and_not_trained_anew(edited):
    before = edited()
    after = edited(("return predictions", "return predictions.head(3)", "competition.py"))
    assert after[:2] == before[:2] and after[2] != before[2]


def test_the_loading_code_may_change_for_the_frames_are_what_counts(edited):
    before, after = edited(), edited(("return None", "return 1", "helper.py"))
    assert after[:2] == before[:2]


def test_what_the_task_is_made_of_counts_also_from_a_module_beside(edited):
    before, after = edited(), edited(('("a", "b")', '("c", "b")', "helper.py"))
    assert after[0] != before[0] and after[1] != before[1]


def test_a_loss_counts_for_training_and_a_picture_for_nothing(tmp_path, monkeypatch):
    """The pipeline's own files, in a copy of it."""
    from pipeline.competition import identity

    package = tmp_path / "pipeline"
    shutil.copytree(REPOSITORY / "pipeline", package, ignore=shutil.ignore_patterns("__pycache__"))
    competition = competition_of("voc")
    task_file = package / "tasks" / "segmentation" / "task.py"
    monkeypatch.setattr(identity, "PACKAGE", package)
    real = inspect.getfile

    def file_of(what: object) -> str:
        return str(task_file) if what is type(competition.task) else real(what)

    monkeypatch.setattr(inspect, "getfile", file_of)
    config = competition.task.config()

    def codes() -> tuple[dict, dict]:
        identity.forget_sources()
        return training_code(competition, config), prediction_code(competition)

    before = codes()
    pictures = package / "tasks" / "segmentation" / "pictures.py"
    pictures.write_text(pictures.read_text() + "\nADDED = 1\n")
    assert codes() == before
    losses = package / "tasks" / "segmentation" / "losses.py"
    losses.write_text(losses.read_text() + "\nADDED = 1\n")
    after = codes()
    changed = {name for name in after[0] if after[0][name] != before[0].get(name)}
    assert changed == {"tasks/segmentation/losses.py"}
    stored = package / "prediction" / "stored.py"
    stored.write_text(stored.read_text() + "\nADDED = 1\n")
    assert codes()[0] == after[0] and codes()[1] != after[1]
    identity.forget_sources()


def _train(**changes) -> Config:
    return replace(CONFIG, train=replace(CONFIG.train, **changes))


@pytest.mark.parametrize(
    ("config", "same"),
    [
        (_train(max_minutes=3.0), True),
        (_train(workers=7), True),
        (_train(keep="best"), False),
        (_train(lr=0.3), False),
        (_train(seed=1), False),
        (replace(CONFIG, folds=replace(CONFIG.folds, use=2)), True),
        (replace(CONFIG, predict=replace(CONFIG.predict, flip=False)), True),
        (replace(CONFIG, augment=AugmentConfig(min_area=0.5)), True),  # not used by crop=pad
        (replace(CONFIG, augment=AugmentConfig(pad=3)), False),
        (replace(CONFIG, model=ModelConfig(name="resnet18")), False),
    ],
)
def test_training_depends_on_the_options_that_it_uses(config, same):
    assert (training_options(config) == training_options(CONFIG)) is same


def test_validation_that_chooses_the_epoch_makes_prediction_a_part_of_training():
    chosen = _train(keep="best")
    shifted = replace(chosen, predict=replace(chosen.predict, shift=2))
    assert training_options(shifted) != training_options(chosen)


def test_weights_count_by_their_content(tmp_path):
    def identity(name: str, content: bytes) -> str:
        path: Path = tmp_path / name
        path.write_bytes(content)
        return weights_identity(replace(CONFIG, model=ModelConfig(weights=str(path))))

    first = identity("a.pth", b"one")
    assert identity("b.pth", b"one") == first
    assert identity("a.pth", b"two") != first
    published = replace(CONFIG, model=ModelConfig(pretrained=True))
    assert len({first, weights_identity(published), weights_identity(CONFIG)}) == 3


def test_a_frame_counts_by_what_is_in_it():
    frame = pd.DataFrame({"image_id": ["1", "2"], "path": ["/a/1.png", "/a/2.png"], "label": ["x", "y"]})
    frame["content_hash"] = ["p", "q"]
    first = frame_identity(frame, {})
    assert frame_identity(frame.assign(path=["b", "c"]), {}) == first
    assert frame_identity(frame[["label", "content_hash", "path", "image_id"]], {}) == first
    assert frame_identity(frame.assign(label=["x", "x"]), {}) != first
    assert frame_identity(frame.assign(content_hash=["p", "p"]), {}) != first
    masks = frame.assign(mask=["m1.png", "m2.png"])
    one = frame_identity(masks, {"mask": ["h1", "h2"]})
    assert frame_identity(masks.assign(mask=["n1.png", "n2.png"]), {"mask": ["h1", "h2"]}) == one
    assert frame_identity(masks, {"mask": ["h1", "h3"]}) != one


def test_training_code_includes_what_validation_needs_only_where_it_decides():
    competition = competition_of("cifar10")
    plain, chosen = training_code(competition, CONFIG), training_code(competition, _train(patience=3))
    assert "prediction/views.py" not in plain and "metrics/classes.py" not in plain
    assert {"prediction/views.py", "metrics/classes.py"} <= set(chosen)
