"""The graph that autograd keeps for its backward: its nodes, and what they hold."""

from __future__ import annotations

from typing import Any

import torch
from torch._library import autograd as library_autograd


def scripts_function(node: Any) -> str:
    """Return the name of the autograd function in python, not torch's own, that a node of a graph runs; "" for any other node.

    Those that torch makes of a custom operation count: their gradient is a function of whoever defined it.
    """
    if not isinstance(node, torch.autograd.function.BackwardCFunction):
        return ""
    module = str(getattr(node, "_forward_cls", type(node)).__module__)
    is_torchs = module.startswith("torch.") and module != library_autograd.__name__
    return "" if is_torchs else type(node).__name__.removesuffix("Backward")


_saved_names: dict[type, tuple[str, ...]] = {}

#: Whether torch tells of the hooks of a script on what a graph keeps, and gives what is kept without them; 2.13, not 2.6.
TELLS_OF_SAVED_HOOKS = hasattr(torch._C._autograd.SavedTensor, "unpack_hook")


def sequence_number(node: Any) -> int:
    """Return a number that grows with every operation of this thread that autograd follows; 2.6 to 2.13."""
    return int(node._sequence_nr())


def saved_tensors(node: Any) -> list[tuple[str, torch.Tensor]]:
    """Return the tensors that an operation keeps for its backward, by their names, without ``_saved_``; 2.13.

    What a hook of the script would have to bring back (a checkpoint would compute it anew) is left out, and so is what has been changed in
    place or freed since; where torch does not tell of such hooks, everything is.
    """
    kind = type(node)
    names = _saved_names.get(kind)
    if names is None:
        names = _saved_names[kind] = tuple(name.removeprefix("_raw_saved_") for name in dir(kind) if name.startswith("_raw_saved_"))
    found: list[tuple[str, torch.Tensor]] = []
    for name in names:
        try:
            raw = getattr(node, f"_raw_saved_{name}")
            several = raw if isinstance(raw, list | tuple) else (raw,)
            if any(getattr(one, "unpack_hook", raw) is not None for one in several):
                continue
            values = getattr(node, f"_saved_{name}")
        except (RuntimeError, AttributeError):
            continue
        found += [(name, value) for value in (values if isinstance(values, list | tuple) else (values,)) if isinstance(value, torch.Tensor)]
    return found
