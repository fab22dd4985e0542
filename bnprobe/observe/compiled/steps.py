"""Optimizer steps inside compiled functions, where no hook of ours may be: they are told by the weights that moved.

What a function has done once is expected of every further call: where it stepped an optimizer, gradients and weights are measured before
it, so that the update is. Where the function also goes backward, that is when its backward, which is never compiled, has ended.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from bnprobe.identity import IdentitySet
from bnprobe.observe.attaching.optimizers import Optimizer, OptimizerTaps
from bnprobe.observe.attaching.patches import Patches
from bnprobe.torch_private import user_modes_disabled

#: Parameters of each group that are looked at: a step moves all that have a gradient.
LOOKED_AT = 3


class Habit:
    """What a compiled function has been seen to do.

    Attributes:
        steps: the optimizers that it has stepped.
        goes_backward: whether it has gone backward.
    """

    def __init__(self) -> None:
        self.steps: IdentitySet[Optimizer] = IdentitySet()
        self.goes_backward = False


@dataclass
class Call:
    """A compiled function that is running.

    Attributes:
        habit: what it is known for.
        went_backward: whether a backward has run in it.
        measured: the optimizers that were measured before their step.
    """

    habit: Habit
    went_backward: bool = False
    measured: IdentitySet[Optimizer] = field(default_factory=IdentitySet)


class CompiledSteps:
    """Tells of optimizer steps inside compiled functions.

    Args:
        optimizers: their hooks, which step aside.
        on_before: called with an optimizer that is expected to step, when its gradients are ready.
        on_after: called with one that was expected and has stepped.
        on_unmeasured: called with one that has stepped unexpectedly: how far it went is not known.
    """

    def __init__(
        self,
        optimizers: OptimizerTaps,
        on_before: Callable[[Optimizer], None],
        on_after: Callable[[Optimizer], None],
        on_unmeasured: Callable[[Optimizer], None],
    ) -> None:
        self._optimizers = optimizers
        self._on_before = on_before
        self._on_after = on_after
        self._on_unmeasured = on_unmeasured
        self._call: Call | None = None

    def backward_ended(self) -> None:
        """A backward has run; gradients may be ready inside compiled code."""
        call = self._call
        if call is not None:
            call.went_backward = True
            if call.habit.goes_backward:
                self._expect(call)

    @contextmanager
    def around(self, habit: Habit, patches: Patches) -> Iterator[Call]:
        """Run a compiled function inside; nothing of ours is to be found meanwhile."""
        call = Call(habit)
        if self._call is not None or self._optimizers.stepping:  # inside a step, or another such function, that is seen as a whole
            with patches.aside():
                yield call
            return
        before = [(optimizer, _versions(optimizer)) for optimizer in self._optimizers.constructed]
        if not habit.goes_backward:
            self._expect(call)
        self._call = call
        try:
            with patches.aside():
                yield call
        finally:
            self._call = None
        self._tell(call, [optimizer for optimizer, versions in before if _versions(optimizer) != versions])

    def _expect(self, call: Call) -> None:
        for optimizer in call.habit.steps:
            call.measured.add(optimizer)
            self._on_before(optimizer)

    def _tell(self, call: Call, moved: list[Optimizer]) -> None:
        habit = call.habit
        habit.goes_backward |= call.went_backward
        for optimizer in moved:
            habit.steps.add(optimizer)
        for optimizer in moved:
            (self._on_after if optimizer in call.measured else self._on_unmeasured)(optimizer)


def _versions(optimizer: Optimizer) -> list[int]:
    """Return how often some of an optimizer's parameters have been written to."""
    found: list[int] = []
    with user_modes_disabled():
        for group in optimizer.param_groups:
            trained = (p for p in group["params"] if isinstance(p, torch.Tensor) and p.requires_grad and not p.is_inference())
            found += [parameter._version for parameter in itertools.islice(trained, LOOKED_AT)]
    return found
