"""Warm-up: the learning rate rises linearly from a small one to the script's own over the first steps.

Gradual warm-up as in Goyal et al. 2017, "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", arXiv 1706.02677, over steps instead
of epochs: at step t, counted from one, of n the rate is t/n of what the script has set. It is in the parameter groups only while the
optimizer makes its step, so that schedules, which compute the next rate from the last one, see their own. A recording notes the rate in
force, which is what updates were made with. With Adam's kin decoupled weight decay is warmed up, too, for it is multiplied by the rate.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import torch
from torch.optim.optimizer import Optimizer

from bnprobe.errors import RemedyError
from bnprobe.identity import IdentityMap
from bnprobe.remedies.remedy import Remedy, Touched
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import WarmUpSettings

#: The count stands in the first parameter group, so that a checkpoint of the optimizer holds it and a training that goes on does not warm
#: up again.
_STEPS_MADE = "steps_of_warm_up"
#: Rprop takes the rate for its first step sizes and never again, and ASGD takes it a step later.
_OTHER_RATES = (torch.optim.Rprop, torch.optim.ASGD)


class WarmUp(Remedy[WarmUpSettings]):
    """The remedy ``warm-up``."""

    acts_in_steps = True

    def __init__(self, settings: WarmUpSettings | None = None) -> None:
        super().__init__(settings)
        self._rates: IdentityMap[Optimizer, list[tuple[Any, Any]]] = IdentityMap()

    def prepare(self, scope: Scope) -> Touched:
        """Note what will be trained at smaller rates."""
        names = tuple(name for name, _ in scope.parameters())
        if not names:
            raise self.nothing("no parameter is trained", "unfreeze what is to be trained before the optimizer is built")
        return Touched("parameters", names)

    def check(self, optimizer: Optimizer) -> None:
        """Refuse optimizers to which the rate of a group says nothing, or says it later."""
        kind = type(optimizer).__name__
        if isinstance(optimizer, _OTHER_RATES):
            raise RemedyError(
                f"remedy warm-up: {kind} does not take the rate of its group in each step", "use another optimizer, SGD or Adam"
            )
        rates = [group.get("lr") for group in optimizer.param_groups]
        others = [rate for rate in rates if not isinstance(rate, Real | torch.Tensor)]
        if others:
            raise RemedyError(
                f"remedy warm-up: a parameter group of {kind} has {others[0]!r} as its rate, and no number that could be smaller",
                "give the optimizer a rate, lr=..., in place of steps that it finds itself",
            )

    def begin_step(self, optimizer: Optimizer) -> None:
        """Set the rates of this step, before a closure runs: LBFGS reads them first."""
        self._give_back(optimizer)  # the last step may have ended by an exception
        factor = (_steps_made(optimizer) + 1) / self.settings.steps
        if factor < 1.0:
            own = [group["lr"] for group in optimizer.param_groups]
            smaller = [rate * factor for rate in own]
            for group, rate in zip(optimizer.param_groups, smaller, strict=True):
                group["lr"] = rate
            self._rates[optimizer] = list(zip(own, smaller, strict=True))

    def end_step(self, optimizer: Optimizer) -> None:
        """Give the script its rates back."""
        self._give_back(optimizer)
        optimizer.param_groups[0][_STEPS_MADE] = _steps_made(optimizer) + 1

    def _give_back(self, optimizer: Optimizer) -> None:
        for group, (own, smaller) in zip(optimizer.param_groups, self._rates.pop(optimizer) or [], strict=False):
            if group["lr"] is smaller:
                group["lr"] = own


def _steps_made(optimizer: Optimizer) -> int:
    return int(optimizer.param_groups[0].get(_STEPS_MADE, 0))
