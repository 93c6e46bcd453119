"""The stage ``kernel``: the bundle's folder, its metadata and parameters, and what is refused before anything
is built."""

import importlib
import json
import re
import shutil
from pathlib import Path

import nbformat
import pytest

from pipeline.base.errors import UserError
from pipeline.kernel.bundle import TEMPLATE, fill_in
from pipeline.kernel.metadata import OWNER, kernel_metadata, with_owner
from pipeline.kernel.rehearse import RehearsalOptions, check_complete, mounts, read_bundle, rehearse
from pipeline.stages.kernel import stage_arguments
from pipeline.stages.main import main
from pipeline.tasks.classification.config import Config
from tests.helpers import competition_of

pytestmark = pytest.mark.usefixtures("one_wheel")


def kernel(slug: str, *arguments: str) -> Path:
    """Run ``python -m competitions.<slug> kernel <arguments>``, and return where it builds by default."""
    configs = importlib.import_module(f"competitions.{slug}.configs").CONFIGS
    main(competition_of(slug), configs, ["kernel", *arguments])
    return Path("build") / "kernel" / slug


def metadata(folder: Path) -> dict:
    """kernel-metadata.json of a bundle."""
    return json.loads((folder / "kernel" / "kernel-metadata.json").read_text())


def parameters(folder: Path) -> dict:
    """The values that the bundle's notebook begins with."""
    book = nbformat.read(folder / "kernel" / metadata(folder)["code_file"], as_version=4)
    values: dict = {}
    exec(book.cells[1].source, values)
    return values


@pytest.fixture(autouse=True)
def working_folder(tmp_path, monkeypatch) -> Path:
    """Bundles are built below the current folder, which is the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- what is in the folder


def test_the_bundle_of_a_kaggle_competition_mounts_its_files(capfd):
    folder = kernel("cifar10", "--config", "fast", "--train.epochs", "2")
    assert capfd.readouterr().out == f"kernel: {folder}\n"
    dataset = json.loads((folder / "dataset" / "dataset-metadata.json").read_text())
    assert metadata(folder)["competition_sources"] == ["cifar-10"]
    assert metadata(folder)["dataset_sources"] == [dataset["id"]]
    values = parameters(folder)
    assert (values["COMP"], values["CONFIG"], values["KIND"]) == ("cifar10", "fast", "train")
    assert values["ARGUMENTS"] == ["--train.epochs", "2"] and values["DATA"] == "cifar-10"
    assert dataset["id"].endswith("/" + values["BUNDLE"])


def test_options_of_the_bundle_say_how_kaggle_runs_it():
    arguments = ["--out", "elsewhere", "--owner", "me", "--no-gpu", "--hours", "2"]
    kernel("cifar10", *arguments)
    about = metadata(Path("elsewhere"))
    assert about["id"] == "me/podium-cifar10-train" and not about["enable_gpu"]
    assert parameters(Path("elsewhere"))["HOURS"] == 2
    assert parameters(Path("elsewhere"))["ARGUMENTS"] == []
    assert not Path("build").exists()


def test_no_secret_of_the_environment_rides_along(monkeypatch):
    secrets = {
        "KAGGLE_API_TOKEN": "token-of-mine",
        "KAGGLE_KEY": "key-of-mine",
        "WANDB_API_KEY": "wandb-of-mine",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    folder = kernel("cifar10")
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"cifar10" in content and not [value for value in secrets.values() if value.encode() in content]


def test_raw_files_of_another_competition_come_from_a_dataset(tmp_path):
    folder = kernel("voc", "--config", "sample", "--data-source", "somebody/voc-2012")
    about = metadata(folder)
    assert about["competition_sources"] == [] and about["dataset_sources"][1] == "somebody/voc-2012"
    places = mounts(folder, read_bundle(folder), tmp_path / "dataset", tmp_path / "raw")
    assert places["datasets/somebody/voc-2012"] == tmp_path / "raw"
    assert places["datasets/rehearser/podium-voc-train-bundle"] == tmp_path / "dataset"


def test_weights_ride_along(tmp_path):
    (tmp_path / "weights" / "deep").mkdir(parents=True)
    (tmp_path / "weights" / "deep" / "net.safetensors").write_text("w")
    (tmp_path / "weights" / "readme.txt").write_text("r")
    folder = kernel("voc", "--weights", "weights")
    files = [path for path in (folder / "dataset" / "weights").rglob("*") if path.is_file()]
    assert [str(path.relative_to(folder / "dataset")) for path in files] == ["weights/deep/net.safetensors"]
    assert read_bundle(folder).weights and parameters(folder)["WEIGHTS"]


def test_every_field_is_there_and_the_client_accepts_it():
    from kagglesdk import kaggle_env  # noqa: F401 (imports the client's parts without logging in)
    from slugify import slugify

    about = kernel_metadata("me", "podium-flowers-train", "a.ipynb", True, ["me/b"], ["flowers"])
    assert slugify(about["title"]) == about["id"].removeprefix("me/")
    assert about["enable_internet"] is False and about["is_private"] is True
    assert about["machine_shape"] == "NvidiaTeslaT4" and about["docker_image_pinning_type"] == "latest"
    assert kernel_metadata("me", "podium-x", "a.ipynb", False, [], [])["machine_shape"] is None


def test_parameters_must_be_those_of_the_notebook():
    with pytest.raises(KeyError, match="UNKNOWN"):
        fill_in(nbformat.read(TEMPLATE, as_version=4), {"UNKNOWN": 1})


def test_the_owner_takes_its_place_and_no_other():
    value = {"id": f"{OWNER}/a", "sources": [f"{OWNER}/b", "other/c"], "n": 1}
    assert with_owner(value, "me") == {"id": "me/a", "sources": ["me/b", "other/c"], "n": 1}


# --- which options go where


def test_the_words_that_change_the_experiment_or_its_log_are_the_kernels():
    bundle = ["--data-source", "me/voc", "--no-gpu", "--config", "fast", "--hours", "2"]
    experiment = ["--train.epochs", "3", "--train.frozen-stages", "-1", "--model.no-pretrained"]
    log = ["--track.wandb=offline"]
    words = [*bundle[:3], *experiment, *bundle[3:5], *log, *bundle[5:]]
    assert stage_arguments(words, Config()) == (*experiment, *log)


@pytest.mark.parametrize(
    ("slug", "arguments", "message"),
    [
        ("cifar10", "--kind inference", "needs checkpoints"),
        ("cifar10", "--run runs/x", "--run is for inference"),
        ("cifar10", "--kind inference --run runs/x", "runs/x is not a finished run"),
        ("cifar10", "--kind inference --run runs/x --train.epochs 3", "--train.epochs 3 would do nothing"),
        ("cifar10", "--kind inference --run runs/x --track.wandb offline", "offline would do nothing"),
        ("cifar10", "--kind inference --run runs/x --config fast", "--config fast would do nothing"),
        ("cifar10", "--kind inference --run runs/x --weights w", "--weights w would do nothing"),
        ("cifar10", "--config wrong", "there is no config 'wrong': choose one of sample, fast"),
        ("cifar10", "--config fast,base", "takes one config"),
        ("cifar10", "--config base --folds.valid-ratio 0.2", "--folds.valid-ratio would do nothing"),
        ("cifar10", "--data sample", "kernel of cifar10 has no option --data"),
        ("cifar10", "--raw raw", "kernel of cifar10 has no option --raw"),
        ("cifar10", "--model.decoder fcn8", "kernel of cifar10 has no option --model.decoder"),
        ("voc", "--data-sorce me/voc", "no option --data-sorce: did you mean --data-source?"),
        ("voc", "--config fast", "starts mobilenetv2_100 from published weights.* --weights"),
        ("voc", "--config fast --weights nowhere", "nowhere holds no weights"),
        ("voc", "--config fast --model.weights w.safetensors", "--weights .*it rides along"),
    ],
)
def test_what_could_not_work_or_would_do_nothing_is_one_sentence(slug, arguments, message, tmp_path, capfd):
    (tmp_path / "w.safetensors").write_text("w")
    with pytest.raises(SystemExit) as stop:
        kernel(slug, *arguments.split())
    assert stop.value.code == 2
    *_, told = capfd.readouterr().err.splitlines()
    assert told.startswith("error: ") and re.search(message, told)
    assert not list(tmp_path.glob("build/kernel/*"))


def test_without_published_weights_no_weights_need_to_ride_along():
    folder = kernel("voc", "--config", "fast", "--model.no-pretrained")
    assert parameters(folder)["ARGUMENTS"] == ["--model.no-pretrained"]


# --- a bundle that is there


def test_a_failed_build_leaves_the_previous_bundle(capfd):
    folder = kernel("cifar10", "--config", "fast")
    with pytest.raises(SystemExit):
        kernel("cifar10", "--weights", "nothing")
    assert "nothing holds no weights" in capfd.readouterr().err
    assert read_bundle(folder).config == "fast"


def test_an_incomplete_bundle_is_not_rehearsed():
    folder = kernel("cifar10")
    shutil.rmtree(folder / "dataset" / "wheels")
    with pytest.raises(UserError, match="podium"):
        check_complete(folder)


@pytest.mark.parametrize(
    ("change", "config", "message"),
    [
        ({"comp": "nowhere"}, None, "no folder competitions/nowhere"),
        ({"kind": "inference"}, "fast", "--config fast would do nothing"),
    ],
)
def test_a_bundle_that_does_not_fit_is_not_rehearsed(change, config, message, monkeypatch):
    monkeypatch.setattr("pipeline.kernel.rehearse.obstacle", lambda: None)
    monkeypatch.setattr("pipeline.kernel.rehearse.check_complete", lambda folder: None)
    folder = kernel("cifar10")
    about = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**about, **change}))
    with pytest.raises(UserError, match=message):
        rehearse(RehearsalOptions(folder, config=config))
