"""Tensors without their subclass, whether they hold numbers, and what is known of their memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import grad_mode
from torch.utils import _pytree

from bnprobe.torch_private.shards import is_summand
from bnprobe.torch_private.transforms import stands_for_many


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor without its subclass: a sharded one is its local shard, any other the same numbers under the base class."""
    if type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter:
        return tensor
    with torch._C.DisableTorchFunctionSubclass():
        if hasattr(tensor, "to_local"):
            return _arrived(tensor.to_local())
        return tensor.as_subclass(torch.Tensor)


def _arrived(tensor: torch.Tensor) -> torch.Tensor:
    """Return the numbers that a collective of the script's own still fills in, once they are there; any other tensor as it is.

    Such a tensor has no memory of its own. ``trigger_wait`` as in torch 2.6 to 2.13.
    """
    while hasattr(tensor, "trigger_wait"):
        tensor = tensor.trigger_wait()
    return tensor


def holds_numbers(tensor: torch.Tensor) -> bool:
    """Whether a tensor has numbers in memory of its own, laid out in strides: no meta, fake, freed, sparse, nested or batched one."""
    if tensor.is_nested or stands_for_many(tensor) or tensor._is_zerotensor():
        return False
    if type(tensor) is torch.Tensor or type(tensor) is torch.nn.Parameter:
        return tensor.layout is torch.strided and not tensor.is_meta and not _is_bare(tensor)
    kind = type(tensor)
    if kind.__module__.startswith("torch._subclasses"):
        return False
    if hasattr(tensor, "to_local"):
        return not is_summand(tensor) and tensor.layout is torch.strided and not tensor.is_meta and not is_freed(tensor)
    # A wrapper subclass keeps its numbers in other tensors: its own memory is none.
    has_own = tensor.layout is torch.strided and not tensor.is_meta and "__torch_dispatch__" not in _own_attributes(kind)
    return has_own and not is_freed(tensor)


def is_freed(tensor: torch.Tensor) -> bool:
    """Whether a tensor's memory was given back, as FSDP does it to whole weights, and scripts to what they keep elsewhere meanwhile."""
    if tensor.layout is not torch.strided or tensor.is_meta or tensor.is_nested or stands_for_many(tensor) or tensor._is_zerotensor():
        return False
    return _is_bare(plain(tensor.detach()))


def _is_bare(tensor: torch.Tensor) -> bool:
    return bool(tensor.numel()) and not tensor.untyped_storage().size()


#: Tells a tensor that python has let go of, and that C still holds, that python holds it again; 2.6, and None where there is no need.
_FIX_REFERENCE: Callable[[torch.Tensor], None] | None = getattr(torch.Tensor, "_fix_weakref", None)


def revived(reference: Callable[[], torch.Tensor | None]) -> torch.Tensor | None:
    """Return the tensor that a weak reference is to, as ``torch.utils.weak`` does; None where it is gone."""
    tensor = reference()
    if tensor is not None and _FIX_REFERENCE is not None:
        _FIX_REFERENCE(tensor)
    return tensor


def answers_itself(tensor: torch.Tensor) -> bool:
    """Whether a tensor's class computes every operation on it by code of its own: that of the script, which may print, count or refuse."""
    kind = type(tensor)
    if kind is torch.Tensor or kind is torch.nn.Parameter or kind.__module__.startswith("torch."):
        return False
    return "__torch_dispatch__" in _own_attributes(kind) and not hasattr(tensor, "to_local")


def at_hand(number: torch.Tensor) -> torch.Tensor | float:
    """Return a number that lies in a tensor: itself where that costs no waiting, a copy elsewhere. The tensor may change in place."""
    if type(number) is torch.Tensor and number.is_cpu and number.numel() == 1:
        with contextlib.suppress(RuntimeError, TypeError):  # it has no numbers of its own, or is complex
            return float(number.item())
    return number.detach().clone()


def gradient_of(parameter: torch.Tensor) -> torch.Tensor | None:
    """Return the gradient that a tensor holds; of one that is no leaf and keeps none torch warns when it is asked."""
    return parameter.grad if parameter.is_leaf or parameter.retains_grad else None


def version(tensor: torch.Tensor) -> int:
    """Return how often a tensor has been written to: 0 of one that was made in inference mode, which torch does not count. 2.6 to 2.13."""
    return 0 if tensor.is_inference() else tensor._version


version_kept: Any = grad_mode._unsafe_preserve_version_counter

#: Leaves of nested lists, tuples and dicts, and a context in which a write counts no version; 2.6 to 2.13.
tree_leaves: Callable[[Any], list[Any]] = _pytree.tree_leaves

#: Where ``torch.utils.swap_tensors``, and with it ``Module.to`` and ``load_state_dict``, look for references to a tensor; 2.6 to 2.13.
SWAPPING_OWNER: Any = torch.utils
REFERENCES = "weakref"


def _own_attributes(kind: type) -> set[str]:
    return {name for base in kind.__mro__ if base not in (torch.Tensor, object) for name in vars(base)}
