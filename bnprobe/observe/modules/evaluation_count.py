"""Forwards without gradient since the last step: how many whole models were evaluated, and what of a training ran so.

A forward without gradient is an evaluation, or the first half of reentrant checkpointing; backward tells, which calls again what was
training. What is held does not grow with the number of forwards.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from bnprobe.module_parts import modules
from bnprobe.observe.modules.kinds import ObservedModule
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
        self._last = 0  # place of the last call that was noted
        self._judged = 0  # that of the last one before the previous taking

    def note(self, module: nn.Module, entry: ObservedModule, order: int) -> None:
        """A module ran without gradient.

        Args:
            module: the module.
            entry: what is known of it.
            order: place of the call among all calls.
        """
        self._last = order
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
        self._judge_hidden()
        self._whole.clear()
        self._parts.clear()
        return count

    def end(self, order: int) -> None:
        """Judge what is left, as the run ends: no other forward comes that would tell.

        Args:
            order: place of the last call with gradient whose backward is over.
        """
        self._judged = max(self._judged, order)
        self._judge_hidden()

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

    def _judge_hidden(self) -> None:
        """Forget the calls that backward had its time to call again, and name what ran without gradient inside a forward that trained.

        The step before is closed by the first layer with gradient, and what ran without one in front of it (a first block that is
        checkpointed, a frozen backbone) belongs to the forward that goes on: it is judged when that forward's own step is closed.
        """
        roots = (calls.entry.reference() for calls in self._whole.values())
        evaluated = {id(part) for root in roots if root is not None for part in modules(root)}
        left = {id(module): entry for entry in self._hidden.values() if (module := entry.reference()) is not None}
        over: dict[int, nn.Module] = {}
        for key, entry in left.items():
            calls, module = entry.hidden_forwards, entry.reference()
            if key in evaluated:
                calls.clear()
            while calls and calls[0] <= self._judged:
                calls.popleft()
                if module is not None:
                    over[key] = module
        self._name_frozen(over)
        self._hidden = {id(entry): entry for entry in left.values() if entry.hidden_forwards}
        self._judged = self._last

    def _name_frozen(self, hidden: dict[int, nn.Module]) -> None:
        """Name what no backward called again: a frozen backbone under ``no_grad``."""
        for module in hidden.values():
            above = list(self._tree.above(module))
            is_topmost = not any(id(parent) in hidden for parent in above)
            if self._tree.get(module).is_trained:
                continue  # a model that trained by itself, and of which another module was made since: torch.export wraps it
            if above and is_topmost and self._tree.has_parameters(module) and self._tree.get(above[-1]).is_trained:
                self.parts_without_gradient.add(self._tree.name(module))
