"""What a ``torch.func`` transform, ``torch.jit`` or forward-mode differentiation makes of tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import forward_ad

from bnprobe.torch_private.modes import TorchFunctionDisabled

#: Whether a tensor is a stand-in for many, inside ``vmap``; 2.6 to 2.13.
stands_for_many: Callable[[torch.Tensor], bool] = torch._C._functorch.is_batchedtensor


def is_batched(thing: object) -> bool:
    """Whether a tensor stands for many, inside ``vmap``."""
    return isinstance(thing, torch.Tensor) and stands_for_many(thing)


def is_imaginary(tensor: torch.Tensor) -> bool:
    """Whether a tensor is shape only (meta, fake), stands for many, or is traced: what is done with it trains nothing."""
    kind = type(tensor)
    is_plain = kind is torch.Tensor or kind is torch.nn.Parameter
    if is_plain and not function_mode_depth():  # nobody sees what is asked
        return tensor.is_meta or functorch_wraps(tensor)
    with TorchFunctionDisabled():
        if is_plain:
            return tensor.is_meta or functorch_wraps(tensor)
        return kind.__module__.startswith("torch._subclasses") or tensor.is_meta


#: Whether a tensor is a transform's stand-in for another; 2.6 to 2.13.
functorch_wraps: Callable[[torch.Tensor], bool] = torch._C._functorch.is_functorch_wrapped_tensor


#: How many function modes of the script are on, the innermost ``torch.func`` transform or None, what ``torch.jit`` traces or
#: None: functions of C, 2.6 to 2.13. ``known_calls.c`` calls them, and puts hooks on tensors as ``Tensor.register_hook`` does,
#: by ``_backward_hooks`` and ``_register_hook_dict``.
function_mode_depth: Callable[[], int] = torch._C._len_torch_function_stack
transform_level: Callable[[], Any] = torch._C._functorch.maybe_current_level
tracing_state: Callable[[], Any] = torch._C._get_tracing_state


def is_transformed() -> bool:
    """Whether a ``torch.func`` transform is going on."""
    return transform_level() is not None


def is_traced() -> bool:
    """Whether ``torch.jit`` traces."""
    return tracing_state() is not None


def is_in_forward_mode() -> bool:
    """Whether forward-mode differentiation is going on; 2.6 to 2.13."""
    return forward_ad._current_level >= 0
