"""A module that can be tried without the training noticing: it computes the same, with parameters and buffers of its own."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

#: What a script may have set as the defaults of new tensors is not asked.
PLAIN: dict[str, Any] = {"device": "cpu", "dtype": torch.float32}
#: Attributes that a forward may write to in place.
_CHANGEABLE = (list, dict, set, torch.Tensor)


def twin_of(module: nn.Module) -> nn.Module:
    """Return a module that computes the same on the CPU, with a scale and a shift of its own, in evaluation and without hooks."""
    # No method of the script's makes it, and neither what hooks hold nor what it refers to is copied: that may be a whole training.
    twin: nn.Module = object.__new__(type(module))
    nn.Module.__init__(twin)
    own = {key: value for key, value in vars(module).items() if key not in vars(twin)}
    vars(twin).update({key: copy.deepcopy(value) if isinstance(value, _CHANGEABLE) else value for key, value in own.items()})
    vars(twin)["training"] = False
    for key, parameter in module._parameters.items():
        twin._parameters[key] = None if parameter is None else nn.Parameter(torch.empty(parameter.shape, **PLAIN), requires_grad=False)
    for key, buffer in module._buffers.items():
        floats = buffer is not None and buffer.is_floating_point()
        twin._buffers[key] = None if buffer is None else buffer.detach().to("cpu", torch.float32 if floats else buffer.dtype, copy=True)
    return twin
