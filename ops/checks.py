"""Argument checks, in one place. Every public operator calls these unless it is told ``validate=False``."""

import math
from collections.abc import Collection, Sequence

import torch
from torch._C._functorch import is_functorch_wrapped_tensor
from torch._subclasses.fake_tensor import FakeTensor

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def check_float(name: str, tensor: torch.Tensor, shape: Sequence[int | None]) -> None:
    """Check that `tensor` is floating and has `shape`; None stands for any size. Raises ValueError."""
    if not isinstance(tensor, torch.Tensor):
        raise ValueError(f"{name} must be a tensor, not {type(tensor).__name__}")
    if tensor.dtype not in FLOATS:
        raise ValueError(f"{name} must be float16, bfloat16, float32 or float64, not {tensor.dtype}")
    check_shape(name, tensor, shape)


def check_shape(name: str, tensor: torch.Tensor, shape: Sequence[int | None]) -> None:
    """Check that `tensor` has `shape`; None stands for any size. Raises ValueError."""
    fits = tensor.dim() == len(shape) and all(
        want is None or have == want for have, want in zip(tensor.shape, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have shape ({wanted}), not {tuple(tensor.shape)}")


def check_integers(name: str, tensor: torch.Tensor, shape: Sequence[int | None]) -> None:
    """Check that `tensor` is of an integer type and has `shape`. Raises ValueError."""
    if not isinstance(tensor, torch.Tensor) or tensor.is_floating_point() or tensor.is_complex():
        kind = tensor.dtype if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise ValueError(f"{name} must be an integer tensor, not {kind}")
    check_shape(name, tensor, shape)


def check_together(**tensors: torch.Tensor) -> None:
    """Check that all tensors are on one device. Raises ValueError naming the odd one."""
    (first_name, first), *others = tensors.items()
    for name, tensor in others:
        if tensor.device != first.device:
            raise ValueError(
                f"{name} is on {tensor.device} and {first_name} on {first.device}: move one of them"
            )


def check_same_length(**tensors: torch.Tensor) -> None:
    """Check that all tensors have the same first dimension. Raises ValueError."""
    (first_name, first), *others = tensors.items()
    for name, tensor in others:
        if tensor.shape[0] != first.shape[0]:
            raise ValueError(f"{name} has {tensor.shape[0]} rows and {first_name} has {first.shape[0]}")


def check_number(name: str, value: float, low: float, high: float) -> None:
    """Check that a number is in [low, high] and not NaN. Raises ValueError."""
    if not low <= value <= high:  # false for NaN, too
        if high == math.inf:
            raise ValueError(f"{name} must be at least {low:g}, not {value}")
        raise ValueError(f"{name} must be from {low:g} to {high:g}, not {value}")


def check_finite(name: str, tensor: torch.Tensor) -> None:
    """Check that there is no NaN or infinity. Synchronises a GPU. Raises ValueError naming the first bad
    row."""
    if not can_look(tensor):
        return
    _check_all(name, torch.isfinite(tensor))


def check_scores(name: str, scores: torch.Tensor) -> None:
    """Check that there is no NaN or infinity but -infinity, with which boxes are masked. Synchronises a GPU.
    Raises ValueError naming the first bad row."""
    if can_look(scores):
        _check_all(name, scores < math.inf)


def _check_all(name: str, good: torch.Tensor) -> None:
    if not bool(good.all()):
        row = int((~good).reshape(good.shape[0], -1).any(dim=1).nonzero()[0])
        raise ValueError(f"{name} holds NaN or infinity, first in row {row}")


def check_ordered(name: str, boxes: torch.Tensor) -> None:
    """Check that boxes (N, 4) in xyxy have x1 <= x2 and y1 <= y2. Raises ValueError naming the first bad
    row."""
    if not can_look(boxes):
        return
    inverted = (boxes[..., 2:] < boxes[..., :2]).any(dim=-1)
    if bool(inverted.any()):
        row = int(inverted.reshape(-1).nonzero()[0])
        raise ValueError(f"{name} has x2 < x1 or y2 < y1, first in row {row}: boxes are x1, y1, x2, y2")


def can_look(tensor: torch.Tensor) -> bool:
    """Whether values can be read: not while compiling or exporting, nor on fake or transformed tensors."""
    if torch.compiler.is_compiling() or tensor.is_meta:
        return False
    if is_functorch_wrapped_tensor(tensor):
        return False
    return not isinstance(tensor, FakeTensor)


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Check that `value` is one of `choices`. Raises ValueError."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
