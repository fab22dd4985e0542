"""Optimizer steps, as torch's own step hooks show them: one place for every optimizer, after accumulation, unscaling and clipping.

A step may hide another (``super().step()``), take a closure that runs forward and backward inside it (LBFGS, Lightning), be left by an
exception, or be skipped by a gradient scaler without ever starting.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import torch
from torch.optim import optimizer as torch_optimizer

from bnprobe.identity import IdentityMap, IdentitySet
from bnprobe.measure.fused import numbers_among
from bnprobe.observe.attaching.frames import uncounted
from bnprobe.observe.attaching.patches import Patches
from bnprobe.remedies.closures import around_closure, closure_of, with_closure
from bnprobe.torch_private import has_other_step_hooks, is_imaginary, is_inner_step, user_modes_disabled

Optimizer = torch_optimizer.Optimizer


class PassesSteps(Protocol):
    """What notes the events of a step that is as the one before. Each says whether it was noted."""

    def backward(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """A backward is called."""

    def backward_ended(self) -> bool:
        """It has run."""

    def update_begins(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """An optimizer is about to move its weights."""

    def update_ended(self, optimizer: Optimizer) -> bool:
        """It has moved them."""

    def end_here(self) -> None:
        """The event of this thread that comes now is told in the usual way."""


class OptimizerTaps:
    """Tells of every outermost optimizer step.

    Args:
        on_before: called with the optimizer when its gradients are ready and its weights have not moved.
        on_after: called with the optimizer when its weights have moved.
        on_skipped: called with the optimizer when a gradient scaler refused the step.
    """

    def __init__(
        self,
        on_before: Callable[[Optimizer], None],
        on_after: Callable[[Optimizer], None],
        on_skipped: Callable[[Optimizer], None],
    ) -> None:
        self.constructed: IdentitySet[Optimizer] = IdentitySet()
        #: Those that stepped in the recorded training.
        self.stepped_here: IdentitySet[Optimizer] = IdentitySet()
        self._on_before = on_before
        self._on_after = on_after
        self._on_skipped = on_skipped
        #: The optimizers that are in a step.
        self.stepping: list[Optimizer] = []
        # By id of an optimizer whose step has begun: whether another step of its own has begun inside. Where one has, where a step was left
        # by an exception, and where a hook of the script may step as well, the calls that are going on are looked at, which takes as long
        # as all the rest of this.
        self._begun: dict[int, bool] = {}
        self._numbers: IdentityMap[Optimizer, int] = IdentityMap()
        self._unused = itertools.count()
        self._steps = 0
        self._patches = Patches()
        #: Notes steps that are as the one before.
        self.passing: PassesSteps | None = None
        #: Steps that moved no number.
        self.steps_of_shapes = 0
        self._latest: Callable[[], Optimizer | None] = lambda: None
        self._closures = 0
        #: A closure is being run again: the same loss at other weights.
        self.is_repeating = False

    def attach(self, patches: Patches) -> None:
        """Watch all optimizers, those that exist already included."""
        self._patches = patches
        patches.hook(torch_optimizer.register_optimizer_step_pre_hook, self._before)
        patches.hook(torch_optimizer.register_optimizer_step_post_hook, self._after)
        patches.replace(Optimizer, "add_param_group", self._seeing_construction)
        patches.replace(torch.amp.GradScaler, "step", self._seeing_skips)

    def number_of(self, optimizer: Optimizer) -> int:
        """Return what tells an optimizer from all others of the run; its id may be that of a later one."""
        number = self._numbers.get(optimizer)
        if number is None:
            number = self._numbers[optimizer] = next(self._unused)
        return number

    def settle(self) -> None:
        """A backward begins outside any closure: no optimizer is in its step, even if one left it by an exception."""
        if not self._closures:
            self.stepping.clear()

    def begin_late(self, optimizer: Optimizer) -> None:
        """An optimizer is in a step that nobody was told of."""
        self._begun[id(optimizer)] = False
        self.stepping.append(optimizer)

    def is_beside_others(self) -> bool:
        """Whether there are hooks of steps that are not ours."""
        count = self._patches.hooks_of
        own = count(torch_optimizer.register_optimizer_step_pre_hook), count(torch_optimizer.register_optimizer_step_post_hook)
        return has_other_step_hooks(*own)

    def _before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        if self.passing is not None:
            if self.passing.update_begins(optimizer, args, kwargs):
                return None
            self.passing.end_here()
        if trains_nothing(optimizer):
            return None
        key = id(optimizer)
        if (key in self._begun or self.is_beside_others()) and is_inner_step(optimizer):
            self._begun[key] = True
            return None
        self._begun[key] = False
        self._leave(optimizer)  # its last step may have ended by an exception
        self.stepping.append(optimizer)
        if self._latest() is not optimizer:
            self.constructed.add(optimizer)
            self._latest = weakref.ref(optimizer)
        closure = closure_of(args, kwargs)
        if closure is None:
            self._on_before(optimizer)
            return None
        return with_closure(args, kwargs, around_closure(functools.partial(self._around, optimizer), closure))

    def _around(self, optimizer: Optimizer, function: Callable[..., Any]) -> Callable[..., Any]:
        """Gradients exist once a closure has run, and only its first run sees the weights unmoved."""
        first = True

        @uncounted
        def run(*args: Any, **kwargs: Any) -> Any:
            nonlocal first
            self._closures += 1
            self.is_repeating = not first
            try:
                result = function(*args, **kwargs)
            except BaseException:
                self._leave(optimizer)  # the step will most likely not reach its end
                raise
            finally:
                self._closures -= 1
                self.is_repeating = False
            if first:
                first = False
                self._on_before(optimizer)
            return result

        return run

    def _after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self.passing is not None:
            if self.passing.update_ended(optimizer):
                self._steps += 1
                return
            try:
                self.passing.end_here()
            finally:  # an exception of the script's own comes after an update that was made
                self._tell_after(optimizer)
        else:
            self._tell_after(optimizer)

    def _tell_after(self, optimizer: Optimizer) -> None:
        if trains_nothing(optimizer):
            self.steps_of_shapes += 1
        elif not (self._begun.get(id(optimizer), True) or self.is_beside_others()) or not is_inner_step(optimizer):
            self._begun.pop(id(optimizer), None)
            self._leave(optimizer)
            self._steps += 1
            self._on_after(optimizer)

    def _leave(self, optimizer: Optimizer) -> None:
        if self.stepping:
            self.stepping = [other for other in self.stepping if other is not optimizer]

    def _seeing_construction(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def add_param_group(optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
            result = original(optimizer, *args, **kwargs)
            if not trains_nothing(optimizer):
                self.constructed.add(optimizer)
            return result

        return add_param_group

    def _seeing_skips(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def step(scaler: Any, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
            before = self._steps
            result = original(scaler, optimizer, *args, **kwargs)
            if self._steps == before:
                self._on_skipped(optimizer)
            return result

        return step


def trains_nothing(optimizer: Optimizer) -> bool:
    """Whether an optimizer's first parameter has no numbers (meta device, fake tensors): the script tries out shapes."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            return isinstance(parameter, torch.Tensor) and is_imaginary(parameter)
    return False


def trained_parameters(groups: Iterable[Mapping[str, object]]) -> list[torch.Tensor]:
    """Return the tensors of an optimizer's parameter groups that can be trained, each once."""
    things: list[object] = []
    for group in groups:
        parameters = group.get("params", ())
        if isinstance(parameters, list | tuple):
            things += parameters
    with user_modes_disabled():
        return numbers_among(things)
