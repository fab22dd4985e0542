"""Linear layers, by what they compute: torch's own, and those that a script or a library wrote itself.

Some libraries keep the weight the other way round, (inputs, units), as the ``Conv1D`` of GPT-2 does. A module that holds one matrix and at
most one vector is worth asking; a twin of it is given a random signal, and x W^T + b or x W + b is what tells. Its class and its name
decide nothing.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn

from bnprobe.identity import IdentityMap
from bnprobe.remedies.twin import PLAIN, twin_of
from bnprobe.remedies.untouched import untouched
from bnprobe.torch_private import ConvTransposeNd

_TOLERANCE = 1e-3
#: Where the units of each layer lie that was asked already; -1 for what is not linear.
_ASKED: IdentityMap[nn.Module, int] = IdentityMap()


def is_linear(module: nn.Module) -> bool:
    """Whether a module maps the last axis of its input linearly, by a weight of its own."""
    return isinstance(module, nn.Linear) or _asked(module) >= 0


def unit_axis(layer: nn.Module) -> int:
    """Return the axis of a layer's weight on which its units, or output channels, lie."""
    if isinstance(layer, ConvTransposeNd):
        return 1
    return 0 if isinstance(layer, nn.Linear) else max(0, _asked(layer))


def units_of(layer: nn.Module) -> int:
    """Return how many units a linear layer has.

    A weight of torch's own that is computed is not asked for: that would take a step of a spectral norm.
    """
    if (weight := layer._parameters.get("weight")) is None:
        if isinstance(layer, nn.Linear):
            return layer.out_features
        with untouched(layer):
            weight = cast("nn.Parameter", layer.weight)
    assert weight is not None
    return int(weight.shape[unit_axis(layer)])


def _asked(module: nn.Module) -> int:
    known = _ASKED.get(module)
    if known is None:
        known = _ASKED[module] = _axis_by_numbers(module)
    return known


def _axis_by_numbers(module: nn.Module) -> int:
    held = {key: value for key, value in module._parameters.items() if value is not None}
    weight, bias = held.get("weight"), held.get("bias")
    if module._modules or isinstance(module, nn.Embedding | torch.jit.ScriptModule) or held.keys() - {"weight", "bias"}:
        return -1
    if weight is None or not _is_plain(weight) or weight.dim() != 2 or (bias is not None and bias.dim() != 1):
        return -1
    if "forward" in vars(module) or (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return -1  # a forward that was given to it may belong to anything, and one of several processes may wait for the others
    return _try(module, *weight.shape, has_bias=bias is not None)


def _is_plain(weight: torch.Tensor) -> bool:
    return type(weight) in (torch.Tensor, nn.Parameter) and weight.is_floating_point()


@torch.no_grad()
def _try(module: nn.Module, rows: int, columns: int, *, has_bias: bool) -> int:
    """Return the axis of the units of a module whose weight is (rows, columns); -1 where it computes something else."""
    generator = torch.Generator().manual_seed(0)
    row, column, shift = (torch.randn(size, generator=generator, **PLAIN) for size in (rows, columns, rows + columns))
    for axis, inputs, outputs in ((0, column, row), (1, row, column)):
        signal = torch.randn(2, 3, len(inputs), generator=generator, **PLAIN)
        offset = shift[: len(outputs)] if has_bias else torch.zeros((), **PLAIN)
        try:
            with untouched(module):
                twin = twin_of(module)
                _give(twin, "weight", torch.outer(row, column))  # of rank one: a large weight is written and read once
                _give(twin, "bias", offset)
                found = twin.forward(signal)  # not a call: no hook is to see it
        except Exception:  # whatever a forward raises for a signal of another shape
            continue
        expected = (signal @ inputs).unsqueeze(-1) * outputs + offset
        if isinstance(found, torch.Tensor) and found.shape == expected.shape:
            if (found - expected).abs().max() < _TOLERANCE * expected.abs().max():
                return axis
    return -1


def _give(twin: nn.Module, key: str, value: Any) -> None:
    parameter = twin._parameters.get(key)
    if parameter is not None:
        if parameter.shape != value.shape:
            raise ValueError("a vector that is no shift")
        parameter.copy_(value)
