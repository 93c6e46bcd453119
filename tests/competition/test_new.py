"""make new: what it refuses, and that its folders work at once and edited as their READMEs show."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.base.errors import UserError
from pipeline.competition.new import TEMPLATES, write_competition
from tests.helpers import REPOSITORY

TASKS = tuple(TEMPLATES)
MOST_EDITED = 30
"""Lines that a new user has to edit."""
CONTRACT = 8
"""Tests of the contract for each competition."""
COLUMNS = {
    "classification": "label",
    "detection": "PredictionString",
    "image_to_image": "value",
    "multilabel": "disc",
    "overlapping_segmentation": "rle",
    "regression": "value",
    "segmentation": "rle",
    "soft_labels": "red",
}
"""The first column after the id in the submission of a new folder."""


def execute(tree: Path, *arguments: str) -> subprocess.CompletedProcess:
    """``python -m ...`` with `tree` as the working directory, and no Kaggle account."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KAGGLE")}
    (tree / "home").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=tree,
        env=kept | {"HOME": str(tree / "home"), "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"},
        capture_output=True,
        text=True,
    )


def plant(tree: Path) -> Path:
    """The project without its competitions, in the folder `tree`."""
    (tree / "competitions").mkdir(parents=True)
    (tree / "tests" / "competitions").mkdir(parents=True)
    for package in ("pipeline", "ops"):
        (tree / package).symlink_to(REPOSITORY / package)
    names = ("conftest", "helpers", "competitions/test_contract")
    for name in ("pyproject.toml", "competitions/__init__.py", *(f"tests/{name}.py" for name in names)):
        shutil.copyfile(REPOSITORY / name, tree / name)
    return tree


def hunks(readme: str) -> dict[str, list[list[str]]]:
    """The changes that a README shows for each file: the lines of each."""
    found: dict[str, list[list[str]]] = {}
    for name, block in re.findall(r"in `(\w+\.py)`:\n\n```diff\n(.*?)```", readme, re.DOTALL | re.IGNORECASE):
        found[name] = [part.strip("\n").split("\n") for part in block.split("@@")]
    return found


def edit_as_the_readme_shows(folder: Path) -> int:
    """Apply the changes to the folder; returns how many lines they touch."""
    edited = 0
    for name, changes in hunks((folder / "README.md").read_text()).items():
        text = (folder / name).read_text()
        for lines in changes:
            old = "\n".join(line[1:] for line in lines if not line.startswith("+")) + "\n"
            new = "\n".join(line[1:] for line in lines if not line.startswith("-")) + "\n"
            assert text.count(old) == 1, f"{name} does not have exactly one\n{old}"
            text = text.replace(old, new)
            edited += max(sum(line.startswith(sign) for line in lines) for sign in "+-")
        (folder / name).write_text(text)
    return edited


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """The project with two new competitions of each task: one as it is written, one edited."""
    tree = plant(tmp_path_factory.mktemp("new") / "tree")
    for task in TASKS:
        for slug in (f"plain_{task}", f"edited_{task}"):
            write_competition(tree, slug, task)
        edit_as_the_readme_shows(tree / "competitions" / f"edited_{task}")
    return tree


@pytest.mark.slow
def test_new_folders_pass_the_contract_at_once_and_edited_as_their_readmes_show(tree):
    result = execute(tree, "pytest", "-q", "-p", "no:cacheprovider", "tests/competitions/test_contract.py")
    assert result.returncode == 0, result.stdout
    assert re.search(rf"\b{2 * len(TASKS) * CONTRACT} passed", result.stdout), result.stdout


OWN_TASK = '''"""Leaves, whose truth is called species, with a task that says so."""

from dataclasses import replace

from competitions.leaves import base_competition
from pipeline.tasks.classification.task import Classification


class SpeciesTask(Classification):
    """Classification whose truth is a column of its own; nothing outside a task may read it."""

    target_columns = ("species",)

    def classes(self, train):
        return super().classes(labelled(train))

    def strata(self, train):
        return super().strata(labelled(train))

    def targets(self, frame, classes, config):
        return super().targets(labelled(frame), classes, config)

    def evidence(self, needs, truth, predictions, classes):
        return super().evidence(needs, labelled(truth), predictions, classes)

    def report(self, request):
        return super().report(replace(request, truth=labelled(request.truth)))


def labelled(frame):
    return frame.rename(columns={"species": "label"})


def named(frame):
    return frame.rename(columns={"label": "species"})


class Competition(base_competition.Competition):
    """The template's, but for the task and the name of the column."""

    task = SpeciesTask(label_column="species")

    def load_train(self, raw):
        return named(super().load_train(raw))

    def make_sample(self, raw, seed):
        return named(super().make_sample(raw, seed))
'''


@pytest.mark.slow
def test_a_task_class_of_the_folders_own_passes_the_contract_and_makes_a_submission(tmp_path):
    tree = plant(tmp_path / "tree")
    folder = write_competition(tree, "leaves", "classification")
    (folder / "competition.py").rename(folder / "base_competition.py")
    (folder / "competition.py").write_text(OWN_TASK)
    result = execute(tree, "pytest", "-q", "-p", "no:cacheprovider", "tests/competitions/test_contract.py")
    assert result.returncode == 0, result.stdout
    assert re.search(rf"\b{CONTRACT} passed", result.stdout), result.stdout
    rows = submitted(tree, "leaves")
    assert list(rows.columns) == ["image_id", "species"] and len(rows) == 150


@pytest.mark.parametrize("task", TASKS)
def test_the_readme_names_the_functions_to_edit_and_shows_few_edits(task, tmp_path):
    (tmp_path / "competitions").mkdir()
    folder = write_competition(tmp_path, "leaves", task)
    readme = (folder / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in ("load_train", "load_test", "to_submission"))
    assert set(hunks(readme)) == {"competition.py"}
    assert 0 < edit_as_the_readme_shows(folder) <= MOST_EDITED


def test_new_folders_are_in_style_whatever_their_name(tree):
    write_competition(tree, "a" * 50, "detection")
    write_competition(tree, "z", "classification")
    for command in (("check",), ("format", "--check")):
        result = execute(tree, "ruff", *command, "--no-cache", "competitions")
        assert result.returncode == 0, result.stdout
    for slug in ("a" * 50, "z"):
        shutil.rmtree(tree / "competitions" / slug)


QUICK = ("--folds.use", "1", "--train.epochs", "1", "--train.passes", "1", "--predict.no-flip")


def photos(folder: Path, names: list[str]) -> None:
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for name in names:
        Image.fromarray(random.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / name)


def submitted(tree: Path, slug: str, *arguments: str) -> pd.DataFrame:
    result = execute(tree, f"competitions.{slug}", "submit", *arguments, *QUICK)
    assert result.returncode == 0, result.stderr
    path = result.stdout.splitlines()[-1].removeprefix("submission: ")
    return pd.read_csv(tree / path, dtype=str, keep_default_na=False)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_submit_runs_on_the_sample_of_a_new_folder(tree, task):
    rows = submitted(tree, f"plain_{task}")
    assert rows.columns[1] == COLUMNS[task]
    tested = {path.stem for path in (tree / "data" / f"plain_{task}" / "sample" / "raw" / "test").iterdir()}
    parts = {"segmentation": 1, "overlapping_segmentation": 1, "image_to_image": 2}.get(task, 0)
    named = rows.iloc[:, 0].map(lambda key: key.rsplit("_", parts)[0] if parts else key)
    assert len(rows) and set(named) <= tested


def test_a_folder_of_images_with_a_csv_of_labels_becomes_a_submission(tree, tmp_path):
    raw = tmp_path / "mine"
    known, unknown = [f"oak {n}.jpg" for n in range(30)], [f"tree_{n}.png" for n in range(8)]
    photos(raw / "photos", known)
    photos(raw / "new", unknown)
    table = pd.DataFrame({"by": "me", "filename": known, "species": ["oak", "elm", "ash"] * 10})
    table.to_csv(raw / "labels.csv", index=False)
    rows = submitted(tree, "edited_classification", "--raw", str(raw), "--config", "sample")
    assert list(rows.columns) == ["filename", "species"]
    assert list(rows["filename"]) == unknown
    assert set(rows["species"]) <= {"oak", "elm", "ash"}


def test_a_folder_of_images_with_voc_xml_is_loaded(tree, tmp_path):
    raw = tmp_path / "mine"
    known, unknown = [f"oak_{n}.jpg" for n in range(12)], [f"tree_{n}.jpg" for n in range(4)]
    photos(raw / "photos", known)
    photos(raw / "new", unknown)
    for number, name in enumerate(known):
        (raw / "photos" / name).with_suffix(".xml").write_text(
            "<annotation><folder>photos</folder><size><width>48</width><height>40</height></size>"
            f"<object><name>{'leaf' if number % 2 else 'stem'}</name><bndbox><xmin>5</xmin><ymin>3</ymin>"
            "<xmax>20</xmax><ymax>30</ymax></bndbox></object></annotation>"
        )
    result = execute(tree, "competitions.edited_detection", "data", "--raw", str(raw))
    assert result.returncode == 0, result.stderr
    assert "12 training and 4 test images, 2 classes" in result.stderr
    (manifest,) = (tree / "data" / "edited_detection" / "prepared").glob("*/train.parquet")
    assert [list(box) for box in pd.read_parquet(manifest)["boxes"].iat[0]] == [[4, 2, 20, 30]]


@pytest.mark.parametrize(
    "slug", ["", "Leaves", "leaf-types", "2leaves", "_leaves", "class", "a/b", "..", "é", "a" * 51]
)
def test_a_name_that_is_no_identifier_is_refused(slug, tmp_path):
    (tmp_path / "competitions").mkdir()
    with pytest.raises(UserError, match="cannot name a competition"):
        write_competition(tmp_path, slug, "detection")
    assert list((tmp_path / "competitions").iterdir()) == []


def test_a_name_that_is_taken_is_refused_and_left_alone(tmp_path):
    folder = tmp_path / "competitions" / "leaves"
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match="leaves is there already"):
        write_competition(tmp_path, "leaves", "detection")
    assert list(folder.iterdir()) == [] and list(folder.parent.iterdir()) == [folder]


def test_a_folder_that_comes_up_meanwhile_is_left_alone(tmp_path, monkeypatch):
    taken = tmp_path / "competitions" / "leaves" / "mine.py"
    taken.parent.mkdir(parents=True)
    taken.touch()
    monkeypatch.setattr("os.path.lexists", lambda path: False)
    with pytest.raises(UserError, match="leaves cannot be written"):
        write_competition(tmp_path, "leaves", "detection")
    assert list((tmp_path / "competitions").rglob("*")) == [taken.parent, taken]


def test_nothing_is_left_of_a_folder_that_could_not_be_finished(tmp_path, monkeypatch):
    (tmp_path / "competitions").mkdir()
    written = Path.write_text

    def full(path: Path, *arguments, **options) -> int:
        if path.name == "configs.py":
            raise OSError(28, "No space left on device")
        return written(path, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="No space left"):
        write_competition(tmp_path, "leaves", "detection")
    assert list((tmp_path / "competitions").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("leaves", ""), f"TASK={'|'.join(COLUMNS)}"),
        (("leaves", "poetry"), "no task 'poetry'"),
        (("leaf types", "detection"), "'leaf types' cannot name"),
        (("leaves", "detection"), "no folder competitions"),
    ],
)
def test_the_command_refuses_with_one_sentence_and_status_2(arguments, part, tmp_path):
    (tmp_path / "pipeline").symlink_to(REPOSITORY / "pipeline")
    result = execute(tmp_path, "pipeline.competition.new", *arguments)
    assert result.returncode == 2 and result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ") and part in line


def test_the_command_names_the_new_folder(tmp_path):
    tree = plant(tmp_path / "tree")
    result = execute(tree, "pipeline.competition.new", "leaves", "segmentation")
    assert result.returncode == 0, result.stderr
    assert result.stdout == "competition: competitions/leaves\n"
    names = {path.name for path in (tree / "competitions" / "leaves").iterdir()}
    assert names == {"__init__.py", "__main__.py", "README.md", "competition.py", "configs.py"}
