"""The growing axes of a run: which index a layer, a parameter or a parameter group has in the file.

A place is given at first sight and never changes; what is found late goes to the end.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from bnprobe.observe.forward import INPUT, Tap, TapKey
from bnprobe.observe.modules import ModuleCensus, class_name
from bnprobe.observe.parameters import trained_parameters
from bnprobe.store.writer import RunWriter


class Axes:
    """Gives places on the file's axes.

    Args:
        writer: the run file.
        census: the modules, for their names.
    """

    def __init__(self, writer: RunWriter, census: ModuleCensus) -> None:
        self.layer_names: list[str] = []
        self._writer = writer
        self._census = census
        self._layers: dict[TapKey, tuple[int, int]] = {}
        self._channel_starts: list[int] = []
        self._channels = 0
        self._models: list[weakref.ref[nn.Module]] = []
        self._parameters: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}
        self._parameter_names: set[str] = set()
        self._groups: dict[tuple[int, int], int] = {}
        self._optimizers: dict[int, str] = {}
        # Looked at again only when a group is added or changes its length: a step must not walk over all parameters.
        self._introduced: dict[int, tuple[weakref.ref[torch.optim.Optimizer], tuple[int, ...], list[int]]] = {}

    @property
    def channels(self) -> int:
        """Length of the channel axis."""
        return self._channels

    def layer(self, tap: Tap) -> int | None:
        """Return the place of a tap's layer; None where the layer has changed its number of channels, or is gone."""
        known = self._layers.get(tap.key)
        width = tap.moments.channels
        if known is not None:
            return known[0] if known[1] == width else None
        module = tap.key.module()
        if module is None:
            return None
        return self._add_layer(tap.key, module, width)

    def channel_slice(self, layer: int) -> slice:
        """Return where a layer's channels lie."""
        end = self._channel_starts[layer + 1] if layer + 1 < len(self._channel_starts) else self._channels
        return slice(self._channel_starts[layer], end)

    def parameter(self, parameter: torch.Tensor) -> int | None:
        """Return the place of a parameter; None if it was never introduced."""
        known = self._parameters.get(id(parameter))
        return known[1] if known is not None and known[0]() is parameter else None

    def introduce(self, optimizer: torch.optim.Optimizer) -> list[int]:
        """Give places to an optimizer's groups and parameters; return the places of its groups."""
        shape = tuple(len(group["params"]) for group in optimizer.param_groups)
        known = self._introduced.get(id(optimizer))
        if known is not None and known[0]() is optimizer and known[1] == shape:
            return known[2]
        places: list[int] = []
        for number, group in enumerate(optimizer.param_groups):
            key = (id(optimizer), number)
            if key not in self._groups:
                self._groups[key] = self._writer.add_group(f"{self._optimizer_name(optimizer)}[{number}]")
            places.append(self._groups[key])
            self.introduce_parameters(trained_parameters([group]), self._groups[key])
        self._introduced[id(optimizer)] = (weakref.ref(optimizer), shape, places)
        return places

    def introduce_parameters(self, parameters: Iterable[torch.Tensor], group: int) -> None:
        """Give places to parameters."""
        unknown = [parameter for parameter in parameters if self.parameter(parameter) is None]
        if not unknown:
            return
        names: dict[int, tuple[str, str]] = {}
        for root in self._census.roots():
            for key, (name, owner) in self._census.parameter_names(root).items():
                names.setdefault(key, (self._qualify(root, name), self._qualify(root, owner)))
        for parameter in unknown:
            name, owner = names.get(id(parameter), (f"parameter{self._writer.parameter_count}", ""))
            place = self._writer.add_parameter(
                parameter=self._unique(name, self._parameter_names),
                parameter_layer=owner,
                parameter_shape="x".join(str(size) for size in parameter.shape) or "scalar",
                parameter_size=parameter.numel(),
                parameter_group=group,
            )
            self._parameters[id(parameter)] = (weakref.ref(parameter), place)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _add_layer(self, key: TapKey, module: nn.Module, width: int) -> int:
        root = self._census.root(module)
        name = self._qualify(root, self._census.name(module)) or class_name(module)
        if key.call:
            name += f":{key.call + 1}"
        if key.role == INPUT:
            name += ":input"
        index = self._writer.add_layer(
            channels=width,
            layer=self._unique(name, set(self.layer_names)),
            layer_type=class_name(module),
            layer_kind=self._census.get(module).kind,
            layer_role=key.role,
            layer_depth=len(self.layer_names),
            layer_call=key.call,
            layer_model=self._model(root),
        )
        self._layers[key] = (index, width)
        self.layer_names.append(name)
        self._channel_starts.append(self._channels)
        self._channels += width
        return index

    def _qualify(self, root: nn.Module, name: str) -> str:
        """Put the model's name before a layer's where a program trains several models."""
        number = self._model(root)
        if number == 0 and len(self._known_models()) <= 1:
            return name
        label = _variable_name(root) or class_name(root).lower()
        return f"{label}.{name}" if name else label

    def _known_models(self) -> list[nn.Module]:
        return [root for root in self._census.roots() if any(True for _ in root.parameters())]

    def _model(self, root: nn.Module) -> int:
        for number, reference in enumerate(self._models):
            if reference() is root:
                return number
        self._models.append(weakref.ref(root))
        return len(self._models) - 1

    def _optimizer_name(self, optimizer: torch.optim.Optimizer) -> str:
        if id(optimizer) not in self._optimizers:
            name = type(optimizer).__name__
            same = sum(other.partition("#")[0] == name for other in self._optimizers.values())
            self._optimizers[id(optimizer)] = f"{name}#{same + 1}" if same else name
        return self._optimizers[id(optimizer)]

    @staticmethod
    def _unique(name: str, taken: set[str]) -> str:
        candidate, number = name, 2
        while candidate in taken:
            candidate, number = f"{name}~{number}", number + 1
        taken.add(candidate)
        return candidate


def _variable_name(root: Any) -> str:
    """Return the name the script itself gives a model, if it is a global of the main module."""
    variables = vars(sys.modules["__main__"])
    return next((name for name, value in list(variables.items()) if value is root and not name.startswith("_")), "")
