"""Equal folds are trained once, and only equal ones; what is damaged is made again or named."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from competitions.cifar10.competition import Competition
from pipeline.base.errors import UserError
from pipeline.base.paths import Paths
from pipeline.competition.prepared import Prepared
from pipeline.experiment import description
from pipeline.experiment import experiment as experiments
from pipeline.experiment.description import changed
from pipeline.experiment.experiment import Experiment
from pipeline.experiment.sharing import (
    begin_prediction,
    mark_predicted,
    prediction_is_there,
    take_predictions,
)
from pipeline.experiment.work import finish, train
from pipeline.runs.run import read_frame, save_frame
from pipeline.tasks.classification.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from tests.helpers import TINY
from tests.training.small import few

ONE = Config(
    folds=FoldConfig(count=4, use=1),
    model=ModelConfig(name=TINY),
    train=TrainConfig(epochs=2, batch_size=20, amp="off"),
    predict=PredictConfig(flip=False),
)


@pytest.fixture(scope="module")
def data(prepared_sample, tmp_path_factory) -> Prepared:
    return few(prepared_sample("cifar10").data, tmp_path_factory.mktemp("few") / "data", train=80)


@pytest.fixture
def make(data, tmp_path):
    """Function from changes of `ONE`, by group, to an experiment; all are of one project."""

    def made(name: str = "one", **groups: dict) -> Experiment:
        changes = {group: replace(getattr(ONE, group), **values) for group, values in groups.items()}
        return Experiment(
            competition=Competition(),
            name=name,
            config=replace(ONE, **changes),
            source_kind="sample",
            data=data,
            paths=Paths(tmp_path / "data", tmp_path / "runs", tmp_path / "submissions"),
            device="cpu",
        )

    return made


@pytest.fixture
def trainings(monkeypatch) -> list[int]:
    """The folds that are really trained from now on."""
    folds, train = [], experiments.train_fold

    def training(job, log=None):
        folds.append(job.fold)
        return train(job, log)

    monkeypatch.setattr(experiments, "train_fold", training)
    return folds


def files_of(experiment: Experiment, *names: str) -> list[bytes]:
    return [(experiment.run.fold(0) / name).read_bytes() for name in names]


# --- what is equal


@pytest.mark.parametrize(
    "changes",
    [
        {"predict": {"shift": 2}},
        {"predict": {"flip": True, "batch_size": 7}},
        {"folds": {"use": 2}},
        {"train": {"max_minutes": 60.0}},
        {"train": {"workers": 0}},
    ],
    ids=["predict", "predict-batch", "use", "max_minutes", "workers"],
)
def test_a_fold_is_taken_where_only_what_training_does_not_use_differs(make, trainings, capsys, changes):
    first, second = make(), make(**changes)
    train([first])
    second.train_fold(0)
    assert trainings == [0]
    assert files_of(first, "last.pt", "history.csv") == files_of(second, "last.pt", "history.csv")
    if second.run != first.run:
        assert f"fold 0: taken from {first.run.name}, where it was trained" in capsys.readouterr().err


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {"lr": 0.05}},
        {"train": {"seed": 1}},
        {"folds": {"seed": 1}},
        {"augment": {"pad": 2}},
        {"model": {"drop_rate": 0.1}},
    ],
    ids=["lr", "seed", "split", "augment", "model"],
)
def test_a_fold_is_trained_where_its_training_differs(make, trainings, changes):
    train([make()])
    make(**changes).train_fold(0)
    assert trainings == [0, 0]


def test_predictions_are_taken_with_the_folds(make, trainings, capsys):
    first, second = make(folds={"use": 2}), make()
    finish([first])
    finish([second])
    assert trainings == [0, 1]
    said = capsys.readouterr().err
    assert f"fold 0: oof predictions taken from {first.run.name}" in said
    assert f"fold 0: test predictions taken from {first.run.name}" in said
    assert files_of(first, "oof.parquet", "test.parquet") == files_of(second, "oof.parquet", "test.parquet")
    assert len(pd.read_parquet(second.run.folder / "oof.parquet")) == 20


def test_a_fold_cut_by_its_time_limit_is_taken_only_under_the_same_limit(make, trainings):
    cut = {"train": {"max_minutes": 1e-9}}
    train([make(**cut)])
    train([make(**cut, predict={"shift": 2})])
    assert trainings == [0]
    train([make()])
    train([make(train={"max_minutes": 2e-9})])
    assert trainings == [0, 0], "that is trained by now, and to its end"


def test_a_limit_counts_also_where_there_is_patience(make, trainings):
    train([make(train={"max_minutes": 1e-9, "patience": 5})])
    train([make(train={"patience": 5})])
    assert trainings == [0, 0]


# --- what is damaged


@pytest.mark.parametrize("content", [b"", b"rubbish", b"epoch,loss\n1,2\n"])
def test_a_damaged_history_is_made_again_from_the_checkpoint(make, capsys, content):
    finish([make()])
    path = make().run.fold(0) / "history.csv"
    before = path.read_bytes()
    path.write_bytes(content)
    capsys.readouterr()
    finish([make()])
    assert path.read_bytes() == before and "epoch 1/2" not in capsys.readouterr().err
    assert list(make().histories()) == ["fold 0"] and make().minutes() > 0


@pytest.mark.parametrize("split", ["oof", "test"])
@pytest.mark.parametrize("content", [b"", b"PAR1rubbish"])
def test_damaged_predictions_of_a_fold_are_made_again(make, trainings, split, content):
    finish([make()])
    paths = [make().run.fold(0) / f"{split}.parquet", make().run.folder / f"{split}.parquet"]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.write_bytes(content)
    finish([make()])
    assert [path.read_bytes() for path in paths] == before and trainings == [0]


@pytest.mark.parametrize("name", ["trained.json", "predicted.json"])
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"oof": 1, "identity": 2, "files": []}'])
def test_what_a_fold_says_of_itself_may_be_damaged(make, capsys, name, content):
    finish([make()])
    path = make().run.fold(0) / name
    before = json.loads(path.read_text())
    path.write_text(content)
    capsys.readouterr()
    finish([make(predict={"shift": 2})])  # looks at it, too
    finish([make()])
    assert before.items() <= json.loads(path.read_text()).items()


def test_a_damaged_checkpoint_is_named_and_after_that_trained_again(make, trainings):
    train([make()])
    path = make().run.fold(0) / "last.pt"
    before = path.read_bytes()
    path.write_bytes(b"rubbish")
    with pytest.raises(UserError, match=r"fold0/last\.pt is no checkpoint .*: delete it to train again"):
        train([make()])
    path.unlink()
    finish([make()])
    assert trainings == [0, 0, 0] and len(path.read_bytes()) == len(before)


def test_a_damaged_checkpoint_of_another_run_is_not_taken(make, trainings):
    train([make()])
    (make().run.fold(0) / "last.pt").write_bytes(b"rubbish")
    finish([make(predict={"shift": 2})])
    assert trainings == [0, 0]


@pytest.mark.parametrize("name", ["config.json", "folds.parquet", "options.json"])
def test_a_damaged_file_of_another_run_is_in_nobodys_way(make, name, capsys):
    finish([make()])
    (make().run.folder / name).write_text("rubbish")
    finish([make(train={"lr": 0.05})])
    assert ("cannot be read, so that run is left out" in capsys.readouterr().err) == (name == "config.json")


def test_damaged_folds_are_assigned_again(make, tmp_path, data):
    train([make()])
    (path,) = (tmp_path / "data" / "cifar10" / "folds").iterdir()
    before = path.read_bytes()
    for one in (path, make().run.folder / "folds.parquet"):
        one.write_text("rubbish")
    finish([make()])
    assert path.read_bytes() == before
    assert len(pd.read_parquet(make().run.folder / "folds.parquet")) == len(data.train)


def test_predictions_are_whole_with_all_the_files_they_refer_to(tmp_path):
    """Maps of a segmentation: one that is gone is predicted again, wherever they are."""
    first, second = tmp_path / "a" / "fold0", tmp_path / "b" / "fold0"
    maps = [first / "oof" / f"{name}.npz" for name in "xy"]
    begin_prediction(first, "oof", "same")
    (first / "oof").mkdir()
    for path in maps:
        path.write_text("a map")
    frame = pd.DataFrame({"image_id": ["x", "y"], "map_file": [str(path) for path in maps]})
    save_frame(frame, first / "oof.parquet")
    mark_predicted(first, "oof", "same")
    assert prediction_is_there(first, "oof", "same") and not prediction_is_there(first, "oof", "other")
    take_predictions(first, second, "oof")
    mark_predicted(second, "oof", "same")
    taken = read_frame(second / "oof.parquet")["map_file"]
    assert [Path(name).parent for name in taken] == [second / "oof"] * 2
    maps[0].unlink()
    assert not prediction_is_there(first, "oof", "same") and prediction_is_there(second, "oof", "same")
    begin_prediction(first, "oof", "same")
    assert maps[1].exists(), "what is right stays"
    begin_prediction(first, "oof", "other")
    assert not maps[1].exists()


# --- what changed


def test_changes_are_told_as_they_are_typed(make):
    before = json.loads(json.dumps(make().identity))
    assert changed(before, make().identity) == []
    other = make(train={"lr": 0.05}, predict={"shift": 2}).identity
    assert changed(before, other) == ["--train.lr 0.1 -> 0.05", "--predict.shift 0 -> 2"]
    training = {**other["code"]["training"], "training/loop.py": "0"}
    assert changed(before, {**make().identity, "weights": "mine", "test_data": "x"}) == [
        "other test data",
        "other weights",
    ]
    assert changed(before, {**make().identity, "code": {**other["code"], "training": training}}) == [
        "other code: training/loop.py"
    ]


def test_a_run_that_went_on_under_other_code_shares_its_folds_with_none(make, trainings, monkeypatch):
    first = make(folds={"use": 2})
    first.train_fold(0)
    code = description.training_code
    monkeypatch.setattr(description, "training_code", lambda *given: code(*given) | {"x.py": "0"})
    goes_on = replace(make(folds={"use": 2}), unfinished=first.run)
    train([goes_on])
    assert trainings == [0, 0, 1], "the finished fold is opened, and has no epoch left"
    (entry,) = json.loads((first.run.folder / "continued.json").read_text())
    assert entry["changes"] == ["other code: x.py"]
    train([make()])
    assert trainings == [0, 0, 1, 0]


def test_jobs_name_places_that_do_not_depend_on_the_working_folder(make, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    job = replace(make(), paths=Paths(Path("data"), Path("runs"), Path("submissions"))).job(0)
    assert job.folder.is_absolute() and job.folds.is_absolute() and job.data.is_absolute()
