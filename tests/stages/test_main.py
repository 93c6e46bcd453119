"""The command line: help for everything, and the closest names for what does not exist."""

import re

import pytest

from competitions.cifar10.competition import Competition
from competitions.cifar10.configs import CONFIGS
from pipeline.stages.main import STAGES, main


def _exit(capfd, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(Competition(), CONFIGS, arguments)
    captured = capfd.readouterr()
    return stop.value.code, captured.out, captured.err


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Nothing a test writes lands in the repository."""
    monkeypatch.chdir(tmp_path)


def test_no_stage_and_an_unknown_stage_list_the_stages(capfd):
    code, out, _ = _exit(capfd, "--help")
    assert code == 0
    assert all(stage in out for stage in STAGES)
    code, _, err = _exit(capfd, "trian")
    assert code == 2
    assert "train " in err
    assert "no stage 'trian'" in err


NOTE = ("--note",)
EXPERIMENT = ("--config", "--train.epochs", "--model.name", "--augment.cutmix")
SOURCE = ("--data", "--raw")
OPTIONS = {
    "submit": (*EXPERIMENT, *SOURCE, *NOTE, "--out", "--format", "--run", "--track.wandb", "--device"),
    "data": SOURCE,
    "folds": (*EXPERIMENT, *SOURCE),
    "audit": (*EXPERIMENT, *SOURCE, "--out"),
    "preview": (*EXPERIMENT, *SOURCE, "--out", "--device"),
    "lr-find": (*EXPERIMENT, *SOURCE, "--out", "--device"),
    "train": (*EXPERIMENT, *SOURCE, *NOTE, "--run", "--track.wandb", "--device"),
    "predict": (*EXPERIMENT, *SOURCE, *NOTE, "--run", "--track.wandb", "--device", "--images", "--out"),
    "compare": (*EXPERIMENT, *SOURCE, *NOTE, "--out", "--track.wandb", "--device"),
    "sweep": (*EXPERIMENT, *SOURCE, "--track.wandb", "--device"),
    "blend": (*SOURCE, *NOTE, "--out", "--runs", "--method", "--format", "--track.wandb"),
    "explain": ("--out", "--run"),
    "upload": (*SOURCE, "--run", "--track.wandb"),
    "scores": ("--track.wandb",),
    "workspace": ("--track.wandb",),
    "class-folders": (*EXPERIMENT, *SOURCE, "--out"),
    "export-model": ("--run", "--format", "--files", "--size", "--out"),
    "kernel": (*EXPERIMENT, "--kind", "--run", "--weights", "--out", "--track.wandb"),
}
"""What each stage takes, a few of many for an experiment's."""


def test_every_stage_is_told_of():
    assert list(OPTIONS) == list(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_help_with_its_options_and_no_others(capfd, stage):
    code, out, _ = _exit(capfd, stage, "--help")
    assert code == 0
    shown = set(re.findall(r"--[a-z][a-z.-]*", out))
    anything = {option for options in OPTIONS.values() for option in options}
    assert shown & anything == set(OPTIONS[stage])


def _refusal(capfd, tmp_path, *arguments: str) -> str:
    """The one sentence of a command that is refused before anything is read or written."""
    code, out, err = _exit(capfd, *arguments)
    (line,) = err.splitlines()
    assert (code, out) == (2, "") and line.startswith("error: ")
    assert list(tmp_path.iterdir()) == []
    return line


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("data --run x", "--run"),
        ("data --train.epochs 3", "--train.epochs"),
        ("scores --raw x", "--raw"),
        ("workspace --data sample", "--data"),
        ("upload --config fast", "--config"),
        ("blend --config fast --runs a b", "--config"),
        ("folds --out x", "--out"),
        ("train --format csv", "--format"),
        ("submit leftover", "leftover"),
        ("train --augment.mosaic 0.5 --model.decoder bogus", "--augment.mosaic"),
        ("train --augment.mosaic 0.5", "--augment.mosaic"),
        ("train --model.decoder bogus", "--model.decoder"),
        ("train --model.detector=ssd", "--model.detector"),
    ],
)
def test_what_a_stage_or_the_task_does_not_have_is_refused(capfd, tmp_path, command, option):
    stage = command.split()[0]
    assert f"{stage} of cifar10 has no option {option}: " in _refusal(capfd, tmp_path, *command.split())


@pytest.mark.parametrize(
    ("command", "option", "reason"),
    [
        (
            "submit --config fast --augment.min-area 0.2",
            "--augment.min-area",
            "augment.crop=pad does not use it",
        ),
        (
            "train --config base --train.momentum 0.5 --train.optimizer adamw",
            "--train.momentum",
            "train.optimizer=adamw has none",
        ),
        (
            "submit --config sample --folds.valid-ratio=0.2",
            "--folds.valid-ratio",
            "folds.scheme=stratified makes equal folds",
        ),
        (
            "train --config fast --folds.count 3",
            "--folds.count",
            "folds.scheme=holdout makes one fold",
        ),
        (
            "train --config fast --augment.no-horizontal-flip --predict.flip",
            "--predict.flip",
            "augment.horizontal_flip is off, so the network knows no mirrored image",
        ),
        (
            "preview --config best --augment.min_area 0.2",
            "--augment.min-area",
            "augment.crop=pad does not use it",
        ),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(capfd, tmp_path, command, option, reason):
    line = _refusal(capfd, tmp_path, *command.split())
    assert line == f"error: {option} would do nothing, because {reason}: leave it out"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--predict.shift 32", "--predict.shift is 32"),
        ("--augment.pad 32", "--augment.pad is 32"),
        ("--train.lr inf", "--train.lr is inf"),
        ("--train.seed -1", "--train.seed is -1"),
        (
            "--folds.scheme stratified --folds.count 5 --folds.use 9",
            "--folds.use is 9, and stratified makes 5",
        ),
        ("--model.image-size 100000", "--model.image-size is 100000"),
        ("--model.name resnet_of_mine", "resnet_of_mine"),
        ("--model.pretrained --model.weights gone.pt", "gone.pt"),
    ],
)
def test_a_value_out_of_its_limits_is_refused(capfd, tmp_path, options, words):
    assert words in _refusal(capfd, tmp_path, "train", "--config", "fast", *options.split())


def test_a_run_that_goes_on_takes_no_other_options(capfd, tmp_path):
    line = _refusal(
        capfd, tmp_path, "train", "--run", "one-20260101-0123abcd", "--train.epochs=9", "--config", "fast"
    )
    assert "goes on with the options of one-20260101-0123abcd: leave out --train.epochs, --config" in line


def test_a_run_that_is_not_there_is_named_before_anything_is_fetched(capfd, tmp_path):
    assert "there is no run gone in runs/cifar10" in _refusal(capfd, tmp_path, "train", "--run", "gone")


def test_an_unknown_option_names_the_closest(capfd, tmp_path):
    code, _, err = _exit(capfd, "submit", "--train.epoch", "3")
    assert code == 2
    assert "--train.epochs" in err
    assert list(tmp_path.iterdir()) == []  # refused before anything was fetched


@pytest.mark.parametrize(
    "typed", [("--predict.flip=yes",), ("--predict.flip", "false"), ("--predict.flip=",)]
)
def test_an_option_that_takes_no_value_says_so(capfd, typed):
    code, _, err = _exit(capfd, "train", *typed)
    assert code == 2
    assert err == "error: --predict.flip takes no value: give --predict.flip, or --predict.no-flip\n"


def test_a_long_value_is_cut(capfd):
    code, _, err = _exit(capfd, "train", f"--folds.scheme={'x' * 5000}")
    assert code == 2 and len(err) < 400 and f"'{'x' * 60}...'" in err


def test_an_unknown_config_names_those_there_are(capfd):
    code, _, err = _exit(capfd, "submit", "--config", "fats")
    assert code == 2
    assert all(name in err for name in CONFIGS)


def test_a_value_of_the_wrong_type_is_refused(capfd):
    code, _, err = _exit(capfd, "submit", "--train.epochs", "many")
    assert code == 2
    assert "--train.epochs" in err


def test_raw_that_does_not_exist_is_named(capfd):
    code, _, err = _exit(capfd, "submit", "--raw", "nowhere")
    assert code == 2
    assert "nowhere" in err
    assert "Traceback" not in err


def test_a_folder_that_cannot_be_made_is_one_sentence(capfd, tmp_path):
    (tmp_path / "data").touch()
    code, _, err = _exit(capfd, "data", "--data", "sample")
    assert code == 2
    assert "Traceback" not in err and err.splitlines()[-1].startswith("error: data/cifar10")


def test_a_name_that_is_too_long_is_one_sentence(capfd, tmp_path):
    (tmp_path / "runs" / "cifar10").mkdir(parents=True)
    code, _, err = _exit(capfd, "train", "--run", "x" * 300)
    (line,) = err.splitlines()
    assert code == 2 and line.startswith("error: ")


def test_a_bug_is_one_line_with_the_file_to_report_and_status_1(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr(STAGES["scores"], "run", lambda *_: {}["surprise"])
    code, _, err = _exit(capfd, "scores")
    assert (code, len(err.splitlines())) == (1, 1)
    assert err.endswith(f"report it with {tmp_path / 'podium-error.log'}\n")
    assert "KeyError: 'surprise'" in (tmp_path / "podium-error.log").read_text()


def test_an_interrupt_is_status_130(capfd, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(STAGES["scores"], "run", interrupted)
    code, _, err = _exit(capfd, "scores")
    assert code == 130 and "goes on from the last finished epoch" in err


def test_the_wandb_view_needs_no_data(capfd, tmp_path, monkeypatch):
    pytest.importorskip("wandb_workspaces", reason="needs the extra workspace")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    code, _, err = _exit(capfd, "workspace")
    assert code == 2
    assert "needs a login" in err
    assert list(tmp_path.iterdir()) == []
