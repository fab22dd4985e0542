"""The modules of a program: which of them are layers, what they are called, in which order they are first called.

Names come from the tree that the program builds, seen through torch's module registration hook, so that a sub-module called on its own
(``model.encoder(x)``) still has its full name. Nothing is left on the user's modules.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module

from bnprobe.measure.layout import CHANNELS_FIRST, CHANNELS_LAST, TIME_FIRST, Layout

_WRAPPER_PREFIXES = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
_CLASS_PREFIXES = ("Parametrized", "FSDP")

_KINDS: list[tuple[str, tuple[type[nn.Module], ...]]] = [
    ("convolution", (nn.modules.conv._ConvNd,)),
    ("linear", (nn.Linear, nn.Bilinear, nn.LazyLinear)),
    (
        "normalisation",
        (
            nn.modules.batchnorm._NormBase,
            nn.LayerNorm,
            nn.GroupNorm,
            nn.LocalResponseNorm,
            nn.CrossMapLRN2d,
            *((nn.RMSNorm,) if hasattr(nn, "RMSNorm") else ()),
        ),
    ),
    ("recurrent", (nn.RNNBase, nn.RNNCellBase)),
    ("attention", (nn.MultiheadAttention,)),
    ("embedding", (nn.Embedding, nn.EmbeddingBag)),
    ("dropout", (nn.modules.dropout._DropoutNd,)),
    (
        "pooling",
        (
            nn.modules.pooling._MaxPoolNd,
            nn.modules.pooling._AvgPoolNd,
            nn.modules.pooling._AdaptiveAvgPoolNd,
            nn.modules.pooling._AdaptiveMaxPoolNd,
        ),
    ),
]
_CHANNELS_LAST_KINDS = ("linear", "attention", "embedding")


@dataclass
class ObservedModule:
    """What is known of one module that was called.

    Attributes:
        reference: the module, unless it is gone.
        is_layer: whether its output is measured: it owns parameters, or it is a leaf.
        kind: see the schema's ``layer_kind``.
        has_parameters: whether it owns parameters itself.
        calls: calls since the last backward.
        hidden_forwards: calls in training mode without gradient since the last step: what reentrant checkpointing does before it
            calls again inside backward.
    """

    reference: weakref.ref[nn.Module]
    is_layer: bool
    kind: str
    has_parameters: bool
    calls: int = 0
    hidden_forwards: int = 0
    disabled: bool = False
    _root: tuple[int, weakref.ref[nn.Module]] | None = field(default=None, repr=False)


class ModuleCensus:
    """Every module seen, and the tree they form."""

    def __init__(self) -> None:
        self._seen: dict[int, ObservedModule] = {}
        # child id -> (child, parent, attribute name); weak, so that no module lives longer for having been seen.
        self._parents: dict[int, tuple[weakref.ref[nn.Module], weakref.ref[nn.Module], str]] = {}
        self._generation = 0  # of the tree; a cached root holds for one generation
        self._called: list[ObservedModule] = []
        self._handle: Any = None

    def attach(self) -> None:
        """Watch modules being put together."""
        self._handle = torch_module.register_module_module_registration_hook(self._on_registration)

    def detach(self) -> None:
        """Stop watching."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def get(self, module: nn.Module) -> ObservedModule:
        """Return what is known of a module, looking at it now if it is new."""
        entry = self._seen.get(id(module))
        if entry is not None and entry.reference() is module:  # an id may be taken over by a later module
            return entry
        entry = self._seen[id(module)] = _examine(module)
        for name, child in module._modules.items():  # copies and unpickled models were never put together before our eyes
            if child is not None and id(child) not in self._parents:
                self._on_registration(module, name, child)
        return entry

    def count_call(self, entry: ObservedModule) -> int:
        """Count a call in the current micro-step; return how many came before it."""
        if entry.calls == 0:
            self._called.append(entry)
        entry.calls += 1
        return entry.calls - 1

    def end_micro_step(self) -> None:
        """Let the call counters start again: a backward has run."""
        for entry in self._called:
            entry.calls = 0
        self._called.clear()

    def forget_hidden_forwards(self) -> None:
        """A step is over: what ran without gradient was not checkpointing."""
        for entry in self._seen.values():
            entry.hidden_forwards = 0

    def root(self, module: nn.Module) -> nn.Module:
        """Return the model a module belongs to: the top of its tree."""
        entry = self.get(module)
        if entry._root is not None and entry._root[0] == self._generation:
            known = entry._root[1]()
            if known is not None:
                return known
        root = self._path(module)[0]
        entry._root = (self._generation, weakref.ref(root))
        return root

    def name(self, module: nn.Module) -> str:
        """Return the dotted name of a module below its root, without the prefixes that wrappers add; "" for the root itself."""
        name = ".".join(self._path(module)[1]) + "."
        for prefix in _WRAPPER_PREFIXES:
            name = name.replace(f".{prefix}", ".").removeprefix(prefix)
        return name.rstrip(".")

    def parameter_names(self, root: nn.Module) -> dict[int, tuple[str, str]]:
        """Map ``id(parameter)`` to (parameter name, owner's name) for every parameter below ``root``."""
        names: dict[int, tuple[str, str]] = {}
        for full, parameter in root.named_parameters():
            for prefix in _WRAPPER_PREFIXES:
                full = full.replace(f".{prefix}", ".").removeprefix(prefix)
            owner = full.rpartition(".")[0]
            names[id(parameter)] = (full, owner.partition(".parametrizations")[0])
        return names

    def roots(self) -> list[nn.Module]:
        """Return the models seen so far, in order of first call."""
        found: dict[int, nn.Module] = {}
        for entry in list(self._seen.values()):
            module = entry.reference()
            if module is not None:
                root = self.root(module)
                found.setdefault(id(root), root)
        return list(found.values())

    def _path(self, module: nn.Module) -> tuple[nn.Module, list[str]]:
        names: list[str] = []
        visited = {id(module)}
        while True:
            known = self._parents.get(id(module))
            if known is None or known[0]() is not module:
                return module, names
            parent = known[1]()
            if parent is None or id(parent) in visited or not _holds(parent, known[2], module):
                return module, names
            visited.add(id(parent))
            names.insert(0, known[2])
            module = parent

    def _on_registration(self, parent: nn.Module, name: str, child: nn.Module | None) -> None:
        if child is not None:
            self._parents[id(child)] = (weakref.ref(child), weakref.ref(parent), name)
            self._generation += 1


def _holds(parent: nn.Module, name: str, child: nn.Module) -> bool:
    """Whether the parent still has this child: trees are rebuilt, and a layer can move to another model."""
    return parent._modules.get(name) is child


def _examine(module: nn.Module) -> ObservedModule:
    children = [name for name in module._modules if name != "parametrizations"]
    has_parameters = bool(module._parameters) or "parametrizations" in module._modules
    kind = next((kind for kind, classes in _KINDS if isinstance(module, classes)), "")
    is_layer = bool(kind) or not children or any(parameter is not None for parameter in module._parameters.values())
    if isinstance(module, torch.nn.utils.parametrize.ParametrizationList):
        is_layer = False
    if not kind:
        is_activation = type(module).__module__.startswith("torch.nn.modules.activation")
        kind = "activation" if is_activation else "other"
    return ObservedModule(weakref.ref(module), is_layer, kind, has_parameters)


def class_name(module: nn.Module) -> str:
    """Return the class a user knows the module by: parametrised and sharded layers are renamed subclasses."""
    name = type(module).__name__
    for prefix in _CLASS_PREFIXES:
        name = name.removeprefix(prefix)
    return name


def layout_of(module: nn.Module, kind: str, dimensions: int) -> Layout:
    """Return the axes of a module's output when nothing is known about where its input came from.

    Args:
        module: the module.
        kind: its kind.
        dimensions: number of axes of the output.
    """
    if kind == "recurrent" and dimensions == 3 and not getattr(module, "batch_first", False):
        return TIME_FIRST
    if kind == "attention" and dimensions == 3 and not getattr(module, "batch_first", False):
        return TIME_FIRST
    if kind in (*_CHANNELS_LAST_KINDS, "recurrent") or _normalises_last_axis(module):
        return CHANNELS_LAST
    if kind in ("convolution", "pooling") or isinstance(module, nn.modules.batchnorm._NormBase | nn.GroupNorm):
        return CHANNELS_FIRST
    return CHANNELS_LAST if dimensions == 3 else CHANNELS_FIRST


def _normalises_last_axis(module: nn.Module) -> bool:
    return isinstance(module, nn.LayerNorm) or type(module).__name__.endswith("RMSNorm")
