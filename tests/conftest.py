"""What several tests share: every competition in the repository, and its generated sample, prepared once."""

import os

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["WANDB_MODE"] = "disabled"  # but where a test says otherwise
os.environ["HF_HUB_OFFLINE"] = "1"  # read when imported: no test may reach a hub

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from pipeline.base.paths import Paths
from pipeline.competition.base import Competition
from pipeline.competition.prepare import prepare
from pipeline.competition.prepared import Prepared
from pipeline.competition.sources import Source, find_source
from tests.helpers import competition_of

# Two test processes on two cores: a thread pool in each would only make them wait for one another.
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("needs_cuda"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA GPU"))


@dataclass(frozen=True)
class Prepped:
    """A competition with its prepared sample."""

    competition: Competition
    source: Source
    data: Prepared
    paths: Paths


@pytest.fixture(scope="session")
def prepared_sample(tmp_path_factory: pytest.TempPathFactory):
    """Function from a slug to its prepared sample; each is made once for each test process."""
    root = tmp_path_factory.mktemp("samples")
    made: dict[str, Prepped] = {}

    def get(slug: str) -> Prepped:
        if slug not in made:
            competition = competition_of(slug)
            paths = Paths(root / "data", root / "runs", root / "submissions")
            source = find_source(competition, paths, "sample")
            made[slug] = Prepped(competition, source, prepare(competition, source, paths.data / slug), paths)
        return made[slug]

    return get


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, where there is one."""
    folder = os.environ.get("PODIUM_REAL_DATA")
    if not folder:
        pytest.skip("needs real data: set PODIUM_REAL_DATA to its folder")
    return Path(folder)
