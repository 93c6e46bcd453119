"""Which code and which versions made a result."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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


def git_sha(folder: Path) -> str:
    """Commit of the checkout at `folder`, with ``-dirty`` where code differs from it; ``none`` outside git.

    Changes under submissions do not count: the ledger changes with every run.
    """
    try:
        sha = _git(folder, "rev-parse", "--short=12", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--", ".", ":!submissions")
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
