"""Every parameter trained that the network uses."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Intervention, held


class Unfreeze(Intervention):
    """The intervention ``unfreeze``: at the first update, what no optimizer holds joins the first group of the one that makes it."""

    what = "parameters that were not trained"
    nothing = "every parameter of the modules that are called is in an optimizer and asks for a gradient"
    by_step = 4

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._called: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._added: list[torch.Tensor] = []
        self._is_done = self._is_all_trained = False
        #: Modules whose forwards are under way, and those called within one that does not hold them, as in a plain list.
        self._outer: list[nn.Module] = []
        self._unheld: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._chosen = False

    def is_no_choice(self) -> bool:
        """Whether all that was not trained got a gradient and is held by no module that calls it: no optimizer could be told of it."""
        return bool(self._added) and not self._chosen

    def is_ruled_out(self) -> bool:
        """Whether every parameter of what was called had a gradient to step by."""
        return self._is_all_trained

    def optimizer_built(self, optimizer: Optimizer) -> None:
        """Remember who trains what."""
        self._optimizers.add(optimizer)

    def before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Remember what is used."""
        if self._is_done:
            return
        if torch.is_grad_enabled():
            self._called.add(module)
            if self._outer and not any(module is one for outer in self._outer for one in outer.modules()):
                self._unheld.add(module)
        self._outer.append(module)

    def after_forward(self, module: nn.Module) -> None:
        """Its forward is over."""
        if self._outer and self._outer[-1] is module:
            self._outer.pop()

    def before_step(self, optimizer: Optimizer) -> None:
        """Hand over what nobody trains."""
        if self._is_done:
            return
        self._is_done = True
        known = {id(one) for each in self._optimizers for one in held(each)}
        used = [one for module in list(self._called) for one in module.parameters(recurse=False) if one.is_floating_point()]
        self._is_all_trained = bool(used) and all(id(one) in known and one.grad is not None for one in used)
        for module in list(self._called):
            for name, parameter in module.named_parameters(recurse=False):
                if not parameter.is_floating_point() or (id(parameter) in known and parameter.requires_grad):
                    continue
                self._chosen |= parameter.grad is None or module not in self._unheld
                parameter.requires_grad_(True)
                if id(parameter) not in known:
                    known.add(id(parameter))
                    optimizer.param_groups[0]["params"].append(parameter)
                self._added.append(parameter)
                self.touched[f"{type(module).__name__}.{name}"] += 1

    def refusal(self) -> str:
        """Say why nothing was changed: what no gradient reaches was not frozen by an optimizer."""
        if self._added and all(one.grad is None for one in self._added):
            return "the parameters that were not trained get no gradient: what is computed from them is cut off from the loss"
        return super().refusal()
