"""An environment that holds the image's packages alone, and wheels made of installed packages."""

import subprocess
import sys

from pipeline.kernel.environment import installed, make_environment, pack, stand_in_wheels
from pipeline.kernel.wheels import Image, read_wheel


def test_the_environment_imports_the_images_packages_and_no_other(tmp_path):
    image = Image("3.12", {"rich": None, "pip": None}, frozenset())
    python = make_environment(tmp_path / "environment", image)

    def imports(name: str) -> bool:
        return (
            subprocess.run([python, "-c", f"import {name}"], cwd=tmp_path, capture_output=True).returncode
            == 0
        )

    assert imports("rich, pip, pygments")  # rich depends on pygments
    assert not imports("tyro") and not imports("pipeline")


def test_an_installed_package_becomes_a_wheel_that_pip_installs(tmp_path):
    name = pack(installed()["tyro"], tmp_path)
    assert read_wheel(tmp_path / name).name == "tyro"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", "site"]
    subprocess.run([*pip, name], cwd=tmp_path, check=True)
    assert (tmp_path / "site" / "tyro" / "__init__.py").is_file()


def test_wheels_for_another_python_are_replaced(tmp_path):
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    name = pack(installed()["tyro"], dataset)
    other = name.replace(f"cp3{sys.version_info.minor}", "cp399")
    (dataset / name).rename(dataset / other)
    (dataset / "dataset-metadata.json").write_text("{}")
    replaced = stand_in_wheels(dataset, tmp_path / "copy")
    assert [line.split()[0] for line in replaced] == ["tyro"]
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {name, "dataset-metadata.json"}
    assert (dataset / other).exists()
