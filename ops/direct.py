"""The short way to the compiled operators: one call that checks its arguments, too.

A call of a few boxes takes as long as its checks do in Python. In ordinary eager code on the CPU they are
left to a second form of the operator, "direct", without derivatives: it raises where an argument is wrong,
and the wrapper then goes the usual way, whose checks say what is wrong. Everything else (a GPU, gradients,
graphs being traced, transforms, subclasses of tensors) goes the usual way at once, and sees the usual
operators only.
"""

import functools
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack as _transforms
from torch.autograd import forward_ad
from torch.compiler import is_compiling
from torch.overrides import handle_torch_function, has_torch_function

from ops._library import NAMESPACE

COMPILED = f"{NAMESPACE}::direct_nms" in torch._C._dispatch_get_registrations_for_dispatch_key("CPU")
"""Whether a library with the direct operators is loaded; the tests' emulation of a GPU has none of them."""
_dispatch_modes = torch._C._len_torch_dispatch_stack
_tracing = torch._C._get_tracing_state
_wants_gradients = torch.is_grad_enabled


def define_direct(schema: str, autocasts: bool = True) -> torch._ops.OpOverload:
    """Declare the direct form of an operator, of which only the CPU library has a kernel; its name starts
    with "direct_". Under autocast it computes in float32, if `autocasts`."""
    name = schema.partition("(")[0]
    qualified = f"{NAMESPACE}::{name}"
    torch.library.define(qualified, schema[len(name) :])
    if autocasts:
        torch.library.register_autocast(qualified, "cpu", torch.float32)
    return getattr(getattr(torch.ops, NAMESPACE), name).default


def is_eager() -> bool:
    """Whether calls are carried out as they come: nothing is compiled, exported, traced or transformed."""
    return (
        not is_compiling()
        and COMPILED
        and _transforms() is None
        and not _dispatch_modes()
        and _tracing() is None
    )


def are_plain(one: object, other: object) -> bool:
    """Whether both are tensors, and no subclass, that may go to a direct operator without a derivative."""
    return is_eager() and type(one) is Tensor and type(other) is Tensor and one.is_cpu


def are_constant(one: object, other: object) -> bool:
    """Whether both are plain (see `are_plain`), and no derivative is wanted with respect to either."""
    return (
        is_eager()
        and type(one) is Tensor
        and type(other) is Tensor
        and one.is_cpu
        and forward_ad._current_level < 0
        and not ((one.requires_grad or other.requires_grad) and _wants_gradients())
    )


def traceable(function: Callable) -> Callable:
    """`function` as one node of the graph where `torch.fx.symbolic_trace` calls it, and for whatever else
    implements ``__torch_function__``. Operators with a direct form ask for themselves, after that."""

    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        given = tuple(one for many in (*args, *kwargs.values()) for one in _each(many))
        if has_torch_function(given):
            return handle_torch_function(wrapper, given, *args, **kwargs)
        return function(*args, **kwargs)

    return wrapper


def _each(many: object) -> Iterable[object]:
    if isinstance(many, dict):
        return many.values()
    return many if isinstance(many, (list, tuple)) else (many,)
