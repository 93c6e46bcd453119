"""Networks compiled by torch.compile (Ansel et al., ASPLOS 2024)."""

import importlib.util
import os
import shutil

import torch
from torch import nn

from pipeline.base.errors import UserError

COMPILERS = ("g++", "clang++", "cl")
"""Of C++, one of which torch calls for networks on a CPU."""


def compile_network(model: nn.Module, device: torch.device) -> None:
    """Compile what the network does when it is called, at its first call with each kind of input. Its weights
    and their names stay.

    Raises
    ------
    UserError : there is nothing to compile with.
    """
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        raise UserError(
            "--train.compile needs Triton, which is not installed: pip install triton, or leave it out"
        )
    own = os.environ.get("CXX")
    if device.type == "cpu" and not any(map(shutil.which, [own] if own else COMPILERS)):
        raise UserError(
            f"--train.compile needs a C++ compiler, and there is no {own or 'g++ or clang++'} on the PATH: "
            "install one, or leave it out"
        )
    model.compile()
