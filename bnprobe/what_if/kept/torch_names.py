"""What a file of tapes may call: operations, layer classes and optimizers of torch, by name, and nothing else.

An operation must be one of ``aten`` or ``prims`` that computes from tensors. Those that read or write files, print or format are none: a
file of tapes may come from anybody.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from bnprobe.observe.probes.memory import set_memory, view
from bnprobe.torch_private import OpOverload
from bnprobe.what_if.kept.unkept import Unkept, Unreadable
from bnprobe.what_if.stretch_tape import set_requires_grad

#: What the tape itself puts between the operations of torch.
_OWN: dict[str, Callable[..., Any]] = {
    "clone": torch.Tensor.clone,
    "view": view,
    "set_requires_grad": set_requires_grad,
    "set_memory": set_memory,
}
_NAME = re.compile(r"(aten|prims)::([A-Za-z]\w*|_[A-Za-z]\w*|__[a-z]+__)(?:\.(\w+))?")


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of an operation.

    Raises:
        Unkept: it is not one that may be called by name.
    """
    own = next((name for name, one in _OWN.items() if one is function), None)
    if own is not None:
        return own
    schema = function._schema if isinstance(function, OpOverload) else None
    name = str(function) if schema is None else f"{schema.name}.{schema.overload_name}".removesuffix(".")
    try:
        known = operation(name)
    except Unreadable:
        known = None
    if known is not function:
        raise Unkept(f"{name} is no operation of torch's own")
    return name


def operation(name: str) -> Callable[..., Any]:
    """Return the operation of a name.

    Raises:
        Unreadable: there is none, or it is not one that computes from tensors.
    """
    if name in _OWN:
        return _OWN[name]
    parts = _NAME.fullmatch(name)
    packet = getattr(getattr(torch.ops, parts[1]), parts[2], None) if parts else None
    found = getattr(packet, parts[3] or "default", None) if parts else None
    if not isinstance(found, OpOverload) or not _computes(found):
        raise Unreadable(f"{name!r} is no operation on tensors of torch's own")
    return found


def _computes(function: Any) -> bool:
    arguments = function._schema.arguments
    reads_tensors = any("Tensor" in str(argument.type) for argument in arguments)
    return reads_tensors and not any("str" in str(argument.type) and "file" in argument.name for argument in arguments)


def optimizer_name(optimizer: torch.optim.Optimizer) -> str:
    """Return the name of an optimizer's class.

    Raises:
        Unkept: the class is not one of torch's own.
    """
    name = type(optimizer).__name__
    if getattr(torch.optim, name, None) is not type(optimizer):
        raise Unkept(f"its optimizer {name} is a class of its own, whose code a file of tapes does not hold")
    return name


def optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    """Return the class of an optimizer.

    Raises:
        Unreadable: torch has none of that name.
    """
    found = getattr(torch.optim, name, None)
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise Unreadable(f"torch has no optimizer {name!r}")
    return found


def layer_name(kind: type[nn.Module]) -> dict[str, str]:
    """Return the name of a module's class, and the class of torch that it is, or is made from."""
    base = next(one for one in kind.__mro__ if _is_torchs(one))
    return {"name": kind.__name__, "module": base.__module__, "base": base.__qualname__}


def layer_class(told: dict[str, str]) -> type[nn.Module]:
    """Return a module class: one of torch, or one without code of its own that bears the name of one that was made from it.

    Raises:
        Unreadable: torch has no such class.
    """
    module = str(told["module"])
    found = getattr(sys.modules.get(module), str(told["base"]), None) if module.startswith("torch.nn.") else None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise Unreadable(f"torch has no module {module}.{told['base']}")
    return found if found.__name__ == told["name"] else type(str(told["name"]), (found,), {})


def _is_torchs(kind: type) -> bool:
    return kind.__module__.startswith("torch.nn.") and getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind
