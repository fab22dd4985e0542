"""The optimizer's step that a script never takes."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Intervention, held
from bnprobe.observe.attaching.patches import Patches


class TakeSteps(Intervention):
    """The intervention ``take-steps``.

    A step follows each backward, as late as can be: when gradients are about to be cleared, or the next forward begins. So several
    backwards through one graph stay possible, and what the script does to its gradients before that counts.
    """

    what = "steps taken in the script's place"
    nothing = "no optimizer that can step by itself holds a parameter with a gradient"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._waits = self._is_stepping = self._takes_own = False

    def attach(self, patches: Patches) -> None:
        """Stand before what clears gradients."""
        patches.replace(Optimizer, "zero_grad", self._after_a_step)
        patches.replace(nn.Module, "zero_grad", self._after_a_step)

    def optimizer_built(self, optimizer: Optimizer) -> None:
        """Remember who can step."""
        self._optimizers.add(optimizer)

    def after_backward(self) -> None:
        """There are gradients to step by."""
        self._waits = True

    def before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Step before the weights are used again."""
        if torch.is_grad_enabled():
            self._step()

    def before_step(self, optimizer: Optimizer) -> None:
        """Take note of a script that steps by itself."""
        self._takes_own |= not self._is_stepping

    def refusal(self) -> str:
        """Say why nothing was changed."""
        return "the script's optimizer takes steps" if self._takes_own else super().refusal()

    def is_ruled_out(self) -> bool:
        """Whether steps are taken."""
        return self._takes_own

    def _after_a_step(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def zero_grad(owner: Any, *args: Any, **kwargs: Any) -> Any:
            self._step()
            return original(owner, *args, **kwargs)

        return zero_grad

    def _step(self) -> None:
        if not self._waits or self._is_stepping or self._takes_own:
            return
        self._waits, self._is_stepping = False, True
        try:
            for optimizer in list(self._optimizers):
                has_gradient = any(one.grad is not None for one in held(optimizer))
                if has_gradient and not isinstance(optimizer, torch.optim.LBFGS):  # that one asks for a closure
                    self.touched[type(optimizer).__name__] += 1
                    optimizer.step()
                    optimizer.zero_grad()
        finally:
            self._is_stepping = False
