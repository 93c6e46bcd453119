"""Which wheels a bundle needs, and the project's own."""

from pathlib import Path
from zipfile import ZipFile

import pytest

from pipeline.base.errors import UserError
from pipeline.kernel.wheels import Image, build_project_wheel, closure, kaggle_image, read_wheel, read_wheels

IMAGE = Image("3.12", {"torch": "2.10.0+cu128", "rich": None}, frozenset({"tyro"}))


def wheel(folder: Path, name: str, version: str, *requires: str) -> None:
    info = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    with ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", "\n".join(lines + [f"Requires-Dist: {one}" for one in requires]))
        archive.writestr(f"{info}/RECORD", "")


def missing(folder: Path) -> list[str]:
    return [str(requirement) for requirement in closure(read_wheels(folder), IMAGE).missing]


def test_what_neither_image_nor_wheels_have_is_missing(tmp_path):
    wheel(tmp_path, "podium", "0.1", "torch>=2.10", "rich>=13", "tyro>=0.9", "py7zr")
    wheel(tmp_path, "tyro", "1.0", "Typeguard>=4", "rich")
    assert missing(tmp_path) == ["Typeguard>=4", "py7zr"]
    wheel(tmp_path, "typeguard", "4.1")
    wheel(tmp_path, "py7zr", "1.0")
    assert missing(tmp_path) == []


def test_an_older_version_is_missing_and_a_surplus_wheel_is_not_used(tmp_path):
    wheel(tmp_path, "podium", "0.1", "torch>=2.11", "tyro>=2")
    wheel(tmp_path, "tyro", "1.0")
    wheel(tmp_path, "surplus", "1.0")
    assert missing(tmp_path) == ["torch>=2.11", "tyro>=2"]
    assert [one.name for one in closure(read_wheels(tmp_path), IMAGE).used] == ["podium"]


def test_markers_are_those_of_the_image_and_extras_count_where_asked_for(tmp_path):
    wheel(tmp_path, "podium", "0.1", "old; python_version < '3.12'", "mac; sys_platform == 'darwin'", "a[x]")
    wheel(tmp_path, "a", "1.0", "with-x; extra == 'x'", "with-y; extra == 'y'")
    assert missing(tmp_path) == ["with-x"]


def test_a_file_that_is_no_wheel_is_named(tmp_path):
    (tmp_path / "bad-1.0-py3-none-any.whl").write_text("nothing")
    with pytest.raises(UserError, match=r"bad-1\.0"):
        read_wheel(tmp_path / "bad-1.0-py3-none-any.whl")


def test_the_image_is_what_is_known_of_it():
    image = kaggle_image()
    assert image.packages["torch"] == "2.10.0+cu128" and image.packages["timm"] == "1.0.26"
    assert not image.absent & set(image.packages)


def test_the_projects_wheel_holds_its_packages_and_the_operators_sources(tmp_path):
    path = build_project_wheel(tmp_path)
    names = set(ZipFile(path).namelist())
    assert {"pipeline/kernel/kaggle_image.json", "ops/csrc/binding.h", "ops/csrc/cpu/nms.cpp"} <= names
    assert "competitions/cifar10/__main__.py" in names
    assert not [name for name in names if name.startswith(("tests", "ops/_build")) or name.endswith(".so")]
    requires = {requirement.name for requirement in read_wheel(path).requires}
    assert {"torch", "tyro", "kaggle"} <= requires
