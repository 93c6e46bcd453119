"""Operator registration and the compiled libraries.

Schemas are declared here from Python, once, beside each operator's wrapper; a compiled library only adds
kernels for its device. Where there is no library for a device, the reference of `ops.reference` is registered
in its place, so that autograd, compilation and export work the same with and without a compiler.
"""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, overload

import torch
from torch._C._functorch import peek_interpreter_stack
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad
from torch.autograd.function import _SingleLevelFunction

NAMESPACE = "podium"
BUILD_FOLDER = Path(os.environ.get("PODIUM_LIBRARY_DIR") or Path(__file__).parent / "_build")
"""Where the compiled libraries are, and `ops.build` puts them; the environment variable serves builds made
elsewhere, such as those of another environment, or sanitized ones."""
LIBRARIES = {"cpu": BUILD_FOLDER / "podium_cpu.so", "cuda": BUILD_FOLDER / "podium_cuda.so"}


@dataclass(frozen=True)
class Loaded:
    """Which compiled libraries are in this process."""

    cpu: bool
    cuda: bool


def _load() -> Loaded:
    """Load the compiled libraries that exist.

    An absent library means the reference, with one warning. A library that is present but does not load
    raises: its silent replacement by something fifty times slower would never be noticed. The build, which
    imports this package only to get at itself, needs neither said: it comes to mend that.
    """
    if _is_building():
        return Loaded(cpu=False, cuda=False)
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


def _is_building() -> bool:
    """Whether this is the start of ``python -m ops.build``: while the module is looked for, "-m" stands in
    place of its path."""
    return sys.argv[:1] == ["-m"] and "ops.build" in sys.orig_argv


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
    for device in ("cpu", "cuda"):
        if not getattr(LOADED, device):
            torch.library.impl(qualified, device, reference)
    return getattr(getattr(torch.ops, NAMESPACE), name).default


Result = torch.Tensor | tuple[torch.Tensor, ...] | list[torch.Tensor]
"""Of an operator."""


class Context(Protocol):
    """What autograd hands from a call to its backward pass; more may be set on it by name."""

    @property
    def saved_tensors(self) -> tuple[torch.Tensor, ...]:
        """What was saved."""
        ...

    def save_for_backward(self, *tensors: torch.Tensor | None) -> None:
        """Keep tensors for the backward pass."""
        ...


class _Reverse(_SingleLevelFunction):
    """One call of an operator in the graph of gradients.

    `torch.autograd.Function` refuses the transforms of `torch.func` unless they go through itself, and here
    the dispatcher has taken one of their levels off already, which is what its base class is for.
    """

    @staticmethod
    def forward(ctx, call: "_Call", *leaves: object) -> torch.Tensor | tuple[torch.Tensor, ...]:
        arguments = call.nested(leaves)
        if peek_interpreter_stack() is None:
            result = call.below(arguments)
        else:  # the other transforms of torch.func come after this one, and want derivatives, too
            with torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True):
                result = call.below(arguments)
        ctx.call = call
        call.setup_context(ctx, arguments, result)
        return tuple(result) if isinstance(result, list) else result

    @staticmethod
    def backward(ctx, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        call = ctx.call
        found = call.backward(ctx, [*grads]) if call.gives_list else call.backward(ctx, *grads)
        leaves: list[torch.Tensor | None] = [None]
        for size, grad in zip(call.sizes, found, strict=True):
            if size is None:
                leaves.append(grad)
            else:
                leaves.extend(grad if grad is not None else [None] * size)
        return tuple(leaves)


_apply = _Reverse.apply  # pyright: ignore[reportAttributeAccessIssue]  # comes from C, and no stub has it


@dataclass(frozen=True)
class _Call:
    """A call of an operator whose arguments were flattened; sizes of those that were lists, else None."""

    operator: torch._ops.OpOverload
    keyset: torch._C.DispatchKeySet
    sizes: Sequence[int | None]
    backward: Callable
    setup_context: Callable
    gives_list: bool

    def nested(self, leaves: Sequence[object]) -> list[object]:
        """The arguments that `leaves` were."""
        rest = iter(leaves)
        return [next(rest) if size is None else [next(rest) for _ in range(size)] for size in self.sizes]

    def below(self, arguments: Sequence[object]) -> Result:
        """What comes after automatic differentiation."""
        with torch._C._AutoDispatchBelowAutograd():
            return self.operator.redispatch(self.keyset & torch._C._after_autograd_keyset, *arguments)


def register_derivative(
    operator: torch._ops.OpOverload, backward: Callable, setup_context: Callable, tangent: Callable
) -> None:
    """Register gradients as `torch.library.register_autograd` does, and forward-mode derivatives with them.

    That function alone drops tangents, so that a forward-mode derivative would be 0 without a word.

    Parameters
    ----------
    operator : what `define` returned.
    backward, setup_context : as for `torch.library.register_autograd`.
    tangent : called with the arguments' primals and tangents, two tuples (None where an argument has no
        tangent, a list of these for a list of tensors), and the operator's result; gives the tangent of the
        result; of a tuple of tensors a tuple, or that of the first.
    """
    gives_list = str(operator._schema.returns[0].type) == "List[Tensor]"

    def reverse(keyset: torch._C.DispatchKeySet, *arguments: Any) -> Result:
        sizes = [len(argument) if isinstance(argument, (list, tuple)) else None for argument in arguments]
        call = _Call(operator, keyset, sizes, backward, setup_context, gives_list)
        if not torch.is_grad_enabled() or not torch._C._any_requires_grad(*arguments):
            return call.below(arguments)
        leaves = [
            one
            for many, size in zip(arguments, sizes, strict=True)
            for one in ([many] if size is None else many)
        ]
        if peek_interpreter_stack() is None:
            result = _apply(call, *leaves)
        else:
            with enable_single_level_autograd_function():
                result = _apply(call, *leaves)
        return [*result] if gives_list else result

    def kernel(keyset: torch._C.DispatchKeySet, *arguments: object) -> object:
        # While a graph is traced, levels are not entered by the module that counts them.
        if forward_ad._current_level < 0 and not torch._C._len_torch_dispatch_stack():
            return reverse(keyset, *arguments)
        primals, tangents = zip(*map(_unpack, arguments), strict=True)
        if not any(map(_is_moved, tangents)):
            return reverse(keyset, *arguments)
        result = operator(*primals)
        moved = tangent(primals, tangents, result)
        if gives_list:
            return [_dual(one, of_one) for one, of_one in zip(result, moved, strict=True)]
        if isinstance(result, tuple):
            moved = moved if isinstance(moved, tuple) else (moved,)
            return *map(_dual, result[: len(moved)], moved), *result[len(moved) :]
        return _dual(result, moved)

    _FRAGMENT.impl(operator._schema.name.partition("::")[2], kernel, "Autograd", with_keyset=True)


LEVEL = 0
"""Of dual numbers: torch has no other."""
_FRAGMENT = torch.library.Library(NAMESPACE, "FRAGMENT")


def pulled_back(
    function: Callable, inputs: Sequence[torch.Tensor], grad: torch.Tensor
) -> Sequence[torch.Tensor | None]:
    """The gradients of `function` at `inputs`, for use in a backward pass: differentiable again where that is
    wanted, and without the transforms of torch.func, which take a millisecond, where it is not."""
    if torch.is_grad_enabled():
        return torch.func.vjp(function, *inputs)[1](grad)
    with torch.enable_grad():
        leaves = [one.detach().requires_grad_() for one in inputs]
        return torch.autograd.grad(function(*leaves), leaves, grad)


@overload
def dual_of(primal: torch.Tensor, tangent: torch.Tensor | None) -> torch.Tensor: ...
@overload
def dual_of(primal: None, tangent: None) -> None: ...
def dual_of(primal: torch.Tensor | None, tangent: torch.Tensor | None) -> torch.Tensor | None:
    """A dual tensor, or `primal` where there is no tangent."""
    return primal if tangent is None else forward_ad.make_dual(primal, tangent, level=LEVEL)


def tangent_of(dual: torch.Tensor) -> torch.Tensor | None:
    """The tangent of a dual tensor."""
    return forward_ad.unpack_dual(dual, level=LEVEL).tangent


def tangent_of_linear(operator: torch._ops.OpOverload, unread: Sequence[int] = ()) -> Callable:
    """The `tangent` of `register_derivative` for an operator that is linear in its first argument, and of
    whose others no derivative exists; `unread` are places of tensors of which only the size matters."""

    def tangent(primals: tuple, tangents: tuple, _: object) -> object:
        moved = tangents[0]
        if any(_is_moved(other) for place, other in enumerate(tangents) if place not in (0, *unread)):
            raise NotImplementedError(f"{operator} has no derivative but with respect to its first argument")
        if isinstance(moved, list):
            moved = [
                torch.zeros_like(one) if of_one is None else of_one
                for one, of_one in zip(primals[0], moved, strict=True)
            ]
        return operator(moved, *primals[1:])

    return tangent


def _unpack(argument: object) -> tuple[object, object]:
    if isinstance(argument, torch.Tensor):
        return forward_ad.unpack_dual(argument, level=LEVEL)
    if isinstance(argument, (list, tuple)) and argument and isinstance(argument[0], torch.Tensor):
        primals, tangents = zip(*(forward_ad.unpack_dual(one, level=LEVEL) for one in argument), strict=True)
        return list(primals), list(tangents)
    return argument, None


def _is_moved(derivative: object) -> bool:
    many = derivative if isinstance(derivative, list) else [derivative]
    return any(one is not None for one in many)


def _dual(primal: torch.Tensor, tangent: torch.Tensor | None) -> torch.Tensor:
    if tangent is None:
        return primal
    # A tangent must lie in memory as its primal does.
    placed = torch.empty_like(primal).copy_(tangent) if tangent.stride() != primal.stride() else tangent
    return forward_ad.make_dual(primal, placed, level=LEVEL)
