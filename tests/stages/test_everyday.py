"""Folders of new images, exported models, splits from a file and devices, through the command line."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from competitions.cifar10 import sample
from competitions.cifar10.competition import CLASSES, Competition
from pipeline.stages.main import main
from pipeline.tasks.classification.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from tests.helpers import TINY

CONFIG = Config(
    folds=FoldConfig(count=3, use=2),
    model=ModelConfig(name=TINY),
    train=TrainConfig(epochs=1, batch_size=50, amp="off"),
    predict=PredictConfig(flip=False, amp="off"),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with raw files of 90 training and 20 test images, and a finished run of two folds."""
    folder = tmp_path_factory.mktemp("everyday")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sample, "TRAIN", 90)
        patch.setattr(sample, "TEST", 20)
        sample.write_sample(folder / "raw", CLASSES, seed=5)
        main(Competition(), {"tiny": CONFIG}, ["submit", "--raw", "raw", "--config", "tiny"])
    return folder


@pytest.fixture
def folder(home, monkeypatch):
    monkeypatch.chdir(home)
    return home


def told(capfd, *words: str) -> tuple[str, str]:
    capfd.readouterr()
    main(Competition(), {"tiny": CONFIG}, list(words))
    found = capfd.readouterr()
    return found.out.strip(), found.err


def refused(capfd, *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        told(capfd, *words)
    assert stop.value.code == 2
    return capfd.readouterr().err.splitlines()[-1]


class TestFolderOfImages:
    def test_test_images_get_what_the_submission_has(self, folder, capfd):
        out, _ = told(capfd, "predict", "--images", "raw/test", "--out", "new")
        assert out == "predictions: new/predictions.csv"
        mine = pd.read_csv("new/predictions.csv", dtype=str).set_index("id")
        submitted = pd.read_csv(next((folder / "submissions").rglob("tiny-*.csv")), dtype=str).set_index("id")
        assert mine.loc[submitted.index, "label"].tolist() == submitted["label"].tolist()
        run = next((folder / "runs" / "cifar10").glob("tiny-*"))
        numbers = pd.read_parquet("new/predictions.parquet").set_index("image_id")
        wanted = pd.read_parquet(run / "test.parquet").set_index("image_id")
        np.testing.assert_allclose(numbers.loc[wanted.index], wanted, atol=1e-6)
        page = (folder / "new" / "index.html").read_text()
        assert page.count("data:image/jpeg") == 20 and (folder / "new" / "pictures" / "1.jpg").is_file()

    def test_folders_in_it_count_and_any_size_does(self, folder, capfd):
        (folder / "deep" / "a b").mkdir(parents=True)
        Image.new("RGB", (90, 41), (9, 99, 200)).save(folder / "deep" / "a b" / "x.webp")
        Image.new("L", (20, 20)).save(folder / "deep" / "y.png")
        told(capfd, "predict", "--images", "deep", "--out", "deep-out")
        assert sorted(pd.read_csv("deep-out/predictions.csv")["id"]) == ["a b/x", "y"]
        assert (folder / "deep-out" / "pictures" / "a%20b%2Fx.jpg").is_file()

    def test_images_that_cannot_be_read_are_named_and_refused_or_left_out(self, folder, capfd):
        (folder / "bad").mkdir()
        Image.new("RGB", (9, 9)).save(folder / "bad" / "good.png")
        (folder / "bad" / "broken.jpg").write_bytes(b"no image")
        error = refused(capfd, "predict", "--images", "bad", "--out", "bad-out")
        assert "1 of 2 image(s) cannot be read: broken (" in error and "--on-bad-image warn" in error
        assert not (folder / "bad-out").exists()
        _, said = told(capfd, "predict", "--images", "bad", "--out", "bad-out", "--on-bad-image", "warn")
        assert "warning: 1 of 2 image(s) cannot be read: broken (" in said
        assert pd.read_csv("bad-out/predictions.csv")["id"].tolist() == ["good"]
        assert (folder / "bad-out" / "unreadable.txt").read_text().startswith("broken: ")

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (("--images", "nowhere"), "IMAGES=nowhere is no folder"),
            (("--images", "data", "--raw", "raw"), "leave out --raw"),
            (("--images", "data", "--train.epochs", "3"), "leave out --train.epochs"),
            (("--images", "runs", "--run", "no-20260101-0"), "there is no finished run no-20260101-0"),
            (("--out", "x"), "--out is where the predictions of --images go"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, folder, capfd, words, reason):
        assert reason in refused(capfd, "predict", *words)

    def test_two_images_of_one_id_are_named(self, folder, capfd):
        (folder / "twice").mkdir()
        for name in ("a.png", "a.jpg"):
            Image.new("RGB", (9, 9)).save(folder / "twice" / name)
        assert "more than one image for 1 id(s)" in refused(capfd, "predict", "--images", "twice")


class TestExportModel:
    def test_the_folds_mean_is_one_file_that_predicts_the_submission(self, folder, capfd):
        onnxruntime = pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
        out, said = told(capfd, "export-model", "--out", "models")
        assert out == "models: models" and "of the network's results" in said
        session = onnxruntime.InferenceSession("models/mean.onnx")
        about = json.loads((folder / "models" / "mean.json").read_text())
        run = next((folder / "runs" / "cifar10").glob("tiny-*"))
        wanted = pd.read_parquet(run / "test.parquet").set_index("image_id")
        images = np.stack(
            [np.asarray(Image.open(folder / "raw" / "test" / f"{n}.png")) for n in wanted.index]
        )
        (found,) = session.run(None, {"images": images})
        # A GPU convolves in TF32, which has ten bits.
        tolerance = 1e-3 if torch.cuda.is_available() else 1e-4
        np.testing.assert_allclose(found, wanted[about["classes"]], atol=tolerance)

    def test_a_size_is_for_networks_of_one_size(self, folder, capfd):
        assert "takes any: leave it out" in refused(capfd, "export-model", "--size", "32", "32")


class TestSplits:
    def test_a_split_from_a_file_is_taken_and_counted_by_content(self, folder, capfd):
        train = pd.read_csv("raw/trainLabels.csv", dtype=str)
        split = pd.DataFrame({"image_id": train["id"], "fold": np.arange(len(train)) % 2})
        split.to_csv("split.csv", index=False)
        _, said = told(capfd, "folds", "--raw", "raw", "--config", "tiny", "--folds.csv", "split.csv")
        assert "fold 0: 45 images" in said and "fold 1: 45 images" in said
        own = ("--raw", "raw", "--config", "tiny", "--folds.csv")
        first, _ = told(capfd, "train", *own, "split.csv", "--folds.use", "1,")
        run = folder / first.removeprefix("runs: ")
        assert [path.name for path in run.glob("fold?")] == ["fold1"]
        (folder / "elsewhere.csv").write_text((folder / "split.csv").read_text())
        assert told(capfd, "train", *own, "elsewhere.csv", "--folds.use", "1,")[0] == first
        split.assign(fold=1 - split["fold"]).to_csv("split.csv", index=False)
        assert told(capfd, "train", *own, "split.csv", "--folds.use", "1,")[0] != first

    def test_a_scheme_beside_a_file_is_refused(self, folder, capfd):
        words = (
            "folds",
            "--raw",
            "raw",
            "--config",
            "tiny",
            "--folds.csv",
            "x.csv",
            "--folds.scheme",
            "group",
        )
        assert "--folds.scheme would do nothing, because folds.csv has the split" in refused(capfd, *words)


class TestDevices:
    def test_one_that_is_not_there_is_told_before_anything_is_read(self, folder, capfd):
        error = refused(capfd, "train", "--raw", "nowhere", "--device", "cuda:7")
        assert error.startswith("error: --device cuda:7 cannot compute (") and "there is cpu" in error
        assert "--device abc cannot compute" in refused(capfd, "submit", "--device", "abc")

    def test_the_cpu_is_always_there(self, folder, capfd):
        _, said = told(
            capfd, "train", "--raw", "raw", "--config", "tiny", "--device", "cpu", "--train.lr", "0.05"
        )
        assert "on cpu" in said

    def test_stages_that_compute_nothing_have_no_device(self, folder, capfd):
        assert "has no option --device" in refused(capfd, "folds", "--device", "cpu")
