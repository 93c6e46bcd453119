"""Which code and which versions made a result."""

import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
"""The folder of the pipeline."""
PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "albumentations",
    "numpy",
    "pandas",
    "scikit-learn",
    "opencv-python-headless",
)


def code_folders(module: Path) -> list[Path]:
    """The folders whose code makes a result: the pipeline's, the operators' and that of a competition, which
    `module` is a file of."""
    return [PACKAGE, PACKAGE.with_name("ops"), module.parent]


def git_sha(folders: Sequence[Path]) -> str:
    """Commit of the checkout that the first of these folders is in, with ``-dirty`` where a file in any of
    them differs from the last commit, or is not in it; ``none`` outside git."""
    try:
        sha = _git(folders[0], "rev-parse", "--short=12", "HEAD")
        changed = any(_git(folder, "status", "--porcelain", "--", ".") for folder in folders)
    except (OSError, subprocess.SubprocessError):
        return "none"
    return sha + ("-dirty" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def versions() -> dict[str, str]:
    """Installed versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # Kaggle's image has opencv under another name
    return found
