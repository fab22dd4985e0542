"""The modules of a program: which of them are layers, what they are called, in which order they are first called.

Names come from the tree that the program builds, seen through torch's module registration hook, so that a sub-module called on its own
(``model.encoder(x)``) still has its full name. Nothing is left on the user's modules.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from bnprobe.module_parts import modules, named_parameters, parameters
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.modules.kinds import (
    ObservedModule,
    examine,
    without_wrappers,
)

#: Looks at all that is known for the parent of a module that came without a word: where many have none, none has.
_LOOKS_FOR_PARENTS = 256


@dataclass(slots=True)
class _Edge:
    """A child's place in a parent; weak, so that no module lives longer for having been seen."""

    child: weakref.ref[nn.Module]
    parent: weakref.ref[nn.Module]
    name: str

    def place(self) -> str | None:
        """Return the child's present name in the parent, or None if it has left: containers insert, delete and renumber."""
        parent, child = self.parent(), self.child()
        if parent is None or child is None:
            return None
        modules = parent._modules  # of a scripted module it is no dictionary
        if self.name not in modules or modules[self.name] is not child:
            name = next((name for name, held in modules.items() if held is child), None)
            if name is None:
                return None
            self.name = name
        return self.name


class ModuleTree:
    """Every module seen, and the tree they form."""

    def __init__(self) -> None:
        self._seen: dict[int, ObservedModule] = {}
        # By id of the child. The first place that still holds counts: a slice of a Sequential must not take its layers away.
        self._edges: dict[int, list[_Edge]] = {}
        self._generation = 0  # of the tree; a cached root holds for one generation
        self._trained: dict[int, ObservedModule] = {}  # models of which layers ran with gradient, in order of first call
        self._trained_roots: tuple[tuple[int, int], list[ObservedModule]] | None = None
        self._looks_for_parents = 0

    def attach(self, patches: Patches) -> None:
        """Watch modules being put together, copied and unpickled."""
        patches.hook(torch_module.register_module_module_registration_hook, self._on_registration)
        patches.replace(nn.Module, "__setstate__", self._seeing_copies)
        for container in (nn.ModuleList, nn.Sequential):  # it puts a module into a tree without a word
            patches.replace(container, "insert", self._seeing_insertions)

    def _seeing_copies(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``copy.deepcopy`` and pickle restore a module's state without putting it together."""

        @functools.wraps(original)
        def __setstate__(module: nn.Module, *args: Any) -> Any:
            result = original(module, *args)
            self._register_children(module)
            return result

        return __setstate__

    def _seeing_insertions(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def insert(container: nn.Module, *args: Any, **kwargs: Any) -> Any:
            result = original(container, *args, **kwargs)
            self._register_children(container)
            return result

        return insert

    def _register_children(self, module: nn.Module) -> None:
        for name, child in module._modules.items():
            if child is not None and not any(edge.parent() is module for edge in self._edges_of(child)):
                self._on_registration(module, name, child)

    def learn(self, model: nn.Module) -> None:
        """Know a model that was put together before it could be watched."""
        for module in modules(model):
            self._register_children(module)

    def get(self, module: nn.Module) -> ObservedModule:
        """Return what is known of a module, looking at it now if it is new."""
        entry = self._seen.get(id(module))
        if entry is not None and entry.reference() is module:  # an id may be taken over by a later module
            return entry
        self._register_children(module)  # it may have been built before the recording began
        if not self._edges_of(module) and (module._parameters or module._modules) and self._looks_for_parents < _LOOKS_FOR_PARENTS:
            self._look_for_parents()
        entry = self._seen[id(module)] = examine(module)
        if any(isinstance(above, ParametrizationList) for above in self.above(module)):
            entry.is_layer = False  # it computes a weight, not a signal
        return entry

    def was_called(self, module: nn.Module) -> bool:
        """Whether a module ran with gradient."""
        entry = self._seen.get(id(module))
        return entry is not None and entry.reference() is module and entry.was_called

    def ran_otherwise(self, module: nn.Module) -> bool:
        """Whether a module ran without gradient or in forward mode."""
        entry = self._seen.get(id(module))
        return entry is not None and entry.reference() is module and entry.ran_otherwise

    def _look_for_parents(self) -> None:
        """A script may write into ``_modules`` itself: look at all that is known once more."""
        self._looks_for_parents += 1
        parents = {id(parent): parent for edges in list(self._edges.values()) for edge in edges if (parent := edge.parent()) is not None}
        for module in parents.values():
            self._register_children(module)

    def note_failed_forward(self, module: nn.Module) -> None:
        """A forward has raised: the next one is another."""
        if self.root(module) is module:
            self.get(module).forwards += 1

    def root(self, module: nn.Module) -> nn.Module:
        """Return the model a module belongs to: the top of its tree."""
        return self.model(module, self.get(module))[0]

    def model(self, module: nn.Module, entry: ObservedModule) -> tuple[nn.Module, ObservedModule]:
        """Return the model a module belongs to, and what is known of it; ``entry`` is what is known of the module."""
        if entry._root is not None and entry._root[0] == self._generation:
            known = entry._root[1].reference()
            if known is not None:
                return known, entry._root[1]
        root = next(reversed([module, *self.above(module)]))
        entry._root = (self._generation, self.get(root))
        if entry._root[0] != self._generation:  # looking at it has changed the tree
            return self.model(module, entry)
        return root, entry._root[1]

    def has_parameters(self, root: nn.Module) -> bool:
        """Whether a model has, or ever had, anything to train; a loss module or a lone Flatten has not."""
        entry = self.get(root)
        entry._is_model = entry._is_model or next(parameters(root), None) is not None
        return entry._is_model

    def name(self, module: nn.Module) -> str:
        """Return the dotted name of a module below its root, without the prefixes that wrappers add; "" for the root itself."""
        names: list[str] = []
        for above in self.above(module):
            names.append(next((name for edge in self._edges_of(module) if edge.parent() is above and (name := edge.place())), ""))
            module = above
        return without_wrappers(".".join(reversed(names)) + ".").rstrip(".")

    def parameter_names(self, root: nn.Module) -> dict[int, tuple[str, str]]:
        """Map ``id(parameter)`` to (parameter name, owner's name) for every parameter below ``root``."""
        names: dict[int, tuple[str, str]] = {}
        for full, parameter in named_parameters(root):
            full = without_wrappers(full)
            owner = full.rpartition(".")[0]
            names[id(parameter)] = (full, owner.partition(".parametrizations")[0])
        return names

    def convolution_kernels(self) -> set[int]:
        """Return the ids of the convolutions' kernels larger than 1x1; of parametrised ones, what the kernel is made of."""
        kernels: set[int] = set()
        for root in self.roots():
            for module in modules(root):
                if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) and max(module.kernel_size) > 1:
                    real = (p for p in parameters(module) if not is_lazy(p) and not p.is_complex())
                    kernels.update(id(p) for p in real if tuple(p.shape[2:]) == module.kernel_size)
        return kernels

    def parameter_owners(self, root: nn.Module) -> dict[int, nn.Module]:
        """Map ``id(parameter)`` to the module below ``root`` that must be called for it to be seen at work."""
        owners: dict[int, nn.Module] = {}
        for module in modules(root):
            above = list(self.above(module))
            # These compute with what they hold, without calling it.
            holder = next((other for other in above if isinstance(other, nn.MultiheadAttention | torch.jit.ScriptModule)), module)
            if isinstance(module, ParametrizationList):
                holder = above[1] if len(above) > 1 else module
            owners.update((id(parameter), holder) for parameter in module._parameters.values() if parameter is not None)
        return owners

    def note_trained(self, root: ObservedModule) -> None:
        """Layers of a model run with gradient."""
        root.is_trained = True
        self._trained[id(root)] = root

    def trained_roots(self, without: Container[int] = ()) -> list[nn.Module]:
        """Return the models whose layers ran with gradient, in order of first call.

        Args:
            without: numbers of threads whose models are left out.
        """
        state = (self._generation, len(self._trained))
        if self._trained_roots is None or self._trained_roots[0] != state:
            self._trained = {key: entry for key, entry in self._trained.items() if entry.reference() is not None}
            roots = [entry for entry in self._trained.values() if (module := entry.reference()) is not None and self.root(module) is module]
            self._trained_roots = (self._generation, len(self._trained)), roots
        known = [entry for entry in self._trained_roots[1] if entry.thread not in without]
        return [module for entry in known if (module := entry.reference()) is not None]

    def roots(self) -> list[nn.Module]:
        """Return all models: those that train, then what else was called or put together."""
        children = [edges[0].child() for edges in list(self._edges.values()) if edges]
        called = [entry.reference() for entry in list(self._seen.values())]
        found = {id(root): root for root in self.trained_roots()}
        for module in (*called, *children):
            if module is not None:
                root = self.root(module)
                found.setdefault(id(root), root)
        return list(found.values())

    def _edges_of(self, child: nn.Module) -> list[_Edge]:
        edges = self._edges.get(id(child), [])
        return edges if not edges or edges[0].child() is child else []

    def above(self, module: nn.Module) -> Iterator[nn.Module]:
        """Yield the parent, its parent, and so on to the root."""
        visited = {id(module)}
        while True:
            parent = next((edge.parent() for edge in self._edges_of(module) if edge.place() is not None), None)
            if parent is None or id(parent) in visited:
                return
            visited.add(id(parent))
            yield parent
            module = parent

    def _on_registration(self, parent: nn.Module, name: str, child: nn.Module | None) -> None:
        if child is None:
            return
        edges = [edge for edge in self._edges_of(child) if edge.parent() is not None]
        if not any(edge.parent() is parent for edge in edges):
            edges.append(_Edge(weakref.ref(child), weakref.ref(parent), name))
        self._edges[id(child)] = edges
        self._generation += 1
