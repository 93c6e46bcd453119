"""A whole kernel, from bundle to a valid submission.csv, without a network."""

from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from competitions.cifar10 import sample
from competitions.cifar10.competition import CLASSES, Competition
from competitions.cifar10.configs import CONFIGS
from pipeline.kernel import bundle as bundle_module
from pipeline.kernel.environment import installed, pack
from pipeline.kernel.rehearse import RehearsalOptions, rehearse
from pipeline.kernel.sandbox import obstacle
from pipeline.kernel.wheels import Wheel, build_project_wheel, closure, kaggle_image, read_wheels
from pipeline.stages.main import main

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(obstacle() is not None, reason=f"needs namespaces: {obstacle()}"),
]
SHORT = ("--config", "sample", "--train.epochs", "1", "--folds.use", "1")


def packed_here(folder: Path, cache: Path) -> list[Wheel]:
    """The bundle's wheels, made of the packages installed here: tests may not ask the index."""
    folder.mkdir(parents=True)
    build_project_wheel(folder)
    while lacking := closure(read_wheels(folder), kaggle_image()).missing:
        for requirement in lacking:
            pack(installed()[canonicalize_name(requirement.name)], folder)
    return read_wheels(folder)


def run(stage: str, *arguments: str) -> None:
    """Run a stage of cifar10, as from the command line."""
    main(Competition(), CONFIGS, [stage, *arguments])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with raw files of 200 training and 40 test images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bundle_module, "fill_wheel_folder", packed_here)
    monkeypatch.setattr(sample, "TRAIN", 200)
    monkeypatch.setattr(sample, "TEST", 40)
    sample.write_sample(tmp_path / "raw", CLASSES, seed=5)
    return tmp_path


def test_a_training_kernel_ends_with_a_valid_submission(folder):
    run("kernel", *SHORT)
    path = rehearse(RehearsalOptions(Path("build/kernel/cifar10"), raw="raw"))
    assert len(path.read_text().splitlines()) == 41
    assert path == Path("build/kernel/cifar10/rehearsal/working/submission.csv")


def test_an_inference_kernel_repeats_its_runs_submission(folder):
    run("submit", *SHORT, "--raw", "raw", "--out", "theirs.csv")
    trained = next(Path("runs/cifar10").glob("sample-*"))
    run("kernel", "--kind", "inference", "--run", str(trained))
    path = rehearse(RehearsalOptions(Path("build/kernel/cifar10"), raw="raw"))
    assert path.read_text() == Path("theirs.csv").read_text()
