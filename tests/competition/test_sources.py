"""Which raw files a run uses, for every combination of options and of what is there."""

import hashlib
import io
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from pipeline.base import paths as paths_module
from pipeline.base.errors import UserError
from pipeline.base.paths import Paths
from pipeline.competition import sources
from pipeline.competition.base import Mirror
from pipeline.competition.sources import find_source
from tests.loopback import FileServer, KaggleLoopback, forget_kaggle_credentials


@dataclass(frozen=True)
class Competition:
    """The part of a competition that has to do with where its files come from."""

    slug: str = "cifar10"
    kaggle_slug: str | None = "cifar-10"
    mirror: Mirror | None = None

    def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
        (raw / "test").mkdir()
        (raw / "test" / "1.png").write_text(f"seed {seed}")
        return pd.DataFrame({"image_id": ["1"], "label": ["cat"]})


def zip_bytes() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("labels.csv", "id,label\n1,cat\n")
    return packed.getvalue()


ZIP = zip_bytes()


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """Empty data folders on a machine without Kaggle credentials."""
    (tmp_path / "home").mkdir()
    forget_kaggle_credentials(monkeypatch, tmp_path / "home")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Paths(tmp_path / "data", tmp_path / "runs", tmp_path / "submissions")


@pytest.fixture
def kaggle(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleLoopback]:
    with KaggleLoopback({"cifar-10": ZIP}) as server:
        server.stand_in_for_kaggle(monkeypatch)
        yield server


def put_raw_files(paths: Paths) -> Path:
    raw = paths.data / "cifar10" / "raw"
    raw.mkdir(parents=True)
    (raw / "labels.csv").touch()
    return raw


# --- auto


def test_raw_files_under_the_data_folder_come_first(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "good-token")
    raw = put_raw_files(paths)
    assert find_source(Competition(), paths) == sources.Source("folder", raw, None)


def test_an_empty_raw_folder_counts_as_none(paths: Paths) -> None:
    (paths.data / "cifar10" / "raw").mkdir(parents=True)
    (paths.data / "cifar10" / "raw" / ".gitkeep").touch()
    assert find_source(Competition(), paths).kind == "sample"


def test_in_a_kaggle_kernel_the_mounted_input_is_used(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = tmp_path / "input" / "competitions" / "cifar-10"
    mounted.mkdir(parents=True)
    (mounted / "labels.csv").touch()
    monkeypatch.setattr(sources, "on_kaggle", lambda: True)
    monkeypatch.setattr(
        sources, "mounted_input", lambda slug: paths_module.mounted_input(slug, tmp_path / "input")
    )
    assert find_source(Competition(), paths) == sources.Source("mounted", mounted, None)


def test_credentials_mean_kaggle(
    paths: Paths, kaggle: KaggleLoopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "good-token")
    source = find_source(Competition(), paths)
    assert source == sources.Source("kaggle", paths.data / "cifar10" / "kaggle", None)
    assert (source.raw / "cifar-10.zip").read_bytes() == ZIP
    monkeypatch.delenv("KAGGLE_API_TOKEN")  # what is there needs no credentials
    assert find_source(Competition(), paths) == source


def test_a_refusal_by_kaggle_is_not_papered_over_with_the_sample(
    paths: Paths, kaggle: KaggleLoopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "good-token")
    kaggle.refusals["DownloadDataFiles"] = 403
    with pytest.raises(UserError, match="competitions/cifar-10/rules"):
        find_source(Competition(), paths)


def test_without_anything_the_sample_is_announced(paths: Paths, capsys: pytest.CaptureFixture) -> None:
    source = find_source(Competition(mirror=Mirror("http://127.0.0.1/x.zip", "")), paths)
    assert source.kind == "sample"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("SAMPLE DATA") == 1
    for words in ("mean nothing", "RAW=", "DATA=kaggle", "DATA=mirror"):
        assert words in captured.err


def test_only_ways_that_exist_are_offered(paths: Paths, capsys: pytest.CaptureFixture) -> None:
    find_source(Competition(kaggle_slug=None), paths)
    assert "DATA=" not in capsys.readouterr().err


# --- RAW


def test_a_given_folder_is_used_as_it_is(paths: Paths, tmp_path: Path) -> None:
    put_raw_files(paths)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train.zip").touch()
    source = find_source(Competition(), paths, raw=tmp_path / "mine")
    assert source == sources.Source("folder", tmp_path / "mine", None)


@pytest.mark.parametrize(
    ("name", "problem"), [("none", "does not exist"), ("file", "is a file"), ("empty", "is empty")]
)
def test_a_given_folder_must_hold_files(paths: Paths, tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=f"RAW={tmp_path / name} {problem}: give the folder"):
        find_source(Competition(), paths, raw=tmp_path / name)


def test_a_given_folder_excludes_another_source(paths: Paths, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exclude each other"):
        find_source(Competition(), paths, "kaggle", raw=tmp_path)


# --- kaggle, mirror


def test_kaggle_without_credentials_says_so(paths: Paths) -> None:
    with pytest.raises(UserError, match="KAGGLE_API_TOKEN"):
        find_source(Competition(), paths, "kaggle")


def test_a_competition_that_is_not_on_kaggle(paths: Paths) -> None:
    with pytest.raises(UserError, match=r"cifar10 is not on Kaggle.*RAW=.*DATA=sample"):
        find_source(Competition(kaggle_slug=None), paths, "kaggle")


def test_a_mirror_is_downloaded_once(paths: Paths) -> None:
    with FileServer({"/kaggle_cifar10_tiny.zip": ZIP}) as server:
        mirror = Mirror(f"{server.url}/kaggle_cifar10_tiny.zip", hashlib.sha1(ZIP).hexdigest())
        for _ in range(2):
            source = find_source(Competition(mirror=mirror), paths, "mirror")
    assert source == sources.Source("mirror", paths.data / "cifar10" / "mirror", None)
    assert (source.raw / "kaggle_cifar10_tiny.zip").read_bytes() == ZIP
    assert len(server.requests) == 1


def test_a_competition_without_a_mirror(paths: Paths) -> None:
    with pytest.raises(UserError, match=r"cifar10 has no mirror.*DATA=kaggle"):
        find_source(Competition(), paths, "mirror")


# --- sample


def test_the_sample_is_generated_once_with_its_truth(paths: Paths, capsys: pytest.CaptureFixture) -> None:
    source = find_source(Competition(), paths, "sample")
    assert source.raw == paths.data / "cifar10" / "sample" / "raw"
    assert pd.read_parquet(source.truth).to_dict("list") == {"image_id": ["1"], "label": ["cat"]}
    (source.raw / "mark").touch()
    assert find_source(Competition(), paths, "sample") == source
    assert (source.raw / "mark").exists()


def test_the_sample_follows_its_generator(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    source = find_source(Competition(), paths, "sample")
    (source.raw / "mark").touch()
    monkeypatch.setattr(sources, "SAMPLE_SEED", 1)
    find_source(Competition(), paths, "sample")
    assert not (source.raw / "mark").exists()
    assert (source.raw / "test" / "1.png").read_text() == "seed 1"


def test_an_edited_sample_module_is_noticed(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The generator lives in sample.py beside the competition's module."""
    monkeypatch.setattr(sys.modules[__name__], "__file__", str(tmp_path / "competition.py"))
    (tmp_path / "sample.py").write_text("first")
    source = find_source(Competition(), paths, "sample")
    (source.raw / "mark").touch()
    find_source(Competition(), paths, "sample")
    assert (source.raw / "mark").exists()
    (tmp_path / "sample.py").write_text("second")
    find_source(Competition(), paths, "sample")
    assert not (source.raw / "mark").exists()


@pytest.mark.parametrize("name", ["sample.json", "truth.parquet", "raw/test/1.png"])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"[1]"), Path.unlink])
def test_a_damaged_sample_is_generated_again(paths: Paths, name: str, damage) -> None:
    source = find_source(Competition(), paths, "sample")
    damage(source.raw.parent / name)
    source = find_source(Competition(), paths, "sample")
    assert (source.raw / "test" / "1.png").read_text() == "seed 0"
    assert source.truth is not None and pd.read_parquet(source.truth)["label"].tolist() == ["cat"]


def test_a_failing_generator_leaves_nothing(paths: Paths) -> None:
    class Failing(Competition):
        def make_sample(self, raw: Path, seed: int) -> pd.DataFrame:
            (raw / "half").touch()
            raise RuntimeError("no fonts")

    with pytest.raises(RuntimeError):
        find_source(Failing(), paths, "sample")
    assert [path.name for path in (paths.data / "cifar10").iterdir() if path.is_dir()] == []
