"""The command line: help for everything, and the closest names for what does not exist."""

import pytest

from competitions.cifar10.competition import Competition
from competitions.cifar10.configs import CONFIGS
from pipeline.stages.main import main
from pipeline.stages.stages import STAGES


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


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_help_with_every_option(capfd, stage):
    code, out, _ = _exit(capfd, stage, "--help")
    assert code == 0
    for option in (
        "--config",
        "--raw",
        "--data",
        "--out",
        "--train.epochs",
        "--model.name",
        "--augment.cutmix",
    ):
        assert option in out


def test_an_unknown_option_names_the_closest(capfd, tmp_path):
    code, _, err = _exit(capfd, "submit", "--train.epoch", "3")
    assert code == 2
    assert "--train.epochs" in err
    assert list(tmp_path.iterdir()) == []  # refused before anything was fetched


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


def test_the_wandb_view_needs_no_data(capfd, tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    code, _, err = _exit(capfd, "workspace")
    assert code == 2
    assert "needs a login" in err
    assert list(tmp_path.iterdir()) == []
