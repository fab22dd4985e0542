"""The modules of a program: which of them are layers, what they are called, in which order they are first called.

Names come from the tree that the program builds, seen through torch's module registration hook, so that a sub-module called on its own
(``model.encoder(x)``) still has its full name. Nothing is left on the user's modules.
"""

from __future__ import annotations

import functools
import weakref
from collections import Counter
from collections.abc import Callable, Container, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from bnprobe.observe.modules.kinds import (
    ObservedModule,
    examine,
    without_wrappers,
)
from bnprobe.observe.patches import Patches


class _Edge(NamedTuple):
    """A child's place in a parent; weak, so that no module lives longer for having been seen."""

    child: weakref.ref[nn.Module]
    parent: weakref.ref[nn.Module]
    name: str


class ModuleTree:
    """Every module seen, and the tree they form."""

    def __init__(self) -> None:
        self._seen: dict[int, ObservedModule] = {}
        # By id of the child. The first place that still holds counts: a slice of a Sequential must not take its layers away.
        self._edges: dict[int, list[_Edge]] = {}
        self._generation = 0  # of the tree; a cached root holds for one generation
        self._hidden: dict[int, ObservedModule] = {}
        self._evaluated: list[tuple[ObservedModule, bool]] = []
        # Of models in evaluation mode, by id of the root: calls of their parts.
        self._evaluated_parts: dict[int, list[ObservedModule]] = {}
        #: Dotted names of parts that ran without gradient inside a forward that trained.
        self.parts_without_gradient: set[str] = set()

    def attach(self, patches: Patches) -> None:
        """Watch modules being put together, copied and unpickled."""
        patches.hook(torch_module.register_module_module_registration_hook, self._on_registration)
        patches.replace(nn.Module, "__setstate__", self._seeing_copies)

    def _seeing_copies(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """``copy.deepcopy`` and pickle restore a module's state without putting it together."""

        @functools.wraps(original)
        def __setstate__(module: nn.Module, *args: Any) -> Any:
            result = original(module, *args)
            self._register_children(module)
            return result

        return __setstate__

    def _register_children(self, module: nn.Module) -> None:
        for name, child in module._modules.items():
            if child is not None and not any(edge.parent() is module for edge in self._edges_of(child)):
                self._on_registration(module, name, child)

    def get(self, module: nn.Module) -> ObservedModule:
        """Return what is known of a module, looking at it now if it is new."""
        entry = self._seen.get(id(module))
        if entry is not None and entry.reference() is module:  # an id may be taken over by a later module
            return entry
        self._register_children(module)  # it may have been built before the recording began
        if not self._edges_of(module):
            self._look_for_parents()
        entry = self._seen[id(module)] = examine(module)
        if any(isinstance(above, ParametrizationList) for above in self._above(module)):
            entry.is_layer = False  # it computes a weight, not a signal
        return entry

    def _look_for_parents(self) -> None:
        """``ModuleList.insert`` and the like put a module into a tree without a word: look at all that is known once more."""
        for edges in list(self._edges.values()):
            for module in (edge.parent() for edge in edges):
                if module is not None:
                    self._register_children(module)

    def note_hidden_forward(self, module: nn.Module, entry: ObservedModule, order: int) -> None:
        """A module ran without gradient: an evaluation, or the first half of reentrant checkpointing; the step's end will tell."""
        if module.training:
            entry.hidden_forwards.append(order)
            self._hidden[id(module)] = entry
        root = self.root(module)
        if root is module:
            self._evaluated.append((entry, module.training))
        elif not root.training:
            self._evaluated_parts.setdefault(id(root), []).append(entry)

    def note_failed_forward(self, module: nn.Module) -> None:
        """A forward has raised: the next one is another."""
        if self.root(module) is module:
            self.get(module).forwards += 1

    def take_evaluations(self) -> int:
        """Return how many whole models ran without gradient since last asked, checkpointed training excluded; forget them."""
        if not (self._evaluated or self._evaluated_parts or self._hidden):
            return 0
        count = 0
        for entry, was_training in self._evaluated:
            module = entry.reference()
            # Its parent may have become known since; what backward has called again was training.
            if module is not None and self.root(module) is module and self.has_parameters(module):
                count += not was_training or bool(entry.hidden_forwards)
        count += self._evaluations_by_parts()
        self._note_parts_without_gradient()
        for entry in self._hidden.values():
            entry.hidden_forwards.clear()
        self._hidden.clear()
        self._evaluated.clear()
        self._evaluated_parts.clear()
        return count

    def _evaluations_by_parts(self) -> int:
        """Count the evaluations of models that are never called as a whole, as a Lightning module's: by the part called most often."""
        whole = {id(entry.reference()) for entry, _ in self._evaluated}
        count = 0
        for root, entries in self._evaluated_parts.items():
            if root in whole:
                continue
            calls = Counter(id(module) for entry in entries if (module := entry.reference()) is not None)
            modules = {id(module): module for entry in entries if (module := entry.reference()) is not None}
            topmost = [
                module
                for module in modules.values()
                if self.has_parameters(module) and not any(id(above) in modules for above in self._above(module))
            ]
            count += max((calls[id(module)] for module in topmost), default=0)
        return count

    def _note_parts_without_gradient(self) -> None:
        """Name what ran without gradient inside a forward that trained: a frozen backbone under ``no_grad``."""
        hidden = [entry for entry in self._hidden.values() if entry.hidden_forwards]
        if not hidden:
            return
        roots = (entry.reference() for entry, _ in self._evaluated)
        evaluated = {id(part) for root in roots if root is not None for part in root.modules()}
        for entry in hidden:
            module = entry.reference()
            if module is None or id(module) in evaluated or not self.has_parameters(module):
                continue
            above = list(self._above(module))
            is_topmost = not any(id(parent) in self._hidden for parent in above)
            if above and is_topmost and self.get(above[-1]).is_trained:
                self.parts_without_gradient.add(self.name(module))

    def root(self, module: nn.Module) -> nn.Module:
        """Return the model a module belongs to: the top of its tree."""
        return self.model(module, self.get(module))[0]

    def model(self, module: nn.Module, entry: ObservedModule) -> tuple[nn.Module, ObservedModule]:
        """Return the model a module belongs to, and what is known of it; ``entry`` is what is known of the module."""
        if entry._root is not None and entry._root[0] == self._generation:
            known = entry._root[1].reference()
            if known is not None:
                return known, entry._root[1]
        root = next(reversed([module, *self._above(module)]))
        entry._root = (self._generation, self.get(root))
        if entry._root[0] != self._generation:  # looking at it has changed the tree
            return self.model(module, entry)
        return root, entry._root[1]

    def has_parameters(self, root: nn.Module) -> bool:
        """Whether a model has, or ever had, anything to train; a loss module or a lone Flatten has not."""
        entry = self.get(root)
        entry._is_model = entry._is_model or next(root.parameters(), None) is not None
        return entry._is_model

    def name(self, module: nn.Module) -> str:
        """Return the dotted name of a module below its root, without the prefixes that wrappers add; "" for the root itself."""
        names: list[str] = []
        for above in self._above(module):
            names.insert(0, self._name_in(above, module))
            module = above
        return without_wrappers(".".join(names) + ".").rstrip(".")

    def parameter_names(self, root: nn.Module) -> dict[int, tuple[str, str]]:
        """Map ``id(parameter)`` to (parameter name, owner's name) for every parameter below ``root``."""
        names: dict[int, tuple[str, str]] = {}
        for full, parameter in root.named_parameters():
            full = without_wrappers(full)
            owner = full.rpartition(".")[0]
            names[id(parameter)] = (full, owner.partition(".parametrizations")[0])
        return names

    def convolution_kernels(self) -> set[int]:
        """Return the ids of the convolutions' kernels larger than 1x1; of parametrised ones, what the kernel is made of."""
        kernels: set[int] = set()
        for root in self.roots():
            for module in root.modules():
                if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) and max(module.kernel_size) > 1:
                    real = (p for p in module.parameters() if not is_lazy(p) and not p.is_complex())
                    kernels.update(id(p) for p in real if tuple(p.shape[2:]) == module.kernel_size)
        return kernels

    def parameter_owners(self, root: nn.Module) -> dict[int, nn.Module]:
        """Map ``id(parameter)`` to the module below ``root`` that must be called for it to be seen at work."""
        owners: dict[int, nn.Module] = {}
        for module in root.modules():
            above = list(self._above(module))
            # These compute with what they hold, without calling it.
            holder = next((other for other in above if isinstance(other, nn.MultiheadAttention | torch.jit.ScriptModule)), module)
            if isinstance(module, ParametrizationList):
                holder = above[1] if len(above) > 1 else module
            owners.update((id(parameter), holder) for parameter in module._parameters.values() if parameter is not None)
        return owners

    def trained_roots(self, without: Container[int] = ()) -> list[nn.Module]:
        """Return the models whose layers ran with gradient, in order of first call.

        Args:
            without: numbers of threads whose models are left out.
        """
        modules = [entry.reference() for entry in self._seen.values() if entry.is_trained and entry.thread not in without]
        return [module for module in modules if module is not None and self.root(module) is module]

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

    def _above(self, module: nn.Module) -> Iterator[nn.Module]:
        """Yield the parent, its parent, and so on to the root."""
        visited = {id(module)}
        while True:
            holders = (edge.parent() for edge in self._edges_of(module))
            parent = next((holder for holder in holders if holder is not None and _place(holder, module) is not None), None)
            if parent is None or id(parent) in visited:
                return
            visited.add(id(parent))
            yield parent
            module = parent

    @staticmethod
    def _name_in(parent: nn.Module, child: nn.Module) -> str:
        return _place(parent, child) or ""

    def _on_registration(self, parent: nn.Module, name: str, child: nn.Module | None) -> None:
        if child is None:
            return
        edges = [edge for edge in self._edges_of(child) if edge.parent() is not None]
        if not any(edge.parent() is parent for edge in edges):
            edges.append(_Edge(weakref.ref(child), weakref.ref(parent), name))
        self._edges[id(child)] = edges
        self._generation += 1


def _place(parent: nn.Module, child: nn.Module) -> str | None:
    """Return a child's present name in a parent, or None if it has left: containers insert, delete and renumber."""
    return next((name for name, held in parent._modules.items() if held is child), None)
