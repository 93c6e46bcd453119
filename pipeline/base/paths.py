"""Where data, runs and submissions live: on a local machine or in a Kaggle kernel."""

import os
from dataclasses import dataclass
from pathlib import Path

KAGGLE_WORKING = Path("/kaggle/working")
KAGGLE_INPUT = Path("/kaggle/input")
KAGGLE_TEMPORARY = Path("/kaggle/tmp")


@dataclass(frozen=True)
class Paths:
    """Root folders of everything the pipeline reads and writes."""

    data: Path
    runs: Path
    submissions: Path


def on_kaggle() -> bool:
    """Whether this process runs in a Kaggle kernel. A KAGGLE_* credential variable alone proves nothing."""
    return bool(os.environ.get("KAGGLE_KERNEL_RUN_TYPE")) and KAGGLE_WORKING.is_dir()


def default_paths() -> Paths:
    """Folders under the current directory; in a Kaggle kernel, the working folder for outputs (kept, small)
    and the temporary one for data (large, not kept)."""
    if on_kaggle():
        return Paths(KAGGLE_TEMPORARY / "data", KAGGLE_WORKING / "runs", KAGGLE_WORKING / "submissions")
    return Paths(Path("data"), Path("runs"), Path("submissions"))


def mounted_input(slug: str, root: Path = KAGGLE_INPUT) -> Path | None:
    """The folder where a Kaggle kernel mounts the competition `slug`, or None. Both known layouts are
    tried."""
    candidates = (root / "competitions" / slug, root / slug)
    return next((folder for folder in candidates if folder.is_dir()), None)
