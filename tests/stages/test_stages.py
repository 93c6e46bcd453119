"""Stages beyond the plain run: ensembles, the preview picture, and the exported folders."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from competitions.cifar10 import sample
from competitions.cifar10.competition import CLASSES, Competition
from pipeline.experiment import description, experiment
from pipeline.stages.main import main
from pipeline.tasks.classification.config import (
    AugmentConfig,
    Config,
    Ensemble,
    FoldConfig,
    ModelConfig,
    PredictConfig,
    TrainConfig,
)
from pipeline.training import loop
from pipeline.training.checkpoint import Checkpoint
from tests.helpers import TINY

ONE = Config(
    folds=FoldConfig(scheme="holdout", valid_ratio=0.2),
    model=ModelConfig(name=TINY),
    augment=AugmentConfig(cutmix=1.0),
    train=TrainConfig(epochs=1, batch_size=50, amp="off"),
    predict=PredictConfig(flip=False),
)
OTHER = replace(ONE, train=replace(ONE.train, seed=7))
CONFIGS = {"one": ONE, "both": Ensemble((ONE, OTHER))}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with 200 training and 40 test images in ``raw``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sample, "TRAIN", 200)
    monkeypatch.setattr(sample, "TEST", 40)
    sample.write_sample(tmp_path / "raw", CLASSES, seed=5)
    return tmp_path


def _stage(capfd, stage: str, *arguments: str) -> str:
    main(Competition(), CONFIGS, [stage, "--raw", "raw", *arguments])
    return capfd.readouterr().out.splitlines()[-1]


def _told(capfd, stage: str, *arguments: str) -> tuple[str, str]:
    """What a stage says on stdout and on stderr."""
    capfd.readouterr()
    main(Competition(), CONFIGS, [stage, "--raw", "raw", *arguments])
    return capfd.readouterr()


def test_an_ensemble_averages_its_members_by_image_id(folder, capfd):
    line = _stage(capfd, "submit", "--config", "both")
    runs = {path.name.split("-")[0]: path for path in (folder / "runs" / "cifar10").iterdir()}
    assert set(runs) == {"both", "both1", "both2"}
    frames = [pd.read_parquet(runs[name] / "test.parquet") for name in ("both", "both1", "both2")]
    joined, first, second = (frame.set_index("image_id").sort_index() for frame in frames)
    assert np.allclose(joined, (first + second) / 2, atol=1e-6)
    about = json.loads((folder / line.removeprefix("submission: ")).with_suffix(".json").read_text())
    assert len(about["folds"]) == 1, "the members were validated on the same images"


def test_overrides_reach_every_member(folder, capfd):
    _stage(capfd, "submit", "--config", "both", "--train.epochs", "2")
    members = [path for path in (folder / "runs" / "cifar10").iterdir() if path.name[4].isdigit()]
    configs = [json.loads((path / "config.json").read_text())["config"] for path in members]
    assert [config["train"]["epochs"] for config in configs] == [2, 2]
    assert sorted(config["train"]["seed"] for config in configs) == [0, 7]


def test_preview_draws_the_augmented_images(folder, capfd):
    _stage(capfd, "preview", "--config", "one", "--out", "grid.png")
    with Image.open(folder / "grid.png") as picture:
        assert picture.width > 800
        assert len(np.unique(np.asarray(picture.convert("L")))) > 100


def test_the_learning_rate_stage_suggests_and_draws(folder, capfd):
    line = _stage(capfd, "lr-find", "--config", "one", "--out", "lr.png")
    assert line == "learning rates: lr.png"
    with Image.open(folder / "lr.png") as picture:
        assert picture.width > 300


def test_losses_that_suggest_no_learning_rate_are_drawn_all_the_same(folder, capfd, monkeypatch):
    monkeypatch.setattr("pipeline.stages.lr_find.training_step", lambda *_: lambda lr: 1 + lr)
    with pytest.raises(SystemExit) as stop:
        _stage(capfd, "lr-find", "--config", "one", "--out", "lr.png")
    assert stop.value.code == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert "fell at no learning rate" in error and "drawn in lr.png" in error
    with Image.open(folder / "lr.png") as picture:
        assert picture.width > 300


def test_export_links_every_image_once_for_each_use(folder, capfd):
    _stage(capfd, "class-folders", "--config", "one", "--out", "tree")
    assert len(list((folder / "tree" / "train_valid").glob("*/*.png"))) == 200
    assert len(list((folder / "tree" / "valid").glob("*/*.png"))) == 40
    assert len(list((folder / "tree" / "test" / "unknown").iterdir())) == 40


def test_folds_are_shared_by_runs_and_saved_with_each(folder, capfd):
    _stage(capfd, "train", "--config", "both")
    saved = [pd.read_parquet(path) for path in (folder / "runs" / "cifar10").glob("*/folds.parquet")]
    assert len(saved) == 2
    pd.testing.assert_frame_equal(*saved)
    assert len(list((folder / "data" / "cifar10" / "folds").iterdir())) == 1


def test_a_run_that_only_predicts_otherwise_is_not_trained_again(folder, capfd):
    first = _stage(capfd, "submit", "--config", "one").removeprefix("submission: ")
    told, said = _told(capfd, "submit", "--config", "one", "--predict.shift", "2")
    assert "fold 0: taken from one-" in said and "epoch 1/1" not in said
    second = told.splitlines()[-1].removeprefix("submission: ")
    runs = [folder / "runs" / "cifar10" / Path(submission).stem for submission in (first, second)]
    weights = [Checkpoint.load(run / "fold0" / "last.pt", Config).state for run in runs]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    tables = [pd.read_parquet(run / "oof.parquet") for run in runs]
    assert not tables[0].equals(tables[1])


def test_the_best_epoch_is_chosen_by_predicting_so_that_is_trained_again(folder, capfd):
    _stage(capfd, "train", "--config", "one", "--train.keep", "best")
    _, said = _told(capfd, "train", "--config", "one", "--train.keep", "best", "--predict.shift", "2")
    assert "epoch 1/1" in said


@pytest.mark.parametrize("shift", ["0", "2"])
def test_a_fold_whose_weights_were_deleted_is_trained_and_not_borrowed(folder, capfd, shift):
    _stage(capfd, "train", "--config", "one")
    next((folder / "runs" / "cifar10").glob("one-*/fold0/last.pt")).unlink()
    _, said = _told(capfd, "predict", "--config", "one", "--predict.shift", shift)
    assert "epoch 1/1" in said


def test_a_change_is_named_since_the_newest_run_of_the_config(folder, capfd):
    """A run whose description cannot be read is told of, and left out."""
    _stage(capfd, "train", "--config", "one")
    broken = folder / "runs" / "cifar10" / "one-20260101-0123abcd"
    (broken / "fold0").mkdir(parents=True)
    (broken / "config.json").write_text('{"config": {"tr')
    _, said = _told(capfd, "train", "--config", "one", "--train.lr", "0.05", "--train.warmup", "0.2")
    assert "--train.lr 0.1 -> 0.05; --train.warmup 0.1 -> 0.2\n" in said
    assert f"warning: {broken.relative_to(folder) / 'config.json'} cannot be read" in said


def test_three_trained_folds_of_four_become_a_submission_of_three(folder, capfd):
    folds = ("--folds.scheme", "stratified", "--folds.count", "4")
    _stage(capfd, "train", "--config", "one", *folds, "--folds.use", "3")
    told, said = _told(capfd, "submit", "--config", "one", *folds, "--folds.use", "3")
    assert "epoch 1/1" not in said
    about = json.loads((folder / told.strip().removeprefix("submission: ")).with_suffix(".json").read_text())
    assert len(about["folds"]) == 3


def test_of_a_run_that_was_stopped_the_trained_folds_become_a_submission(folder, capfd, monkeypatch):
    """Four were wanted; the process ended in the fourth."""
    folds = ("--folds.scheme", "stratified", "--folds.count", "4")
    train = loop.train_fold

    def until_the_fourth(job, log=None):
        if job.fold == 3:
            raise KeyboardInterrupt
        return train(job, log)

    with monkeypatch.context() as patch:
        patch.setattr(experiment, "train_fold", until_the_fourth)
        with pytest.raises(SystemExit) as stop:
            _told(capfd, "submit", "--config", "one", *folds)
        assert stop.value.code == 130
    told, said = _told(capfd, "submit", "--config", "one", *folds, "--folds.use", "3")
    assert "epoch 1/1" not in said and said.count("taken from one-") >= 3
    about = json.loads((folder / told.strip().removeprefix("submission: ")).with_suffix(".json").read_text())
    assert len(about["folds"]) == 3


def test_an_unfinished_run_goes_on_under_changed_code_and_records_it(folder, capfd, monkeypatch):
    _stage(capfd, "train", "--config", "one")
    (run,) = (folder / "runs" / "cifar10").iterdir()
    before = (run / "config.json").read_bytes()
    changed = {"tasks/classification/task.py": "0123abcd"}
    code = description.training_code
    monkeypatch.setattr(description, "training_code", lambda *given: code(*given) | changed)
    told, said = _told(capfd, "submit", "--run", run.name)
    assert told.strip() == f"submission: submissions/cifar10/{run.name}.csv"
    assert "goes on under today's code" in said and "epoch 1/1" not in said
    (entry,) = json.loads((run / "continued.json").read_text())
    assert entry["changes"] == ["other code: tasks/classification/task.py"]
    assert (run / "config.json").read_bytes() == before
    _, said = _told(capfd, "train", "--config", "one")
    assert "epoch 1/1" in said, "weights of the code of another day are not passed off as today's"


def test_a_run_that_goes_on_under_the_same_code_has_nothing_to_record(folder, capfd):
    _stage(capfd, "train", "--config", "one", "--train.lr", "0.05")
    (run,) = (folder / "runs" / "cifar10").iterdir()
    _told(capfd, "submit", "--run", run.name)
    assert not (run / "continued.json").exists()
    assert json.loads((run / "summary.json").read_text())["config"]["train"]["lr"] == 0.05


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda run: (run / "summary.json").write_text("{}"), "is finished"),
        (lambda run: (run / "options.json").write_text("{"), "options.json holds no options of this version"),
        (lambda run: (run / "options.json").write_text('{"old": {}}'), "holds no options of this version"),
        (lambda run: (run / "config.json").write_text("["), "config.json cannot be read: remove the folder"),
        (lambda run: (run / "config.json").write_text('{"train_data": "x"}'), "was begun on other data"),
        (lambda run: (run / "config.json").write_text('{"members": ["a"]}'), "is made of other runs"),
    ],
)
def test_a_run_that_cannot_go_on_says_why(folder, capfd, damage, words):
    _stage(capfd, "train", "--config", "one")
    (run,) = (folder / "runs" / "cifar10").iterdir()
    damage(run)
    with pytest.raises(SystemExit) as stop:
        _told(capfd, "train", "--run", run.name)
    error = capfd.readouterr().err.splitlines()[-1]
    assert stop.value.code == 2 and error.startswith("error: ") and words in error


def test_out_that_cannot_be_written_names_the_submission(folder, capfd):
    (folder / "file").write_text("")
    with pytest.raises(SystemExit) as stop:
        main(Competition(), CONFIGS, ["submit", "--raw", "raw", "--config", "one", "--out", "file/s.csv"])
    error = capfd.readouterr().err.splitlines()[-1]
    assert stop.value.code == 2
    assert "file/s.csv cannot be written" in error and "submissions/cifar10/one-" in error


def test_a_comparison_reads_the_scores_that_a_run_keeps(folder, capfd, monkeypatch):
    _stage(capfd, "submit", "--config", "one")
    line = _stage(capfd, "compare", "--config", "one")
    first = pd.read_csv(folder / line.removeprefix("comparison: "))
    monkeypatch.setattr(
        "pipeline.delivery.deliver.evaluation_of", lambda *given: pytest.fail("evaluated again")
    )
    line = _stage(capfd, "compare", "--config", "one")
    pd.testing.assert_frame_equal(pd.read_csv(folder / line.removeprefix("comparison: ")), first)
    kept = json.loads(next((folder / "runs" / "cifar10").glob("one-*/evaluation.json")).read_text())
    assert kept["scores"]["cv_accuracy"] == pytest.approx(first["cv_accuracy"].iat[0])


def _rows(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "submissions" / "cifar10" / "ledger.csv", keep_default_na=False)


def _times(folder: Path) -> dict[Path, int]:
    kinds = (".csv", ".json", ".html", ".parquet")
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in kinds}


def test_a_run_is_told_by_its_note_and_what_was_changed(folder, capfd):
    _, said = _told(capfd, "submit", "--config", "one", "--train.lr", "0.05", "--note", "half the rate")
    assert f"{TINY}, 32 pixels, --train.lr 0.05, “half the rate”" in said
    (row,) = _rows(folder).to_dict("records")
    assert (row["model"], row["size"], row["changed"]) == (TINY, 32, "--train.lr 0.05")
    assert row["note"] == "half the rate" and row["cv_std"] == "", "one fold has no spread"
    (run,) = (folder / "runs" / "cifar10").iterdir()
    page = (run / "report.html").read_text()
    assert "half the rate" in page and "--train.lr 0.05" in page


def test_repeating_a_finished_command_changes_nothing_but_a_note(folder, capfd):
    command = ("submit", "--config", "one", "--note", "first")
    _stage(capfd, *command)
    before = {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.suffix in (".csv", ".json", ".html")
    }
    _, said = _told(capfd, *command)
    assert "already done: one-" in said and "epoch" not in said
    after = {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.suffix in (".csv", ".json", ".html")
    }
    assert after == before
    _, said = _told(capfd, "submit", "--config", "one", "--note", "second")
    (row,) = _rows(folder).to_dict("records")
    assert row["note"] == "second" and "its note is now: second" in said


def test_compared_values_are_runs_with_rows(folder, capfd):
    lists = ("--train.lr", "0.05,0.2", "--folds.scheme", "stratified", "--folds.count", "4")
    _, said = _told(capfd, "compare", "--config", "one", *lists, "--folds.use", "1")
    table = pd.read_csv(folder / "runs" / "cifar10" / "comparison.csv")
    assert len(table) == 2 and table["changed"].str.contains("--train.lr 0.05|--train.lr 0.2").all()
    assert table["cv_std"].isna().all() and set(_rows(folder)["run"]) == set(table["run"])
    assert "do not compare" not in said
    _, said = _told(capfd, "compare", "--config", "one", *lists, "--folds.use", "1")
    assert said.count("already done: ") == 2 and "epoch" not in said


def test_runs_validated_on_other_images_do_not_compare(folder, capfd):
    _, said = _told(capfd, "compare", "--config", "one", "--folds.valid-ratio", "0.2,0.3")
    assert "was validated on other images than one-" in said and "their scores do not compare" in said


def test_a_list_with_a_wrong_value_is_refused_before_anything_is_read(folder, capfd):
    with pytest.raises(SystemExit) as stop:
        _told(capfd, "compare", "--config", "one", "--train.lr", "0.1,many")
    assert stop.value.code == 2 and "--train.lr" in capfd.readouterr().err
    assert not (folder / "data").exists() and not (folder / "runs").exists()


def test_a_run_explains_itself(folder, capfd):
    _told(capfd, "submit", "--config", "one", "--train.lr", "0.05", "--note", "why")
    (run,) = (folder / "runs" / "cifar10").iterdir()
    capfd.readouterr()
    main(Competition(), CONFIGS, ["explain", "--run", run.name])
    out, said = capfd.readouterr()
    page = (folder / out.strip().removeprefix("explained: ")).read_text()
    for text in (
        "why",
        "--train.lr",
        "0.1 -&gt; 0.05",
        "finished",
        "1 epochs",
        "Options that differ",
        "folder",
    ):
        assert text in page
    assert "state: finished" in said
    with pytest.raises(SystemExit) as stop:
        main(Competition(), CONFIGS, ["explain", "--run", "gone"])
    assert stop.value.code == 2 and f"there are {run.name}" in capfd.readouterr().err


def test_pseudo_labels_and_distillation_of_an_earlier_run(folder, capfd):
    _stage(capfd, "submit", "--config", "one", "--folds.scheme", "stratified", "--folds.count", "2")
    (run,) = (path.name for path in (folder / "runs" / "cifar10").iterdir())
    split = ("--folds.scheme", "stratified", "--folds.count", "2")
    told, said = _told(capfd, "submit", "--config", "one", "--pseudo", run, "--distill", run, *split)
    assert told.startswith("submission: ") and "100 images to learn from" not in said
    assert said.count("40 of 40 test images added with their hard pseudo-labels") == 2
    assert said.count("0.5 of the targets of 100 images is predicted") == 2
    options = json.loads(next((folder / "runs" / "cifar10").glob("*/options.json")).read_text())
    assert set(options["pseudo"]) == {"run", "kind", "threshold"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--pseudo", "nobody"), "there is no finished run nobody in runs/cifar10: make submit makes one"),
        (("--distill.run", "nobody"), "there is no finished run nobody"),
        (("--pseudo.threshold", "0.9"), "--pseudo.threshold would do nothing, because --pseudo names no run"),
        (("--distill.weight", "2", "--distill", "a"), "--distill.weight is 2.0, and must be from 0.001 to 1"),
        (
            ("--run", "nobody", "--pseudo", "a"),
            "--run goes on with the options of nobody: leave out --config, --pseudo",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused_before_any_data_is_read(folder, capfd, arguments, message):
    with pytest.raises(SystemExit) as stop:
        _stage(capfd, "submit", "--config", "one", *arguments)
    assert stop.value.code == 2 and message in capfd.readouterr().err.splitlines()[-1]
    assert not (folder / "data").exists()


def test_a_kernel_has_no_earlier_runs(folder, capfd, monkeypatch):
    (folder / "runs" / "cifar10" / "earlier").mkdir(parents=True)
    (folder / "runs" / "cifar10" / "earlier" / "summary.json").write_text("{}")
    with pytest.raises(SystemExit) as stop:
        main(Competition(), CONFIGS, ["kernel", "--config", "one", "--pseudo", "earlier"])
    assert stop.value.code == 2 and "a kernel has no earlier runs to learn from" in capfd.readouterr().err
