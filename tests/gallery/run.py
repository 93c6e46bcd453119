"""Running a competition of the gallery from its generated raw files to its submission."""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path

from pipeline.competition.base import Competition
from pipeline.config.config import Config
from pipeline.stages.main import main

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Result:
    """What a run gave: the submission file and the score of the hidden images."""

    submission: Path
    score: float


def load(slug: str) -> tuple[Competition, dict[str, Config]]:
    """The competition and the configs of a folder."""
    module = importlib.import_module(f"tests.gallery.{slug}.competition")
    return module.Competition(), module.CONFIGS


def run_all(slug: str) -> Result:
    """Every stage, on the generated sample, below the current directory."""
    competition, configs = load(slug)
    for stage in ("data", "train", "predict", "submit"):
        options = () if stage == "data" else ("--config", "sample")
        main(competition, configs, [stage, "--data", "sample", *options])
    about = next((Path("submissions") / slug).glob("*.json"))
    score = json.loads(about.read_text())[f"sample_test_{competition.metric.name}"]
    return Result(about.with_suffix(".csv"), score)


def lines_of(slug: str) -> int:
    """Lines of a folder's competition.py that are neither blank nor a comment."""
    text = (FOLDER / slug / "competition.py").read_text(encoding="utf-8")
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in text.splitlines())
