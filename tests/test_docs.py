"""The site of docs/: it builds, its links lead somewhere, its pages are short, and the code on them runs."""

import importlib
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.base.paths import Paths
from pipeline.competition.base import Competition
from pipeline.competition.prepared import Prepared
from pipeline.experiment.experiment import Experiment
from pipeline.experiment.work import finish
from pipeline.raw.files import RawFiles
from pipeline.tasks.classification.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from tests.gallery.paddy import competition as paddy
from tests.helpers import REPOSITORY, TINY
from tests.training.small import few

DOCS = REPOSITORY / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
MOST_LINES = 110
"""Two screens."""
HOOKS = ("objective", "augment", "split", "OwnNetwork")
"""In the order of their page."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
CONFIG = Config(
    folds=FoldConfig(count=4, use=1),
    model=ModelConfig(name=TINY),
    train=TrainConfig(epochs=1, batch_size=20, amp="off", workers=0),
    predict=PredictConfig(flip=False),
)


def code_of(page: str) -> list[str]:
    """The blocks of Python on a page."""
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_no_longer_than_two_screens(page):
    assert len((DOCS / page).read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("page", ["../README.md", "../CONTRIBUTING.md", *PAGES])
def test_its_links_lead_to_files(page):
    path = DOCS / page
    targets = [target.partition("#")[0] for target in LINK.findall(path.read_text(encoding="utf-8"))]
    inside = [target for target in targets if target and "://" not in target]
    assert [target for target in inside if not (path.parent / target).exists()] == []


def test_the_tutorials_folders_and_files_are_there():
    named = re.findall(
        r"`((?:pipeline|competitions|notebooks)/[\w/.-]+)`", (DOCS / "tutorial.md").read_text()
    )
    assert len(named) > 10
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


def test_the_site_builds_without_a_network_and_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "NO_MKDOCS_2_WARNING": "1"}
    told = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    pages = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")]
    assert len(pages) >= len(PAGES)
    assert [page for page in pages if re.search(r'<(?:script|link|img)[^>]+"https?://', page)] == []


# --- the code on the pages


@pytest.fixture(scope="module")
def data(prepared_sample, tmp_path_factory) -> Prepared:
    return few(prepared_sample("cifar10").data, tmp_path_factory.mktemp("few") / "data", train=80)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Function from code to the competition of a folder whose competition.py it is."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def made(slug: str, code: str) -> Competition:
        (tmp_path / slug).mkdir()
        (tmp_path / slug / "__init__.py").touch()
        (tmp_path / slug / "competition.py").write_text(code, encoding="utf-8")
        return importlib.import_module(f"{slug}.competition").Competition()

    return made


@pytest.fixture
def experiment(data, tmp_path):
    """Function from a competition to an experiment of it."""

    def made(competition: Competition, config: Config = CONFIG) -> Experiment:
        paths = Paths(*(tmp_path / name for name in ("data", "runs", "submissions")))
        return Experiment(
            competition=competition,
            name="one",
            config=config,
            source_kind="sample",
            data=data,
            paths=paths,
            device="cpu",
        )

    return made


@pytest.mark.parametrize("number, hook", list(enumerate(HOOKS)))
def test_a_hook_trains_predicts_and_makes_another_run(number, hook, folder, experiment):
    code = code_of("hooks.md")[number]
    assert f" {hook}" in code and len(code.splitlines()) <= 20
    made = experiment(folder(f"own_{number}", code))
    finish([made])
    assert len(pd.read_parquet(made.run.fold(0) / "oof.parquet")) == (made.folds["fold"] == 0).sum() > 0
    edited = code.replace("return ", "print()\n        return ", 1)
    assert experiment(folder(f"edited_{number}", edited)).run.name != made.run.name
    assert any(hook in name for part in made.identity["code"].values() for name in part)


def test_the_split_of_a_folder_is_the_split(folder, experiment):
    competition = folder("own_split", code_of("hooks.md")[2])
    folds = experiment(competition).folds
    assert folds["fold"].tolist() == (folds["image_id"].astype(int) // 10 % 4).tolist()


@pytest.mark.parametrize(
    "split, said",
    [
        ("train.index * 0.5", "gave 80 folds for 80 training images: give each a whole number"),
        ("train['image_id'][:3].astype(int)", "gave 3 folds for 80 training images"),
        ("train.index * 0", "has all images in one fold"),
    ],
)
def test_a_split_that_is_none_is_refused(split, said, folder, experiment):
    code = code_of("hooks.md")[2].replace("block % folds.count", split)
    competition = folder(f"wrong_{len(split)}", code)
    with pytest.raises(UserError, match=f"the competition's own split {said}"):
        _ = experiment(competition).folds


def test_a_file_of_folds_goes_before_the_hook(folder, experiment, data, tmp_path):
    path = tmp_path / "split.csv"
    data.train[["image_id"]].assign(fold=lambda rows: rows.index % 3).to_csv(path, index=False)
    competition = folder("with_file", code_of("hooks.md")[2])
    config = replace(CONFIG, folds=FoldConfig(csv=str(path), use=1))
    assert experiment(competition, config).folds["fold"].nunique() == 3


def test_the_first_competitions_code_reads_its_files(tmp_path):
    (code,) = code_of("first-competition.md")
    paddy.Competition().make_sample(tmp_path, seed=1)
    space: dict = {"__name__": "page"}
    exec(code, space)
    made = space["Competition"].__dict__
    raw = RawFiles([tmp_path])
    theirs = paddy.Competition()
    for method in ("load_train", "load_test"):
        assert made[method](theirs, raw).equals(getattr(theirs, method)(raw))


def test_the_operators_code_runs():
    space: dict = {}
    exec(code_of("operators.md")[0], space)
    assert space["keep"].tolist() == [0, 2] and space["cut"].shape == (3, 8, 7, 7)
    assert torch.equal(space["overlap"].diagonal(), torch.ones(3))


def test_own_parts_code_makes_a_metric_and_a_reader(tmp_path):
    metric, reader = code_of("own-parts.md")
    space: dict = {"__name__": __name__}
    exec(metric, space)
    exec(reader, space)
    truth, predicted = torch.tensor([0, 1, 4]).numpy(), torch.tensor([1, 1, 2]).numpy()
    assert space["WITHIN_ONE"].function(truth, predicted) == pytest.approx(2 / 3)
    space["np"].savez(tmp_path / "a.npz", spectrum=[[1.0, 2.0]])
    row = {"image_id": "a", "path": str(Path(tmp_path / "a.npz"))}
    assert space["Spectra"](scale=2.0).read(row).tolist() == [[2.0, 4.0]]
