"""A whole kernel, from bundle to a valid submission.csv, without a network."""

import pytest
from packaging.utils import canonicalize_name

from competitions.cifar10 import sample
from competitions.cifar10.competition import CLASSES
from pipeline.kernel import bundle as module
from pipeline.kernel.bundle import BundleOptions, build_bundle
from pipeline.kernel.environment import installed, pack
from pipeline.kernel.rehearse import RehearsalOptions, rehearse
from pipeline.kernel.sandbox import obstacle
from pipeline.kernel.wheels import build_project_wheel, closure, kaggle_image, read_wheels

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(obstacle() is not None, reason=f"needs namespaces: {obstacle()}"),
]


def packed_here(folder, cache):
    """The bundle's wheels, made of the packages installed here: tests may not ask the index."""
    folder.mkdir(parents=True)
    build_project_wheel(folder)
    while lacking := closure(read_wheels(folder), kaggle_image()).missing:
        for requirement in lacking:
            pack(installed()[canonicalize_name(requirement.name)], folder)
    return read_wheels(folder)


def test_a_training_kernel_ends_with_a_valid_submission(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "fill_wheel_folder", packed_here)
    monkeypatch.setattr(sample, "TRAIN", 200)
    monkeypatch.setattr(sample, "TEST", 40)
    sample.write_sample(tmp_path / "raw", CLASSES, seed=5)
    options = BundleOptions(
        "cifar10",
        config="sample",
        out=tmp_path / "bundle",
        arguments="--train.epochs 1 --folds.use 1",
    )
    path = rehearse(RehearsalOptions(build_bundle(options), str(tmp_path / "raw")))
    assert len(path.read_text().splitlines()) == 41
    assert path == tmp_path / "bundle" / "rehearsal" / "working" / "submission.csv"
