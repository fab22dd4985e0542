"""The growing axes of a run: which index a layer, a parameter or a parameter group has in the file.

A place is given at first sight and never changes; what is found late goes to the end.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from operator import is_
from typing import NamedTuple

import torch
from torch import nn

from bnprobe.identity import IdentityMap, IdentitySet, OwnReference
from bnprobe.module_parts import modules, parameters
from bnprobe.observe.attaching.optimizers import trained_parameters
from bnprobe.observe.axes.model_labels import ModelLabels, shape_text
from bnprobe.observe.modules.kinds import class_name
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.observe.signals.records import INPUT, Tap, TapKey
from bnprobe.store.earlier import Earlier
from bnprobe.store.writer import RunWriter
from bnprobe.torch_private import answers_itself, shard_of

#: Models or optimizers that came and went, and the places that they leave behind: beyond both, what is made anew is first waited for. A row
#: is as wide as its axes, so that a search over thousands of small models would fill memory and file with what is missing.
GONE_OWNERS = 50
GONE_PLACES = 400
#: Steps that such a model or optimizer must train for before it gets places: one that stays is worth them.
WAITED_STEPS = 100


class Axes:
    """Gives places on the file's axes.

    Args:
        writer: the run file.
        tree: the modules, for their names.
        earlier: what stands in the file already: what bears a name of it has its place.
    """

    def __init__(self, writer: RunWriter, tree: ModuleTree, earlier: Earlier | None = None) -> None:
        widths = earlier.layer_channels if earlier is not None else []
        self.layer_names: list[str] = list(earlier.layers) if earlier is not None else []
        self._known_layers = {(name, width): place for place, (name, width) in enumerate(zip(self.layer_names, widths, strict=True))}
        self._known_parameters: dict[str, int] = _places(earlier.parameters if earlier is not None else [])
        self._known_groups: dict[str, int] = _places(earlier.groups if earlier is not None else [])
        self._writer = writer
        self._tree = tree
        self._layers: dict[TapKey, tuple[int, int]] = {}
        self._known_keys: list[TapKey] = []  # of a step whose layers all had places
        self._channel_starts: list[int] = [0, *accumulate(widths)][: len(widths)]
        self._channels = sum(widths)
        self._models: list[tuple[weakref.ref[nn.Module], int]] = []
        self._labels = ModelLabels(tree, earlier)
        self._known_models = list(earlier.layer_models) if earlier is not None else []
        self._next_model = max(self._known_models, default=-1) + 1
        self._ownerless = 0  # parameters that belong to no module
        self._parameters: dict[int, tuple[weakref.ref[torch.Tensor], int]] = {}
        self._parameter_layers: dict[int, str] = {}
        self._parameter_titles: dict[int, str] = {}
        self._owners: dict[str, weakref.ref[nn.Module]] = {}
        self._taken: dict[str, set[str]] = {"module": set(), "layer": set(), "parameter": set()}
        self._own_names: IdentityMap[nn.Module, dict[str, str]] = IdentityMap()
        self._optimizers: IdentityMap[torch.optim.Optimizer, _KnownOptimizer] = IdentityMap()
        self._optimizer_names: list[str] = []
        self._groups = 0
        self._is_crowded = False
        self._waited: IdentityMap[object, int] = IdentityMap()

    @property
    def channels(self) -> int:
        """Length of the channel axis."""
        return self._channels

    def introduce_layers(self, taps: Iterable[Tap]) -> None:
        """Give places to layers seen for the first time, in the order of their first call."""
        taps = list(taps)
        keys = [tap.key for tap in taps]
        if len(keys) == len(self._known_keys) and all(map(is_, keys, self._known_keys)):
            return  # the same objects as at the step before
        new: dict[TapKey, Tap] = {}
        for tap in taps:
            if tap.key not in self._layers:
                new.setdefault(tap.key, tap)
        self._known_keys = [] if new else keys
        refused = self._refused(tap.key.module() for tap in new.values()) if self._crowds() and new else ()
        for tap in sorted(new.values(), key=lambda tap: (tap.order, tap.key.role != INPUT)):
            module = tap.key.module()
            if module is not None and self._tree.root(module) not in refused:
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

    def parameter_place(self, key: int) -> int | None:
        """Return the place of the living parameter of an id; None if it was never introduced."""
        reference, place = self._parameters.get(key, (None, -1))
        return place if reference is not None and reference() is not None else None

    def parameter_name(self, parameter: torch.Tensor) -> str:
        """Return the name of a parameter in the file; empty where it was never introduced."""
        place = self.parameter(parameter)
        return self._parameter_titles[place] if place is not None else ""

    def layer_of(self, parameter: torch.Tensor | int) -> str:
        """Return the name of the layer that a parameter, or one of that id, belongs to; empty where it is not known."""
        key = parameter if isinstance(parameter, int) else id(parameter)
        reference, place = self._parameters.get(key, (None, -1))
        return self._parameter_layers.get(place, "") if reference is not None and reference() is not None else ""

    def trains(self, root: nn.Module) -> bool:
        """Whether any parameter of a model was introduced as trained; a network that only judges, as in a perceptual loss, has none."""
        return any(self.parameter(parameter) is not None for parameter in parameters(root))

    def introduce(self, optimizer: torch.optim.Optimizer) -> list[int]:
        """Give places to an optimizer's groups and parameters; return the places of its groups, none where it gets none yet."""
        known = self._optimizers.get(optimizer)
        if known is None:
            if not self._admits(optimizer):
                return []
            known = self._optimizers[optimizer] = _KnownOptimizer(self._optimizer_name(type(optimizer).__name__))
        sizes = [len(group["params"]) for group in optimizer.param_groups]
        if sizes != known.sizes:  # only then: a step must not walk over all parameters
            for number in range(len(known.groups), len(sizes)):
                name = f"{known.name}[{number}]"
                place = self._known_groups.pop(name, None)
                known.groups.append(self._writer.add_group(name) if place is None else place)
                self._groups += 1
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
            name, owner = names.get(id(parameter), (f"parameter{self._ownerless}", ""))
            if owner and (module := owners.get(id(parameter))) is not None:
                owner = self._own_name(self._tree.root(module), owner)
            if id(parameter) not in names:
                self._ownerless += 1
                reason = "they belong to no module, so no layer's gradient can be told (a flat buffer, a wrapper, a free tensor)"
                self._writer.add_coverage(f"parameters of {optimizer}", reason)
            if answers_itself(parameter):
                self._writer.add_coverage(name, f"a {type(parameter).__name__}, it computes by code of its own: its norms are not measured")
            unique = self._unique(name, "parameter")
            known = self._known_parameters.pop(unique, None)
            place = known if known is not None else self._add_parameter(unique, owner, parameter, group)
            self._parameters[id(parameter)] = (OwnReference(parameter), place)
            self._parameter_layers[place], self._parameter_titles[place] = owner, unique
            if owner and id(parameter) in owners:
                self._owners.setdefault(owner, weakref.ref(owners[id(parameter)]))

    def trained(self, optimizers: Iterable[torch.optim.Optimizer]) -> list[Trained]:
        """Return the parameters that optimizers train and a module owns."""
        places: dict[int, tuple[nn.Module, tuple[str, str]]] = {}
        for root, names in self._names_by_root():
            for key in names.keys() - places.keys():
                places[key] = (root, names[key])
        parameters = (parameter for optimizer in optimizers for parameter in trained_parameters(optimizer.param_groups))
        found = []
        for parameter in parameters:
            if id(parameter) in places:
                root, (name, owner) = places[id(parameter)]
                found.append(Trained(name, parameter, owner, self._labels.match(root) is not None))
        return found

    def present_parameters(self) -> list[str]:
        """Return the names of all parameters of the script's models."""
        return [name for name, _ in self._parameter_names().values()]

    def never_called(self) -> tuple[list[str], list[str]]:
        """Return the names of modules whose parameters are trained although no call of them with a backward was ever seen.

        Returns:
            those that were never called at all, and those that ran without gradient or in forward mode.
        """
        present = [(name, module) for name, owner in self._owners.items() if (module := owner()) is not None]
        called = [(name, self._tree.ran_otherwise(module)) for name, module in present if not self._tree.was_called(module)]
        return [name for name, otherwise in called if not otherwise], [name for name, otherwise in called if otherwise]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _refused(self, modules: Iterable[nn.Module | None]) -> IdentitySet[nn.Module]:
        """Return the models of new layers that get no places yet."""
        roots: IdentitySet[nn.Module] = IdentitySet()
        refused: IdentitySet[nn.Module] = IdentitySet()
        for module in modules:
            if module is not None and (root := self._tree.root(module)) not in roots:
                roots.add(root)
                if not any(reference() is root for reference, _ in self._models) and not self._admits(root):
                    refused.add(root)
        return refused

    def _admits(self, owner: object) -> bool:
        """Whether a new model or optimizer gets places: where many have come and gone, once it has trained for some time."""
        if not self._crowds():
            return True
        steps = (self._waited.get(owner) or 0) + 1
        self._waited[owner] = steps
        if steps <= WAITED_STEPS:
            self._writer.add_coverage(
                "models and optimizers that were made late",
                f"more than {GONE_OWNERS} came and went before: where one trains for {WAITED_STEPS} steps or less, its loss alone is kept",
            )
        return steps > WAITED_STEPS

    def _crowds(self) -> bool:
        """Whether what is gone takes so many places that what comes must wait. Nothing comes back, so it stays."""
        if not self._is_crowded:
            optimizers = list(self._optimizers)
            owners = max(sum(model() is None for model, _ in self._models), len(self._optimizer_names) - len(optimizers))
            self._is_crowded = owners > GONE_OWNERS and self._gone_places(optimizers) > GONE_PLACES
        return self._is_crowded

    def _gone_places(self, optimizers: Iterable[torch.optim.Optimizer]) -> int:
        layers = sum(key.module() is None for key in self._layers)
        parameters = len(self._parameter_layers) - sum(reference() is not None for reference, _ in self._parameters.values())
        groups = self._groups - sum(len(known.groups) for one in optimizers if (known := self._optimizers.get(one)) is not None)
        return layers + parameters + groups

    def _add_layer(self, tap: Tap, module: nn.Module) -> None:
        key, width = tap.key, tap.moments.channels
        root = self._tree.root(module)
        name = self._own_name(root, self._labels.qualify(root, self._tree.name(module)) or class_name(module))
        if key.call:
            name += f":{key.call + 1}"
        if key.role == INPUT:
            name += ":input"
        name = self._unique(name, "layer")
        known = self._known_layers.pop((name, width), None)
        if known is not None:
            self._layers[key] = (known, width)
            self._model(root, known)
            return
        if name in self.layer_names:  # it was there with another number of channels
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

    def _add_parameter(self, name: str, owner: str, parameter: torch.Tensor, group: int) -> int:
        return self._writer.add_parameter(
            parameter=name,
            parameter_layer=owner,
            parameter_shape=shape_text(parameter),
            parameter_size=parameter.numel(),
            parameter_group=group,
            parameter_dtype=str(parameter.dtype).removeprefix("torch."),
            parameter_shard=shard_of(parameter),
        )

    def _parameter_names(self) -> dict[int, tuple[str, str]]:
        names: dict[int, tuple[str, str]] = {}
        for _, found in self._names_by_root():
            for key in found.keys() - names.keys():
                names[key] = found[key]
        return names

    def _names_by_root(self) -> Iterator[tuple[nn.Module, dict[int, tuple[str, str]]]]:
        for root in self._tree.roots():
            found = self._tree.parameter_names(root)
            yield root, {key: (self._labels.qualify(root, name), self._labels.qualify(root, owner)) for key, (name, owner) in found.items()}

    def _parameter_owners(self) -> dict[int, nn.Module]:
        owners: dict[int, nn.Module] = {}
        for root in self._tree.roots():
            for key, module in self._tree.parameter_owners(root).items():
                owners.setdefault(key, module)
        return owners

    def _model(self, root: nn.Module, layer: int | None = None) -> int:
        """Return the number of a model; ``layer`` is one of it that stood in the file before."""
        known = next((known for reference, known in self._models if reference() is root), None)
        if known is not None:
            return known
        match = self._labels.match(root)
        number = self._known_models[layer] if layer is not None else match.number if match is not None else None
        if number is None:
            number = self._next_model
            self._next_model += 1
        self._models.append((weakref.ref(root), number))
        return number

    def _optimizer_name(self, name: str) -> str:
        same = self._optimizer_names.count(name)
        self._optimizer_names.append(name)
        return f"{name}#{same + 1}" if same else name

    def _own_name(self, root: nn.Module, name: str) -> str:
        """Return what a part of a model is called in the file: of parts that have one name, as in two models of one class, each its own."""
        names = self._own_names.get(root)
        if names is None:  # of a wrapper, the names that what it wraps had before
            wrapped = (module for module in modules(root) if not self._tree.name(module))
            names = next((known for module in wrapped if (known := self._own_names.get(module)) is not None), {})
            self._own_names[root] = names
        if name not in names:
            names[name] = self._unique(name, "module")
        return names[name]

    def _unique(self, name: str, axis: str) -> str:
        taken = self._taken[axis]
        candidate, number = name, 2
        while candidate in taken:
            candidate, number = f"{name}~{number}", number + 1
        taken.add(candidate)
        return candidate


def _places(names: Iterable[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


class Trained(NamedTuple):
    """A parameter that an optimizer trains.

    Attributes:
        name: its name in the file; of several with one name, the first's.
        parameter: it.
        owner: the module that it belongs to.
        is_known: whether the file that the training goes on in has its model.
    """

    name: str
    parameter: torch.Tensor
    owner: str
    is_known: bool


@dataclass
class _KnownOptimizer:
    name: str
    groups: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
