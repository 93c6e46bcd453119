"""The stage that blends: for every kind of task, with runs made by hand."""

import importlib
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.base.files import write_json
from pipeline.base.paths import default_paths
from pipeline.competition.prepared import Prepared
from pipeline.config.config import members_of
from pipeline.inputs.batches import Images
from pipeline.runs.ledger import read_ledger
from pipeline.runs.run import save_frame
from pipeline.stages.context import Context
from pipeline.stages.main import main
from pipeline.track.wandb_log import Tracker
from tests.helpers import competition_of, ideal_predictions, untrained_predictions

SIZES = {
    "cifar10": {"TRAIN": 40, "TEST": 8},
    "voc": {"TRAIN": 6, "VALID": 2, "TEST": 2},
    "coco": {"TRAIN": 8, "TEST": 2},
}


class Project:
    """A working folder with the sample of a competition as raw files."""

    def __init__(self, slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
        sample = importlib.import_module(f"competitions.{slug}.sample")
        for name, count in SIZES[slug].items():
            monkeypatch.setattr(sample, name, count)
        self.competition = competition_of(slug)
        self.configs = importlib.import_module(f"competitions.{slug}.configs").CONFIGS
        (self.config, *_) = members_of(self.configs["sample"])
        self.competition.make_sample(Path("raw"), 5)
        self.runs = Path("runs") / slug

    @cached_property
    def data(self) -> Prepared:
        return Context(
            competition=self.competition, configs=self.configs, paths=default_paths(), raw=Path("raw")
        ).data

    def describe(self, name: str, **parts: object) -> None:
        """Write the config.json of a run on this data."""
        identities = {"train_data": self.data.train_identity, "test_data": self.data.test_identity}
        write_json(self.runs / name / "config.json", identities | parts)

    def add(self, name: str, folds: int, ideal: bool = False) -> Path:
        """A finished run that knows everything or nothing; with one fold, half the images are validated."""
        data, folder = self.data, self.runs / name
        numbers = np.arange(len(data.train)) % max(folds, 2)
        frame = data.train[["image_id"]].assign(fold=numbers if folds > 1 else numbers - 1)
        rows = np.flatnonzero(frame["fold"] >= 0)
        self.describe(name, config=self.config.to_json())
        write_json(folder / "options.json", self.config.to_json())
        save_frame(frame, folder / "folds.parquet")
        test = self._untrained("test", np.arange(len(data.test)), folder)
        save_frame(test, folder / "test.parquet")
        if ideal:
            seen = data.train.iloc[rows].reset_index(drop=True)
            oof = ideal_predictions(self.competition.task, seen, data.classes, folder / "oof")
        else:
            oof = self._untrained("train", rows, folder)
        save_frame(oof[list(test.columns)], folder / "oof.parquet")
        write_json(folder / "summary.json", {"minutes": 1.5})
        return folder

    def _untrained(self, split: str, rows: np.ndarray, folder: Path) -> pd.DataFrame:
        images = self.data.images(split)
        some = Images(
            images.frame.iloc[rows].reset_index(drop=True),
            None if images.packed is None else images.packed[rows],
        )
        target = folder / ("oof" if split == "train" else split)
        return untrained_predictions(self.competition, self.config, self.data, some, target)

    def add_ensemble(self, name: str, *members: str) -> None:
        folder, first = self.runs / name, self.runs / members[0]
        self.describe(name, members=members)
        for table in ("oof.parquet", "test.parquet"):
            (folder / table).write_bytes((first / table).read_bytes())
        write_json(folder / "summary.json", {"minutes": 3.0})

    def blend(self, *arguments: str) -> None:
        main(self.competition, self.configs, ["blend", "--raw", "raw", *arguments])

    def refusal(self, capsys: pytest.CaptureFixture, *arguments: str) -> str:
        """The last line of a blend that ends with status 2."""
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            self.blend(*arguments)
        assert stop.value.code == 2
        return capsys.readouterr().err.splitlines()[-1]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Function from a competition to its project, in the working folder."""
    monkeypatch.chdir(tmp_path)
    return lambda slug: Project(slug, monkeypatch)


@pytest.mark.parametrize(
    ("slug", "folds", "method"),
    [("cifar10", 4, "climb"), ("cifar10", 1, "mean"), ("voc", 2, "mean"), ("coco", 1, "mean")],
)
def test_the_default_method_suits_the_task_and_the_folds(project, capsys, slug, folds, method):
    made = project(slug)
    made.add("good", folds, ideal=True)
    made.add("bad", folds)
    made.blend("--runs", "good", "bad")
    told, said = capsys.readouterr()
    assert f"blending by {method}: " in said and f"blend of 2 runs: {method}" in said
    path = Path(told.splitlines()[-1].removeprefix("submission: "))
    assert path.is_file()
    (row,) = read_ledger(path.with_name("ledger.csv")).to_dict("records")
    assert (row["run"], row["config"], row["data"]) == (path.stem, "blend", "folder")
    assert (row["folds"], row["minutes"]) == (str(folds), "3.0")
    frame = pd.read_parquet(made.runs / path.stem / "oof.parquet")
    assert set(frame["image_id"]) == set(pd.read_parquet(made.runs / "good" / "oof.parquet")["image_id"])
    assert float(row["cv_score"]) > 0.5  # one of the members knows everything


def test_the_score_of_each_member_is_told_and_a_blend_without_gain(project, capsys):
    made = project("cifar10")
    made.add("good", 2, ideal=True)
    made.add("bad", 2)
    made.blend("--runs", "good", "bad", "--method", "climb")
    said = capsys.readouterr().err
    assert "accuracy 1.0000  good" in said and "  bad" in said
    assert "warning: the blend (accuracy 1.0000) is no better than its best member, good (1.0000)" in said


def test_a_run_twice_is_refused(project, capsys):
    told = project("cifar10").refusal(capsys, "--runs", "a", "b", "a")
    assert "a is named twice: name each run once" in told


def test_a_method_that_does_not_suit_is_refused(project, capsys):
    made = project("voc")
    made.add("a", 2)
    made.add("b", 2)
    told = made.refusal(capsys, "--runs", "a", "b", "--method", "climb")
    assert "there is no --method climb here: mean: " in told
    assert not Path("submissions").exists() and not list(made.runs.glob("blend-*"))


def test_one_fold_and_a_method_that_fits_are_refused(project, capsys):
    made = project("cifar10")
    made.add("a", 1)
    made.add("b", 1)
    told = made.refusal(capsys, "--runs", "a", "b", "--method", "stack")
    assert "one fold alone" in told and not Path("submissions").exists()


def test_a_member_of_other_data_is_refused_before_anything_is_written(project, capsys):
    made = project("cifar10")
    made.add("a", 2)
    made.add("b", 2)
    made.describe("b", train_data="another")
    told = made.refusal(capsys, "--runs", "a", "b")
    assert "b was trained on other data than this: give the same RAW= or DATA=" in told
    assert not Path("submissions").exists() and not list(made.runs.glob("blend-*"))


def test_ensembles_can_be_blended_and_all_weights_are_found(project, capsys, monkeypatch):
    """An ensemble has no folds and no weights of its own: its members have."""
    made = project("cifar10")
    for name, keep in (("a", "best"), ("b", "last"), ("c", "last")):
        folder = made.add(name, 2)
        for fold in range(2):
            write_json(folder / f"fold{fold}" / "trained.json", {"keep": keep})
    made.add_ensemble("both", "a", "b")
    given = []
    monkeypatch.setattr(Tracker, "summary", lambda tracker, *facts: given.append(facts[4]))
    made.blend("--runs", "both", "c", "--track.artifacts", "all")
    names = [path.relative_to(made.runs).as_posix() for path in given[0]]
    assert names == [
        f"{name}/fold{fold}/{kept}.pt"
        for name, kept in (("a", "best"), ("b", "last"), ("c", "last"))
        for fold in range(2)
    ]
    made.blend("--runs", "both", "c", "--method", "mean")
    assert given[1] == []


def test_a_blend_that_is_done_is_handed_out_as_it_is(project, capsys):
    made = project("cifar10")
    made.add("a", 2)
    made.add("b", 2)
    made.blend("--runs", "a", "b", "--method", "mean")
    ledger = Path("submissions") / "cifar10" / "ledger.csv"
    rows, told = ledger.read_bytes(), capsys.readouterr().out
    made.blend("--runs", "a", "b", "--method", "mean", "--out", "copy.csv")
    again, said = capsys.readouterr()
    assert again == told and "already done: blend-" in said and ledger.read_bytes() == rows
    assert Path("copy.csv").read_bytes() == Path(told.strip().removeprefix("submission: ")).read_bytes()
