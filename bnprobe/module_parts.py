"""What a module consists of.

Torch's own ``parameters`` and ``modules`` are methods that a script overrides: to train only some weights, to return a list, to count. They
are the script's to call. What torch computes with lies in the module's registers.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn


def named_modules(root: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield a module and all below it, each once, with dotted names, parents first; "" is the module itself."""
    seen: set[int] = set()
    waiting = [("", root)]
    while waiting:
        name, module = waiting.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield name, module
        children = [(f"{name}.{key}" if name else key, child) for key, child in module._modules.items() if child is not None]
        waiting.extend(reversed(children))


def modules(root: nn.Module) -> Iterator[nn.Module]:
    """Yield a module and all below it, each once."""
    return (module for _, module in named_modules(root))


def named_parameters(root: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the parameters of a module and of all below it, each once, with dotted names."""
    seen: set[int] = set()
    for name, module in named_modules(root):
        for key, parameter in module._parameters.items():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                yield (f"{name}.{key}" if name else key), parameter


def parameters(root: nn.Module) -> Iterator[torch.Tensor]:
    """Yield the parameters of a module and of all below it, each once."""
    return (parameter for _, parameter in named_parameters(root))


def buffers(root: nn.Module) -> Iterator[torch.Tensor]:
    """Yield the buffers of a module and of all below it."""
    return (buffer for module in modules(root) for buffer in module._buffers.values() if buffer is not None)
