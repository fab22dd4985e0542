"""Forwards without gradient since the last step: how many whole models were evaluated, and what of a training ran so.

A forward without gradient is an evaluation, or the first half of reentrant checkpointing; backward tells, which calls again what was
training. What is held does not grow with the number of forwards.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bnprobe.observe.modules.kinds import ObservedModule
from bnprobe.observe.modules.parts import modules
from bnprobe.observe.modules.tree import ModuleTree


@dataclass
class _Calls:
    """Calls of one module without gradient."""

    entry: ObservedModule
    training: int = 0
    evaluating: int = 0


class EvaluationCount:
    """Counts evaluations.

    Args:
        tree: the modules.

    Attributes:
        parts_without_gradient: dotted names of parts that ran without gradient inside a forward that trained.
    """

    def __init__(self, tree: ModuleTree) -> None:
        self.parts_without_gradient: set[str] = set()
        self._tree = tree
        self._whole: dict[int, _Calls] = {}  # by id of what is known of the model
        self._parts: dict[int, dict[int, _Calls]] = {}  # of models in evaluation mode, by id of the root: calls of their parts
        self._hidden: dict[int, ObservedModule] = {}

    def note(self, module: nn.Module, entry: ObservedModule, order: int) -> None:
        """A module ran without gradient.

        Args:
            module: the module.
            entry: what is known of it.
            order: place of the call among all calls.
        """
        if module.training:
            entry.hidden_forwards.append(order)
            self._hidden[id(entry)] = entry
        root, _ = self._tree.model(module, entry)
        if root is module:
            known = self._whole.get(id(entry))
            if known is None:
                if not self._tree.has_parameters(module):
                    return  # a loss, a transform of the data: another object at every call perhaps
                known = self._whole[id(entry)] = _Calls(entry)
            known.training += module.training
            known.evaluating += not module.training
        elif not root.training:
            calls = self._parts.setdefault(id(root), {})
            calls.setdefault(id(entry), _Calls(entry)).evaluating += 1

    def take(self) -> int:
        """Return how many whole models ran without gradient since last asked, checkpointed training excluded; forget them."""
        if not (self._whole or self._parts or self._hidden):
            return 0
        count = 0
        for calls in self._whole.values():
            module = calls.entry.reference()
            # Its parent may have become known since; what backward has called again was training.
            if module is not None and self._tree.root(module) is module:
                count += calls.evaluating + (calls.training if calls.entry.hidden_forwards else 0)
        count += self._by_parts()
        self._note_parts_without_gradient()
        for entry in self._hidden.values():
            entry.hidden_forwards.clear()
        self._hidden.clear()
        self._whole.clear()
        self._parts.clear()
        return count

    def _by_parts(self) -> int:
        """Count the evaluations of models that are never called as a whole, as a Lightning module's: by the part called most often."""
        whole = {id(calls.entry.reference()) for calls in self._whole.values()}
        count = 0
        for root, calls in self._parts.items():
            if root in whole:
                continue
            modules = {id(module): (module, one.evaluating) for one in calls.values() if (module := one.entry.reference()) is not None}
            topmost = [
                times
                for module, times in modules.values()
                if self._tree.has_parameters(module) and not any(id(above) in modules for above in self._tree.above(module))
            ]
            count += max(topmost, default=0)
        return count

    def _note_parts_without_gradient(self) -> None:
        """Name what ran without gradient inside a forward that trained: a frozen backbone under ``no_grad``."""
        hidden = {
            id(module): module for entry in self._hidden.values() if entry.hidden_forwards and (module := entry.reference()) is not None
        }
        if not hidden:
            return
        roots = (calls.entry.reference() for calls in self._whole.values())
        evaluated = {id(part) for root in roots if root is not None for part in modules(root)}
        for module in hidden.values():
            if id(module) in evaluated or not self._tree.has_parameters(module):
                continue
            above = list(self._tree.above(module))
            is_topmost = not any(id(parent) in hidden for parent in above)
            if above and is_topmost and self._tree.get(above[-1]).is_trained:
                self.parts_without_gradient.add(self._tree.name(module))
