"""The constraints files say what pyproject.toml says."""

import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def bounds() -> dict[str, str]:
    """The lower bound of each dependency."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    found = [re.match(r"([A-Za-z0-9_.-]+)>=([0-9.]+)", text) for text in project["dependencies"]]
    assert all(found)
    return {match[1]: match[2] for match in found if match}


def pins(name: str) -> dict[str, str]:
    lines = (REPOSITORY / "constraints" / f"{name}.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_the_lowest_versions_are_the_lower_bounds():
    assert pins("lowest") == {name: f"{version}.*" for name, version in bounds().items()}


def test_every_dependency_has_a_newest_version_within_its_range():
    def numbers(version: str) -> list[int]:
        return [int(part) for part in version.split(".")]

    assert pins("newest").keys() == bounds().keys()
    assert all(numbers(pins("newest")[name]) >= numbers(low) for name, low in bounds().items())
