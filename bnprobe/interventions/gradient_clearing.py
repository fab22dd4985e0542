"""When gradients are cleared: before each step's first backward, and at no other time."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Intervention, held
from bnprobe.observe.attaching.patches import Patches


class ClearGradients(Intervention):
    """The intervention ``clear-gradients``.

    The first backward after an update begins a step, whichever optimizer made it: several backwards of one step still add up.
    """

    what = "gradients left from the step before"
    nothing = "every gradient was cleared before the next backward"
    by_step = 4

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._has_stepped = self._has_looked = False

    def optimizer_built(self, optimizer: Optimizer) -> None:
        """Remember whose gradients are to be cleared."""
        self._optimizers.add(optimizer)

    def before_backward(self) -> None:
        """Clear what the last step left."""
        if not self._has_stepped:
            return
        self._has_stepped, self._has_looked = False, True
        for parameter in (one for optimizer in self._optimizers for one in held(optimizer)):
            if parameter.grad is not None:
                if bool(parameter.grad.count_nonzero()):
                    self.touched["gradients"] += 1
                parameter.grad = None

    def after_step(self, optimizer: Optimizer) -> None:
        """The next backward begins a step."""
        self._has_stepped = True

    def is_ruled_out(self) -> bool:
        """Whether gradients were looked at before a second step's backward: that none was left is the script's own doing."""
        return self._has_looked


class KeepGradients(ClearGradients):
    """The intervention ``keep-gradients``: what clears them too late is passed over, and they are cleared in time.

    Where a script clears them by hand, all that an optimizer is about to use, they are put back as backward left them.
    """

    what: ClassVar[str] = "times that gradients were cleared between backward and step"
    nothing: ClassVar[str] = "no gradients were cleared between backward and step"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._is_pending = self._was_starved = False
        self._left: dict[int, torch.Tensor] = {}  # what backward left, by the id of the parameter

    def attach(self, patches: Patches) -> None:
        """Stand before whatever clears gradients."""
        patches.replace(Optimizer, "zero_grad", self._unless_pending)
        patches.replace(nn.Module, "zero_grad", self._unless_pending)

    def before_backward(self) -> None:
        """From now on gradients wait for their step."""
        super().before_backward()
        self.touched.pop("gradients", None)
        self._is_pending = True

    def after_backward(self) -> None:
        """Copy what backward left, for it may be cleared in place."""
        for parameter in (one for optimizer in self._optimizers for one in held(optimizer)):
            if parameter.grad is not None:
                self._left[id(parameter)] = parameter.grad.detach().clone()

    def before_step(self, optimizer: Optimizer) -> None:
        """Put back what was cleared by hand: of some parameters alone that may be meant."""
        parameters = held(optimizer)
        left = [(one, self._left[id(one)]) for one in parameters if id(one) in self._left]
        if _any_nonzero(one.grad for one in parameters):
            return
        self._was_starved = True
        if not _any_nonzero(gradient for _, gradient in left):
            return
        self.touched["by hand"] += 1
        for parameter, gradient in left:
            parameter.grad = gradient

    def is_ruled_out(self) -> bool:
        """Whether every step had a gradient."""
        return self._has_looked and not self._was_starved

    def after_step(self, optimizer: Optimizer) -> None:
        """They have been used."""
        super().after_step(optimizer)
        self._is_pending = False
        self._left.clear()

    def _unless_pending(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def zero_grad(owner: Any, *args: Any, **kwargs: Any) -> Any:
            if not (self._is_pending and _has_gradient(owner)):
                return original(owner, *args, **kwargs)
            self.touched[type(owner).__name__] += 1
            return None

        return zero_grad


def _any_nonzero(gradients: Iterable[torch.Tensor | None]) -> bool:
    return any(one is not None and bool(one.count_nonzero()) for one in gradients)


def _has_gradient(owner: Optimizer | nn.Module) -> bool:
    parameters: Any = held(owner) if isinstance(owner, Optimizer) else owner.parameters()
    return any(isinstance(one.grad, torch.Tensor) for one in parameters)
