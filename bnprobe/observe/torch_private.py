"""Keeps the recorder's own operations out of the script's sight.

A script may watch torch itself: a dispatch mode that counts operations, a function mode that rewrites them, a tensor subclass. None of them
is to meet an operation that is not the script's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import CellType
from typing import Any, NamedTuple

import torch
from torch.utils import _python_dispatch


def user_modes_disabled() -> AbstractContextManager[Any]:
    """Return a context in which no mode and no tensor subclass of the script sees what is done."""
    if torch._C._len_torch_dispatch_stack() == 0:
        return torch._C.DisableTorchFunction()
    stack = ExitStack()
    stack.enter_context(torch._C.DisableTorchFunction())
    stack.enter_context(_python_dispatch._disable_current_modes())
    return stack


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor without its subclass: a sharded one is its local shard, any other the same numbers under the base class."""
    if type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter:
        return tensor
    with torch._C.DisableTorchFunctionSubclass():
        if hasattr(tensor, "to_local"):
            local: torch.Tensor = tensor.to_local()
            return local
        return tensor.as_subclass(torch.Tensor)


def holds_numbers(tensor: torch.Tensor) -> bool:
    """Whether a tensor has numbers in memory of its own, laid out in strides: not a meta or fake one, nor sparse, nested or batched."""
    if tensor.is_nested or torch._C._functorch.is_batchedtensor(tensor) or tensor._is_zerotensor():
        return False
    if type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter:
        return tensor.layout is torch.strided and not tensor.is_meta
    kind = type(tensor)
    if kind.__module__.startswith("torch._subclasses"):
        return False
    if hasattr(tensor, "to_local"):
        return True
    # A wrapper subclass keeps its numbers in other tensors: its own memory is none.
    return tensor.layout is torch.strided and not tensor.is_meta and "__torch_dispatch__" not in _own_attributes(kind)


def at_hand(number: torch.Tensor) -> torch.Tensor | float:
    """Return a number that lies in a tensor: itself where that costs no waiting, a copy elsewhere. The tensor may change in place."""
    if type(number) is torch.Tensor and number.is_cpu and number.numel() == 1:
        with contextlib.suppress(RuntimeError, TypeError):  # it has no numbers of its own, or is complex
            return float(number.item())
    return number.detach().clone()


def is_batched(thing: object) -> bool:
    """Whether a tensor stands for many, inside ``vmap``."""
    return isinstance(thing, torch.Tensor) and torch._C._functorch.is_batchedtensor(thing)


def is_imaginary(tensor: torch.Tensor) -> bool:
    """Whether a tensor is shape only (meta, fake), stands for many, or is traced: what is done with it trains nothing."""
    with torch._C.DisableTorchFunction():
        kind = type(tensor)
        if kind is torch.Tensor or kind is torch.nn.Parameter:
            return tensor.is_meta or torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        return kind.__module__.startswith("torch._subclasses") or tensor.is_meta


# -- backward ---------------------------------------------------------------------------------------------------------

#: What all of ``Tensor.backward``, ``torch.autograd.backward`` and ``torch.autograd.grad`` call, with tuples; 2.6 to 2.13. The second is
#: where torch's own replacements of it look it up.
BACKWARD_OWNERS = (torch.autograd, torch.autograd.graph)
RUN_BACKWARD = "_engine_run_backward"


class BackwardCall(NamedTuple):
    """Arguments of a backward.

    Attributes:
        outputs: tensors, or edges of the graph, where it starts.
        gradients: of each output; None leaves the engine to take 1.
        keeps_graph: whether the graph can be used again, or differentiated further.
        inputs: where it goes to; nothing for all leaves.
        accumulates: whether gradients are added to the leaves, rather than returned.
    """

    outputs: Sequence[Any]
    gradients: Sequence[Any]
    keeps_graph: bool
    inputs: Sequence[Any]
    accumulates: bool


def backward_call(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> BackwardCall:
    """Read the arguments of ``RUN_BACKWARD``."""
    names = ("t_outputs", "grad_tensors", "keep_graph", "create_graph", "inputs", "allow_unreachable", "accumulate_grad")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return BackwardCall(
        outputs=given["t_outputs"],
        gradients=given["grad_tensors"],
        keeps_graph=bool(given.get("keep_graph") or given.get("create_graph")),
        inputs=given.get("inputs") or (),
        accumulates=bool(given.get("accumulate_grad")),
    )


#: Number of the backward that this thread is inside of; NO_BACKWARD outside. 2.6 to 2.13.
current_backward: Callable[[], int] = torch._C._current_graph_task_id
NO_BACKWARD = -1


# -- clipping ---------------------------------------------------------------------------------------------------------


def clipping_body() -> CellType | None:
    """Return the cell with the function that scales gradients, given their norm; 2.6 to 2.13. None where there is none."""
    clip = getattr(torch.nn.utils.clip_grad, "_clip_grads_with_norm_", None)
    names = getattr(getattr(clip, "__code__", None), "co_freevars", ())
    return dict(zip(names, clip.__closure__ or (), strict=True)).get("func") if clip is not None else None


# -- the compiler -----------------------------------------------------------------------------------------------------


def skip_when_compiling(function: Callable[..., Any]) -> None:
    """Let torch.compile run a function's own frame as it is; what it calls is compiled as ever. 2.6 to 2.13; imports the compiler."""
    from torch._dynamo import decorators

    decorators.skip_code(function.__code__)  # type: ignore[attr-defined]


#: Set what is called with every frame that is about to run, in this thread; return what was. None compiles nothing. A function of C: no
#: frame of its own runs. 2.6 to 2.13; imports no compiler.
set_frame_compiler: Callable[[Any], Any] = torch._C._dynamo.eval_frame.set_eval_frame


def _own_attributes(kind: type) -> set[str]:
    return {name for base in kind.__mro__ if base not in (torch.Tensor, object) for name in vars(base)}
