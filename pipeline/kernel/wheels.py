"""Which wheels a kernel without a network needs besides Kaggle's image, and where they come from."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from pathlib import Path
from zipfile import BadZipFile, ZipFile
from zipfile import Path as ZipPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.base.errors import UserError, name_some
from pipeline.base.files import atomic_folder, atomic_path

PROJECT = "podium"
REPOSITORY = Path(__file__).parents[2]
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64")
"""What Kaggle's image, on a recent Ubuntu, can load."""
SOURCES = ("competitions", "ops", "pipeline")


@dataclass(frozen=True)
class Image:
    """What Kaggle's image holds.

    Attributes
    ----------
    python : version, such as ``3.12``.
    packages : canonical name -> version, None where it is not recorded.
    absent : canonical names of packages that are known not to be in it.
    """

    python: str
    packages: dict[str, str | None]
    absent: frozenset[str]

    def satisfies(self, requirement: Requirement) -> bool:
        """Whether the image fulfils a requirement. A version that is not recorded counts as right."""
        name = canonicalize_name(requirement.name)
        if name not in self.packages:
            return False
        version = self.packages[name]
        return version is None or requirement.specifier.contains(version, prereleases=True)


def kaggle_image() -> Image:
    """The image as recorded in kaggle_image.json beside this module."""
    value = json.loads(Path(__file__).with_name("kaggle_image.json").read_text())
    return Image(value["python"], value["packages"], frozenset(value["absent"]))


@dataclass(frozen=True)
class Wheel:
    """A wheel file and what it says about itself; `requires` still has its markers."""

    path: Path
    name: str
    version: str
    requires: tuple[Requirement, ...]


def read_wheel(path: Path) -> Wheel:
    """Read a wheel's metadata. Raises UserError where the file is none."""
    try:
        with ZipFile(path) as archive:
            info = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            about = PathDistribution(ZipPath(archive, f"{Path(info).parent}/"))
            requires = tuple(map(Requirement, about.requires or ()))
            return Wheel(path, canonicalize_name(about.metadata["Name"]), about.version, requires)
    except (OSError, ValueError, StopIteration, BadZipFile) as error:
        raise UserError(f"{path} is no wheel ({error}): remove it and build the bundle again") from error


def read_wheels(folder: Path) -> list[Wheel]:
    """All wheels of a folder and the folders in it, by name."""
    return [read_wheel(path) for path in sorted(folder.rglob("*.whl"))]


@dataclass(frozen=True)
class Closure:
    """What the project needs besides the image: wheels that are there, and requirements nothing fulfils."""

    used: tuple[Wheel, ...]
    missing: tuple[Requirement, ...]


def closure(wheels: Sequence[Wheel], image: Image) -> Closure:
    """Follow the project's requirements through `wheels`, the project's own among them, to the image."""
    by_name = {wheel.name: wheel for wheel in wheels}
    used: dict[str, Wheel] = {}
    lacking: dict[str, Requirement] = {}
    waiting, seen = [Requirement(PROJECT)], set()
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        if image.satisfies(requirement):
            continue
        wheel = by_name.get(canonicalize_name(requirement.name))
        if wheel and requirement.specifier.contains(wheel.version, prereleases=True):
            used[wheel.name] = wheel
            waiting += _active(wheel, requirement.extras, image)
        else:
            lacking[str(requirement)] = requirement
    return Closure(tuple(used.values()), tuple(lacking[key] for key in sorted(lacking)))


def _active(wheel: Wheel, extras: set[str], image: Image) -> Iterator[Requirement]:
    """The requirements that hold in the image, without their markers."""
    for requirement in wheel.requires:
        environments = [_environment(image, extra) for extra in ("", *extras)]
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
            plain = Requirement(str(requirement))
            plain.marker = None
            yield plain


def _environment(image: Image, extra: str) -> dict[str, str]:
    return {
        "python_version": image.python,
        "python_full_version": f"{image.python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
        "extra": extra,
    }


def add_missing(folder: Path, image: Image) -> list[Wheel]:
    """Download what is missing into `folder`, until nothing is; returns the wheels that are needed.

    Raises
    ------
    UserError : the index has no wheel for the image's Python, cannot be reached, or two packages want
        different versions of a third.
    """
    asked: set[str] = set()
    while (found := closure(read_wheels(folder), image)).missing:
        wanted = [str(requirement) for requirement in found.missing]
        if asked.issuperset(wanted):
            raise UserError(f"no wheel fulfils {name_some(wanted)}: two packages want different versions")
        asked.update(wanted)
        _download(wanted, folder, image)
    return list(found.used)


def _download(wanted: Sequence[str], folder: Path, image: Image) -> None:
    platforms = [option for platform in PLATFORMS for option in ("--platform", platform)]
    _pip(
        "download",
        *("--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", image.python),
        *(*platforms, "--dest", str(folder), *wanted),
        what=f"fetching {name_some(wanted)} for Python {image.python}",
    )


def build_project_wheel(folder: Path, repository: Path = REPOSITORY) -> Path:
    """Build this project's wheel into `folder`, with the operators' sources, and return its path.

    It is built from a copy: a build in the tree leaves a ``build/lib`` behind that later wheels would hold.
    """
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary)
        for name in SOURCES:
            ignored = shutil.ignore_patterns("__pycache__", "_build")
            shutil.copytree(repository / name, copy / name, ignore=ignored)
        for name in ("pyproject.toml", "README.md"):
            shutil.copyfile(repository / name, copy / name)
        # setuptools takes files that are not Python from here.
        (copy / "MANIFEST.in").write_text("graft ops/csrc\ninclude pipeline/kernel/*.json\n")
        options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder))
        _pip("wheel", *options, str(copy), what="building the project's wheel")
    return next(folder.glob(f"{PROJECT}-*.whl"))


def _pip(command: str, *arguments: str, what: str) -> None:
    whole = [sys.executable, "-m", "pip", command, "--quiet", "--disable-pip-version-check", *arguments]
    result = subprocess.run(whole, capture_output=True, text=True)
    if result.returncode:
        said = [line for line in result.stderr.splitlines() if line.strip()] or ["no message"]
        errors = [line for line in said if line.startswith("ERROR")]
        raise UserError(f"{what} failed ({(errors or said)[-1]}): check the network and that package")


def fill_wheel_folder(folder: Path, cache: Path) -> list[Wheel]:
    """Make `folder` anew with the project's wheel and those that Kaggle's image lacks.

    Parameters
    ----------
    cache : folder that keeps what was downloaded for the next bundle.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, atomic_folder(folder) as filled:
        work = Path(temporary)
        for path in cache.glob("*.whl"):
            shutil.copyfile(path, work / path.name)
        build_project_wheel(work)
        for wheel in add_missing(work, kaggle_image()):
            shutil.copyfile(wheel.path, filled / wheel.path.name)
            if wheel.name != PROJECT:
                with atomic_path(cache / wheel.path.name) as kept:
                    shutil.copyfile(wheel.path, kept)
    return read_wheels(folder)
