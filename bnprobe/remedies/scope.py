"""Where remedies may act: the modules of one or more models, and which of their parameters are trained.

A frozen backbone is left alone: what no optimizer trains was trained before, and a remedy would damage it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from bnprobe.errors import RemedyError
from bnprobe.module_parts import modules, named_modules, parameters
from bnprobe.remedies.linear_layers import is_linear, unit_axis
from bnprobe.torch_private import COMPILED_CALL, ConvNd, ConvTransposeNd

#: What to do where there are only layers of other kinds.
KINDS = "clip-norm, clip-value and agc act on parameters of every kind"
#: Why a remedy of weights leaves what is trained in another kind of layer.
TRANSPOSED = "left as it is, for it is a transposed convolution"
OTHER_KIND = "left as it is, for it is no convolution or linear layer with a weight of its own"

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class Scope:
    """The modules a remedy may act on.

    Args:
        models: the models; shared modules count once.
        trained: the parameters under training; those that require a gradient if None.
        loaded: modules into which weights were loaded.
        returning: names of what remedies had added to a checkpoint that was loaded.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        trained: Iterable[nn.Parameter] | None = None,
        loaded: Iterable[nn.Module] = (),
        returning: Iterable[str] = (),
    ) -> None:
        self.models = list(models)
        self._returning = tuple(returning)
        self._loaded = {id(inner): type(module).__name__ for module in loaded for inner in modules(module)}
        found = (p for model in models for p in parameters(model) if p.requires_grad) if trained is None else trained
        self.trained = {id(parameter): parameter for parameter in found}
        self._parents = {id(child): module for _, module in self.modules() for child in module._modules.values()}

    def modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Yield every module once with its name, which starts with its model's class where there are several models."""
        seen: set[int] = set()
        for model in self.models:
            prefix = f"{type(model).__name__}." if len(self.models) > 1 else ""
            for name, module in named_modules(model):
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

    def transposed(self) -> tuple[str, ...]:
        """Name the transposed convolutions whose kernels are plain trained parameters."""
        return tuple(name for name, module in self._weighted() if isinstance(module, ConvTransposeNd))

    def is_first(self, layer: nn.Module, *, linear: bool = False) -> bool:
        """Whether it is the first convolution, or of both kinds, in the order of the tree, trained or not: of several models the first."""
        found = (one for _, one in self.modules() if isinstance(one, CONVOLUTIONS) or (linear and is_linear(one)))
        return layer is next(found, None)

    def weight_layers(self, linear: bool = True) -> list[tuple[str, nn.Module]]:
        """Return convolutions, transposed ones included, and linear layers whose weights are plain trained parameters, real ones.

        Args:
            linear: linear layers, too.

        Raises:
            RemedyError: one is lazy and has no weight yet.
        """
        return [(name, module) for name, module in self._weighted() if isinstance(module, ConvNd) or (linear and is_linear(module))]

    def other_matrices(self, layers: Iterable[nn.Module]) -> tuple[str, ...]:
        """Return the names of what else holds trained matrices: recurrent layers, attention, a library's own kinds, tied weights.

        A table of embeddings has rows, and no units that sum over inputs.
        """
        taken = {id(p) for layer in layers for p in parameters(layer)}
        found: dict[str, None] = {}
        for name, module in self.modules():
            if isinstance(module, nn.Embedding | nn.EmbeddingBag | torch.jit.ScriptModule):
                continue
            held = [p for key, p in module._parameters.items() if p is not None and ("weight" in key or "original" in key) and p.dim() > 1]
            if any(id(p) in self.trained and id(p) not in taken for p in held):
                found[name] = None
        return tuple(found)

    def loaded_into(self, module: nn.Module) -> str | None:
        """Return the class of what weights were loaded into, a module or something that it is part of; None if none were."""
        return self._loaded.get(id(module))

    def returns(self, attribute: str) -> bool:
        """Whether a checkpoint was loaded of a training with the remedy that adds an attribute of this name to modules."""
        return any(attribute in name.split(".") for name in self._returning)

    def returns_at(self, attribute: str, at: str) -> bool:
        """Whether that remedy had added it to a module of this name, which a checkpoint of a part of the model names by the end alone."""
        paths = [name.split(".") for name in self._returning]
        owners = [path[: path.index(attribute)] for path in paths if attribute in path]
        return any(not owner or at.split(".")[-len(owner) :] == owner for owner in owners)

    def last_layer(self, model: nn.Module) -> nn.Module | None:
        """Return a model's last weight layer in the order of the tree, trained or not: what most often gives the answer."""
        found = [module for _, module in named_modules(model) if isinstance(module, ConvNd) or is_linear(module)]
        return found[-1] if found else None

    def is_trained(self, module: nn.Module) -> bool:
        """Whether anything in a module is trained; one that holds no parameters, an activation say, counts as what it is part of."""
        owner: nn.Module | None = module
        while owner is not None:
            held = list(parameters(owner))
            if held:
                return any(id(parameter) in self.trained for parameter in held)
            owner = self._parents.get(id(owner))
        return True

    def _weighted(self) -> Iterator[tuple[str, nn.Module]]:
        seen: set[int] = set()
        for name, module in self.modules():
            if isinstance(module, torch.jit.ScriptModule):
                continue  # what it computes is fixed, and its parameters are no dictionary
            weight = module._parameters.get("weight")
            if weight is None or id(weight) not in self.trained or id(weight) in seen or weight.is_complex():
                continue
            if isinstance(weight, UninitializedParameter | UninitializedBuffer):
                raise RemedyError(f"'{name}' is lazy and has no weight yet", "run one forward pass before the optimizer is built")
            seen.add(id(weight))
            yield name, module


def without_direction(layer: nn.Module) -> bool:
    """Whether a unit of a layer starts at zero: it has no direction, and what divides by its length would make it NaN."""
    weight = layer.get_parameter("weight").detach()
    axes = [axis for axis in range(weight.dim()) if axis != unit_axis(layer)]
    return bool(torch.linalg.vector_norm(weight, dim=axes).min() == 0)


def starts_at_zero(layer: nn.Module) -> bool:
    """Whether all of a layer's weight is zero: a branch, or a head, that a script starts switched off."""
    return not bool(layer.get_parameter("weight").detach().any())


def wrapping_of(model: nn.Module) -> str | None:
    """Name what a model, or a part of it, was wrapped in: "DistributedDataParallel", "torch.compile", "FSDP", or None."""
    for module in modules(model):
        name = type(module).__name__
        if name == "DistributedDataParallel":
            return name
        if name.startswith(("FSDP", "FullyShardedDataParallel")) or any(hasattr(p, "device_mesh") for p in module._parameters.values()):
            return "FSDP"
        if name == "OptimizedModule" or getattr(module, COMPILED_CALL, None) is not None:
            return "torch.compile"
    return None
