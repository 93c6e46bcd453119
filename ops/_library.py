"""Operator registration and the compiled libraries.

Schemas are declared here from Python, once, beside each operator's wrapper; a compiled library only adds
kernels for its device. Where there is no library for a device, the reference of `ops.reference` is registered
in its place, so that autograd, compilation and export work the same with and without a compiler.
"""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

NAMESPACE = "podium"
BUILD_FOLDER = Path(os.environ.get("PODIUM_LIBRARY_DIR") or Path(__file__).parent / "_build")
"""Where the compiled libraries are; the environment variable serves builds made elsewhere, such as sanitized
ones."""
LIBRARIES = {"cpu": BUILD_FOLDER / "podium_cpu.so", "cuda": BUILD_FOLDER / "podium_cuda.so"}


@dataclass(frozen=True)
class Loaded:
    """Which compiled libraries are in this process."""

    cpu: bool
    cuda: bool


def _load() -> Loaded:
    """Load the compiled libraries that exist.

    An absent library means the reference, with one warning. A library that is present but does not load
    raises: its silent replacement by something fifty times slower would never be noticed.
    """
    found = {}
    for device, path in LIBRARIES.items():
        wanted = device == "cpu" or torch.version.cuda is not None
        found[device] = path.exists() and wanted
        if found[device]:
            try:
                torch.ops.load_library(str(path))
            except OSError as error:
                raise RuntimeError(
                    f"{path} exists but does not load ({error}); rebuild it with "
                    "`python -m ops.build --force`, or delete it to use the slow reference"
                ) from error
    if not found["cpu"]:
        warnings.warn(
            "podium's operators are not compiled, so slow plain-torch versions stand in: run `make ops`",
            stacklevel=2,
        )
    return Loaded(**found)


LOADED = _load()


def define(schema: str, reference: Callable) -> torch._ops.OpOverload:
    """Declare an operator and return it.

    Parameters
    ----------
    schema : name, arguments and results, in torch's schema language.
    reference : the same operator in plain torch; it serves the devices that have no compiled kernel.
    """
    name = schema.partition("(")[0]
    qualified = f"{NAMESPACE}::{name}"
    torch.library.define(qualified, schema[len(name) :], tags=(torch.Tag.pt2_compliant_tag,))
    if not LOADED.cpu:
        torch.library.impl(qualified, "cpu", reference)
    if not LOADED.cuda:
        torch.library.impl(qualified, "cuda", reference)
    return getattr(getattr(torch.ops, NAMESPACE), name).default
