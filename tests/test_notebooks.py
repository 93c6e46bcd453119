"""The notebooks run on small samples, and are committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from competitions.cifar10 import sample
from competitions.cifar10.competition import CLASSES, Competition
from pipeline.stages.main import main
from pipeline.tasks.classification.config import Config, FoldConfig, ModelConfig, PredictConfig, TrainConfig
from tests.helpers import REPOSITORY, TINY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
CONFIG = Config(
    folds=FoldConfig(count=3, use=1),
    model=ModelConfig(name=TINY),
    train=TrainConfig(epochs=1, batch_size=50, amp="off"),
    predict=PredictConfig(flip=False),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with raw files of 120 training and 30 test images."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(sample, "TRAIN", 120)
    monkeypatch.setattr(sample, "TEST", 30)
    sample.write_sample(tmp_path / "raw", CLASSES, seed=5)
    return tmp_path


def executed(name: str, folder: Path, **parameters: object) -> tuple[str, int]:
    """Run a notebook on the raw files in `folder`; returns its texts and the number of its pictures."""
    book = nbformat.read(REPOSITORY / "notebooks" / name, as_version=4)
    given = {"RAW": str(folder / "raw"), **parameters}
    book.cells[1].source += "".join(f"\n{name} = {value!r}" for name, value in given.items())
    NotebookClient(book, timeout=200, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    kinds = ("text/plain", "text/html")
    made = [output.get("data", {}).get(kind, "") for output in outputs for kind in kinds]
    texts = [*(output.get("text", "") for output in outputs), *made]
    return "\n".join(texts), sum("image/png" in output.get("data", {}) for output in outputs)


def test_exploring_counts_classes_sizes_and_duplicates(folder):
    (folder / "raw" / "train" / "1.png").write_bytes((folder / "raw" / "train" / "2.png").read_bytes())
    text, pictures = executed("01-explore.ipynb", folder)
    assert "120 training and 30 test images" in text
    assert "2 training images have a copy in train" in text
    assert all(name in text for name in CLASSES) and pictures == 1


@pytest.mark.slow
def test_augmentation_is_shown_twice(folder):
    _, pictures = executed("02-augmentation.ipynb", folder)
    assert pictures == 2


def test_errors_of_the_last_run_are_analysed(folder, capfd):
    main(Competition(), {"tiny": CONFIG}, ["submit", "--raw", "raw", "--config", "tiny"])
    text, pictures = executed("03-errors.ipynb", folder)
    assert "'cv_accuracy'" in text and "probability" in text and pictures == 0
    assert "Most confused pairs" in text and "<svg" in text


SHORT = ("--config", "sample", "--folds.use", "1", "--train.epochs", "1", "--track.wandb", "disabled")


def _goes_to_a_submission(folder: Path, **parameters: object) -> str:
    text, _ = executed("05-from-nothing.ipynb", folder, OPTIONS=SHORT, **parameters)
    assert "submission: submissions/cifar10/sample-" in text and "30 rows" in text
    assert len((folder / "submission.csv").read_text().splitlines()) == 31
    assert "report.html" in text
    return text


def test_from_nothing_to_a_submission(folder):
    _goes_to_a_submission(folder)


@pytest.mark.slow
def test_from_nothing_with_a_clone_of_the_code(folder, monkeypatch):
    monkeypatch.delenv("PYTHONPATH")
    _goes_to_a_submission(folder, CODE=str(REPOSITORY))
    assert (folder / "podium" / "pyproject.toml").exists()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_committed_without_outputs(path):
    cells = nbformat.read(path, as_version=4).cells
    assert cells[0].cell_type == "markdown" and "parameters" in cells[1].metadata["tags"]
    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
