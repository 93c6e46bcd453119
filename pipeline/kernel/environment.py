"""A Python environment on this machine that holds what Kaggle's image holds, and nothing else.

Packages are links to the ones installed here, so their versions, and Python's, are this machine's; what the
rehearsal shows is that nothing else is imported.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

from packaging.requirements import Requirement
from packaging.tags import sys_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

from pipeline.base.errors import UserError
from pipeline.kernel.wheels import PROJECT, Image, read_wheels

KERNEL = "rehearsal"
"""Name of the Jupyter kernel of the environment."""


def installed() -> dict[str, Distribution]:
    """Every distribution that this Python finds, by canonical name; the first of each, as on import."""
    found: dict[str, Distribution] = {}
    for distribution in distributions():
        found.setdefault(canonicalize_name(distribution.metadata["Name"]), distribution)
    return found


def image_distributions(image: Image) -> list[Distribution]:
    """The installed distributions that are in the image, with what they depend on here.

    A package's dependencies differ from version to version, so those of the versions here count as part of
    the image, unless they are known to be absent from it.
    """
    there = installed()
    waiting, taken = [name for name in image.packages if name in there], {}
    while waiting:
        name = waiting.pop()
        if name in taken or name in image.absent or name == PROJECT or name not in there:
            continue
        taken[name] = there[name]
        for text in there[name].requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(requirement.name))
    return [taken[name] for name in sorted(taken)]


def link_packages(packages: Sequence[Distribution], folder: Path) -> None:
    """Link the modules and metadata of `packages` into `folder`, which can then stand in ``sys.path``."""
    folder.mkdir(parents=True)
    for package in packages:
        tops = {file.parts[0] for file in package.files or ()} - {"..", "__pycache__"}
        for top in sorted(tops):
            source = Path(str(package.locate_file(top)))
            if source.exists() and not top.endswith(".pth") and not (folder / top).exists():
                (folder / top).symlink_to(source)


def make_environment(folder: Path, image: Image) -> Path:
    """Make a virtual environment of the image in `folder`, with a Jupyter kernel; returns its Python."""
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-m", "venv", "--without-pip", str(folder)], check=True)
    link_packages(image_distributions(image), folder / "image")
    python = folder / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    pointer = folder / "lib" / version / "site-packages" / "image.pth"
    pointer.write_text(f"{(folder / 'image').resolve()}\n")
    spec = folder / "share" / "jupyter" / "kernels" / KERNEL
    spec.mkdir(parents=True)
    argv = [str(python.absolute()), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    about = {"argv": argv, "display_name": KERNEL, "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(about))
    return python


def stand_in_wheels(dataset: Path, target: Path) -> list[str]:
    """Copy a bundle's dataset, with wheels of this machine's packages where a wheel is not for this Python.

    Returns
    -------
    What was replaced, as ``<name> <version>``.

    Raises
    ------
    UserError : such a package is not installed here.
    """
    shutil.copytree(dataset, target, copy_function=_link_or_copy)
    supported, there, replaced = set(sys_tags()), installed(), []
    for wheel in read_wheels(target):
        if supported.isdisjoint(parse_wheel_filename(wheel.path.name)[3]):
            if wheel.name not in there:
                raise UserError(
                    f"{wheel.path.name} is not for this Python, and {wheel.name} is not installed here: "
                    "install it, or rehearse with the image's Python"
                )
            wheel.path.unlink()
            replaced.append(f"{wheel.name} {pack(there[wheel.name], wheel.path.parent).split('-')[1]}")
    return replaced


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def pack(package: Distribution, folder: Path) -> str:
    """Write a wheel of an installed package into `folder`; returns its file name."""
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    system = re.sub(r"[-.]", "_", sysconfig.get_platform())
    name = package.metadata["Name"].replace("-", "_").replace(".", "_")
    path = folder / f"{name}-{package.version}-{tag}-{tag}-{system}.whl"
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for file in package.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                archive.write(str(package.locate_file(file)), str(file))
    return path.name
