"""Where remedies may act: the modules of one or more models, and which of their parameters are trained.

A frozen backbone is left alone: what no optimizer trains was trained before, and a remedy would damage it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from bnprobe.errors import RemedyError
from bnprobe.torch_private import COMPILED_CALL, ConvNd

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Scope:
    """The modules a remedy may act on.

    Args:
        models: the models; shared modules count once.
        trained: the parameters under training; those that require a gradient if None.
    """

    def __init__(self, models: Sequence[nn.Module], trained: Iterable[nn.Parameter] | None = None) -> None:
        self.models = list(models)
        found = (p for model in models for p in model.parameters() if p.requires_grad) if trained is None else trained
        self.trained = {id(parameter): parameter for parameter in found}
        self._parents = {id(child): module for _, module in self.modules() for child in module._modules.values()}

    def modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield every module once with its name, which starts with its model's class where there are several models."""
        seen: set[int] = set()
        for model in self.models:
            prefix = f"{type(model).__name__}." if len(self.models) > 1 else ""
            for name, module in model.named_modules():
                if id(module) not in seen:
                    seen.add(id(module))
                    yield prefix + name, module

    def parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Return the trained parameters of the models with their names."""
        found: dict[int, tuple[str, nn.Parameter]] = {}
        for name, module in self.modules():
            for key, parameter in module._parameters.items():
                if parameter is not None and id(parameter) in self.trained:
                    found.setdefault(id(parameter), (f"{name}.{key}" if name else key, parameter))
        return list(found.values())

    def convolutions(self) -> list[tuple[str, Convolution]]:
        """Return the convolutions whose kernels are plain trained parameters, in the order of the model's tree.

        Raises:
            RemedyError: one is lazy and has no kernel yet.
        """
        return [(name, module) for name, module in self._weighted() if isinstance(module, CONVOLUTIONS)]

    def weight_layers(self, linear: bool = True) -> list[tuple[str, nn.Module]]:
        """Return convolutions, transposed ones included, and linear layers whose weights are plain trained parameters.

        Args:
            linear: linear layers, too.

        Raises:
            RemedyError: one is lazy and has no weight yet.
        """
        kinds = (ConvNd, *((nn.Linear,) if linear else ()))
        return [(name, module) for name, module in self._weighted() if isinstance(module, kinds)]

    def is_trained(self, module: nn.Module) -> bool:
        """Whether anything in a module is trained; one that holds no parameters, an activation say, counts as what it is part of."""
        owner: nn.Module | None = module
        while owner is not None:
            parameters = list(owner.parameters())
            if parameters:
                return any(id(parameter) in self.trained for parameter in parameters)
            owner = self._parents.get(id(owner))
        return True

    def _weighted(self) -> Iterator[tuple[str, nn.Module]]:
        seen: set[int] = set()
        for name, module in self.modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue  # what it computes is fixed, and its parameters are no dictionary
            weight = module._parameters.get("weight")
            if weight is None or id(weight) not in self.trained or id(weight) in seen:
                continue
            if isinstance(weight, UninitializedParameter | UninitializedBuffer):
                raise RemedyError(f"'{name}' is lazy and has no weight yet", "run one forward pass before the optimizer is built")
            seen.add(id(weight))
            yield name, module


def wrapping_of(model: nn.Module) -> str | None:
    """Name what a model, or a part of it, was wrapped in: "DistributedDataParallel", "torch.compile", "FSDP", or None."""
    for module in model.modules():
        name = type(module).__name__
        if name == "DistributedDataParallel":
            return name
        if name.startswith(("FSDP", "FullyShardedDataParallel")) or any(hasattr(p, "device_mesh") for p in module._parameters.values()):
            return "FSDP"
        if name == "OptimizedModule" or getattr(module, COMPILED_CALL, None) is not None:
            return "torch.compile"
    return None
