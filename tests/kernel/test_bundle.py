"""The bundle's folder: metadata, parameters, and what is refused before anything is built."""

import json
import shutil

import nbformat
import pytest

from pipeline.base.errors import UserError
from pipeline.kernel import bundle as module
from pipeline.kernel.bundle import (
    TEMPLATE,
    BundleOptions,
    build_bundle,
    check_options,
    fill_in,
    read_options,
)
from pipeline.kernel.metadata import OWNER, kernel_metadata, load_competition, with_owner
from pipeline.kernel.rehearse import check_complete, mounts, read_bundle


@pytest.fixture
def options(tmp_path, monkeypatch):
    """Options of a bundle in a temporary folder; one empty wheel stands for all, which need the index."""

    def one_wheel(folder, cache):
        folder.mkdir(parents=True)
        (folder / "podium-0.1.0-py3-none-any.whl").write_bytes(b"")
        return ["podium"]

    monkeypatch.setattr(module, "fill_wheel_folder", one_wheel)
    return lambda comp, **more: BundleOptions(comp, out=tmp_path / "bundle", **more)


def test_the_bundle_of_a_kaggle_competition_mounts_its_files(options):
    folder = build_bundle(options("cifar10", config="fast", arguments="--train.epochs 2"))
    about = json.loads((folder / "kernel" / "kernel-metadata.json").read_text())
    dataset = json.loads((folder / "dataset" / "dataset-metadata.json").read_text())
    assert about["competition_sources"] == ["cifar-10"] and about["dataset_sources"] == [dataset["id"]]
    book = nbformat.read(folder / "kernel" / about["code_file"], as_version=4)
    values: dict = {}
    exec(book.cells[1].source, values)
    assert (values["COMP"], values["CONFIG"], values["KIND"]) == ("cifar10", "fast", "train")
    assert values["ARGUMENTS"] == ["--train.epochs", "2"] and values["DATA"] == "cifar-10"
    assert dataset["id"].endswith("/" + values["BUNDLE"])


def test_no_secret_of_the_environment_rides_along(options, monkeypatch):
    secrets = {
        "KAGGLE_API_TOKEN": "token-of-mine",
        "KAGGLE_KEY": "key-of-mine",
        "WANDB_API_KEY": "wandb-of-mine",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    folder = build_bundle(options("cifar10", config="fast"))
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"cifar10" in content and not [value for value in secrets.values() if value.encode() in content]


def test_raw_files_of_another_competition_come_from_a_dataset(options, tmp_path):
    folder = build_bundle(options("voc", config="sample", data_source="somebody/voc-2012"))
    about = json.loads((folder / "kernel" / "kernel-metadata.json").read_text())
    assert about["competition_sources"] == [] and about["dataset_sources"][1] == "somebody/voc-2012"
    places = mounts(folder, read_bundle(folder), tmp_path / "dataset", tmp_path / "raw")
    assert places["datasets/somebody/voc-2012"] == tmp_path / "raw"
    assert places["datasets/rehearser/podium-voc-train-bundle"] == tmp_path / "dataset"


def test_weights_ride_along(options, tmp_path):
    (tmp_path / "weights" / "deep").mkdir(parents=True)
    (tmp_path / "weights" / "deep" / "net.safetensors").write_text("w")
    (tmp_path / "weights" / "readme.txt").write_text("r")
    folder = build_bundle(options("voc", weights=tmp_path / "weights"))
    files = [path for path in (folder / "dataset" / "weights").rglob("*") if path.is_file()]
    assert [str(path.relative_to(folder / "dataset")) for path in files] == ["weights/deep/net.safetensors"]
    assert read_bundle(folder).weights


def test_every_field_is_there_and_the_client_accepts_it(tmp_path):
    from kagglesdk import kaggle_env  # noqa: F401 (imports the client's parts without logging in)
    from slugify import slugify

    about = kernel_metadata("me", "podium-flowers-train", "a.ipynb", True, ["me/b"], ["flowers"])
    assert slugify(about["title"]) == about["id"].removeprefix("me/")
    assert about["enable_internet"] is False and about["is_private"] is True
    assert about["machine_shape"] == "NvidiaTeslaT4" and about["docker_image_pinning_type"] == "latest"
    assert kernel_metadata("me", "podium-x", "a.ipynb", False, [], [])["machine_shape"] is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"comp": "cifar10", "kind": "inference"}, "needs checkpoints"),
        (
            {"comp": "cifar10", "kind": "inference", "run": "runs/x", "arguments": "--train.epochs 3"},
            "--train.epochs 3 would do nothing",
        ),
        ({"comp": "cifar10", "config": "wrong"}, "no config 'wrong': choose one of sample, fast"),
        ({"comp": "voc", "config": "fast"}, "published weights.*--weights"),
    ],
)
def test_what_could_not_work_is_refused_at_once(more, message):
    with pytest.raises(UserError, match=message):
        check_options(BundleOptions(**more))


def test_options_that_the_bundle_does_not_have_are_the_stages():
    read = read_options(
        ["--comp", "voc", "--data-source", "me/voc", "--no-gpu", "--train.epochs", "3", "--hours", "2"]
    )
    assert (read.comp, read.data_source, read.gpu, read.hours) == ("voc", "me/voc", False, 2)
    assert read.arguments == "--train.epochs 3"


def test_an_option_that_neither_has_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        read_options(["--comp", "voc", "--data-sorce", "me/voc"])
    assert "--data-sorce" in capsys.readouterr().err


def test_an_unknown_competition_is_named():
    with pytest.raises(UserError, match="competitions/nowhere"):
        load_competition("nowhere")


def test_a_failed_build_leaves_the_previous_bundle(options, tmp_path):
    folder = build_bundle(options("cifar10"))
    with pytest.raises(UserError, match="holds no weights"):
        build_bundle(options("cifar10", weights=tmp_path / "nothing"))
    assert read_bundle(folder).comp == "cifar10"


def test_an_incomplete_bundle_is_not_rehearsed(options):
    folder = build_bundle(options("cifar10"))
    shutil.rmtree(folder / "dataset" / "wheels")
    with pytest.raises(UserError, match="podium"):
        check_complete(folder)


def test_parameters_must_be_those_of_the_notebook():
    with pytest.raises(KeyError, match="UNKNOWN"):
        fill_in(nbformat.read(TEMPLATE, as_version=4), {"UNKNOWN": 1})


def test_the_owner_takes_its_place_and_no_other():
    value = {"id": f"{OWNER}/a", "sources": [f"{OWNER}/b", "other/c"], "n": 1}
    assert with_owner(value, "me") == {"id": "me/a", "sources": ["me/b", "other/c"], "n": 1}
