"""The growing axes of a run: which index a layer, a parameter or a parameter group has in the file.

A place is given at first sight and never changes; what is found late goes to the end.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from bnprobe.identity import IdentityMap, OwnReference
from bnprobe.observe.modules.kinds import class_name
from bnprobe.observe.modules.parts import parameters
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.observe.optimizers import trained_parameters
from bnprobe.observe.signals.records import INPUT, Tap, TapKey
from bnprobe.store.writer import RunWriter
from bnprobe.torch_private import answers_itself


class Axes:
    """Gives places on the file's axes.

    Args:
        writer: the run file.
        tree: the modules, for their names.
    """

    def __init__(self, writer: RunWriter, tree: ModuleTree) -> None:
        self.layer_names: list[str] = []
        self._writer = writer
        self._tree = tree
        self._layers: dict[TapKey, tuple[int, int]] = {}
        self._channel_starts: list[int] = []
        self._channels = 0
        self._models: list[weakref.ref[nn.Module]] = []
        self._parameters: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}
        self._parameter_layers: dict[int, str] = {}
        self._owners: dict[str, weakref.ref[nn.Module]] = {}
        self._taken: dict[str, set[str]] = {"layer": set(), "parameter": set()}
        self._optimizers: IdentityMap[torch.optim.Optimizer, _KnownOptimizer] = IdentityMap()
        self._optimizer_names: list[str] = []

    @property
    def channels(self) -> int:
        """Length of the channel axis."""
        return self._channels

    def introduce_layers(self, taps: Iterable[Tap]) -> None:
        """Give places to layers seen for the first time, in the order of their first call."""
        new: dict[TapKey, Tap] = {}
        for tap in taps:
            if tap.key not in self._layers:
                new.setdefault(tap.key, tap)
        for tap in sorted(new.values(), key=lambda tap: (tap.order, tap.key.role != INPUT)):
            module = tap.key.module()
            if module is not None:
                self._add_layer(tap, module)

    def layer(self, tap: Tap) -> int | None:
        """Return the place of a tap's layer; None where it has changed its number of channels, or is gone."""
        place, width = self._layers.get(tap.key, (None, 0))
        if place is not None and width != tap.moments.channels:
            reason = f"its number of channels changed from {width}, which it had at first"
            self._writer.add_coverage(self.layer_names[place], reason)
            return None
        return place

    def place(self, key: TapKey) -> int | None:
        """Return the place of a signal; None where it was never measured in training."""
        return self._layers.get(key, (None, 0))[0]

    def channel_slice(self, layer: int) -> slice:
        """Return where a layer's channels lie."""
        end = self._channel_starts[layer + 1] if layer + 1 < len(self._channel_starts) else self._channels
        return slice(self._channel_starts[layer], end)

    def parameter(self, parameter: torch.Tensor) -> int | None:
        """Return the place of a parameter; None if it was never introduced."""
        known = self._parameters.get(id(parameter))
        return known[1] if known is not None and known[0]() is parameter else None

    def layer_of(self, parameter: torch.Tensor | int) -> str:
        """Return the name of the layer that a parameter, or one of that id, belongs to; empty where it is not known."""
        key = parameter if isinstance(parameter, int) else id(parameter)
        reference, place = self._parameters.get(key, (None, -1))
        return self._parameter_layers.get(place, "") if reference is not None and reference() is not None else ""

    def trains(self, root: nn.Module) -> bool:
        """Whether any parameter of a model was introduced as trained; a network that only judges, as in a perceptual loss, has none."""
        return any(self.parameter(parameter) is not None for parameter in parameters(root))

    def introduce(self, optimizer: torch.optim.Optimizer) -> list[int]:
        """Give places to an optimizer's groups and parameters; return the places of its groups."""
        known = self._optimizers.get(optimizer)
        if known is None:
            known = self._optimizers[optimizer] = _KnownOptimizer(self._optimizer_name(type(optimizer).__name__))
        sizes = [len(group["params"]) for group in optimizer.param_groups]
        if sizes != known.sizes:  # only then: a step must not walk over all parameters
            for number in range(len(known.groups), len(sizes)):
                known.groups.append(self._writer.add_group(f"{known.name}[{number}]"))
            for group, place in zip(optimizer.param_groups, known.groups, strict=False):
                self.introduce_parameters(trained_parameters([group]), place, known.name)
            known.sizes = sizes
        return known.groups[: len(sizes)]

    def optimizer_name(self, optimizer: torch.optim.Optimizer) -> str:
        """Return the name of an optimizer in the file, or its class as long as it has none."""
        known = self._optimizers.get(optimizer)
        return known.name if known is not None else type(optimizer).__name__

    def introduce_parameters(self, parameters: Iterable[torch.Tensor], group: int, optimizer: str) -> None:
        """Give places to parameters."""
        unknown = [parameter for parameter in parameters if self.parameter(parameter) is None]
        names = self._parameter_names() if unknown else {}
        owners = self._parameter_owners() if unknown else {}
        for parameter in unknown:
            name, owner = names.get(id(parameter), (f"parameter{self._writer.parameter_count}", ""))
            if id(parameter) not in names:
                reason = "they belong to no module, so no layer's gradient can be told (a flat buffer, a wrapper, a free tensor)"
                self._writer.add_coverage(f"parameters of {optimizer}", reason)
            if answers_itself(parameter):
                self._writer.add_coverage(name, f"a {type(parameter).__name__}, it computes by code of its own: its norms are not measured")
            place = self._writer.add_parameter(
                parameter=self._unique(name, "parameter"),
                parameter_layer=owner,
                parameter_shape="x".join(str(size) for size in parameter.shape) or "scalar",
                parameter_size=parameter.numel(),
                parameter_group=group,
                parameter_dtype=str(parameter.dtype).removeprefix("torch."),
            )
            self._parameters[id(parameter)] = (OwnReference(parameter), place)
            self._parameter_layers[place] = owner
            if owner and id(parameter) in owners:
                self._owners.setdefault(owner, weakref.ref(owners[id(parameter)]))

    def never_called(self) -> list[str]:
        """Return the names of modules whose parameters are trained although no call of them was ever seen."""
        present = ((name, owner()) for name, owner in self._owners.items())
        return [name for name, module in present if module is not None and not self._tree.was_called(module)]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _add_layer(self, tap: Tap, module: nn.Module) -> None:
        key, width = tap.key, tap.moments.channels
        root = self._tree.root(module)
        name = self._qualify(root, self._tree.name(module)) or class_name(module)
        if key.call:
            name += f":{key.call + 1}"
        if key.role == INPUT:
            name += ":input"
        name = self._unique(name, "layer")
        index = self._writer.add_layer(
            channels=width,
            layer=name,
            layer_type=class_name(module),
            layer_kind=self._tree.get(module).kind,
            layer_role=key.role,
            layer_depth=len(self.layer_names),
            layer_call=key.call,
            layer_model=self._model(root),
            layer_dtype=str(tap.dtype).removeprefix("torch."),
            layer_made_by=tap.made_by,
            layer_repeat=tap.repeat,
        )
        self._layers[key] = (index, width)
        self.layer_names.append(name)
        self._channel_starts.append(self._channels)
        self._channels += width

    def _parameter_names(self) -> dict[int, tuple[str, str]]:
        names: dict[int, tuple[str, str]] = {}
        for root in self._tree.roots():
            found = self._tree.parameter_names(root)
            for key in found.keys() - names.keys():
                name, owner = found[key]
                names[key] = (self._qualify(root, name), self._qualify(root, owner))
        return names

    def _parameter_owners(self) -> dict[int, nn.Module]:
        owners: dict[int, nn.Module] = {}
        for root in self._tree.roots():
            for key, module in self._tree.parameter_owners(root).items():
                owners.setdefault(key, module)
        return owners

    def _qualify(self, root: nn.Module, name: str) -> str:
        """Put the model's name before a layer's where a program trains several models."""
        trained = self._tree.trained_roots()
        if not trained or (trained[0] is root and len(trained) == 1):
            return name
        label = _variable_name(root) or class_name(root).lower()
        return f"{label}.{name}" if name else label

    def _model(self, root: nn.Module) -> int:
        for number, reference in enumerate(self._models):
            if reference() is root:
                return number
        self._models.append(weakref.ref(root))
        return len(self._models) - 1

    def _optimizer_name(self, name: str) -> str:
        same = self._optimizer_names.count(name)
        self._optimizer_names.append(name)
        return f"{name}#{same + 1}" if same else name

    def _unique(self, name: str, axis: str) -> str:
        taken = self._taken[axis]
        candidate, number = name, 2
        while candidate in taken:
            candidate, number = f"{name}~{number}", number + 1
        taken.add(candidate)
        return candidate


@dataclass
class _KnownOptimizer:
    name: str
    groups: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


def _variable_name(root: Any) -> str:
    """Return the name the script itself gives a model, if it is a global of the main module."""
    variables = vars(sys.modules["__main__"])
    return next((name for name, value in list(variables.items()) if value is root and not name.startswith("_")), "")
