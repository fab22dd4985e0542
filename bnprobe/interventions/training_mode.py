"""Training in training mode, whatever mode the script has left its modules in."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bnprobe.interventions.intervention import Intervention


class TrainingMode(Intervention):
    """The intervention ``training-mode``.

    A module that holds parameters of its own and trains none of them stays in the mode it is in: a frozen normalisation is meant to.
    """

    what = "modules in evaluation mode while they were trained"
    nothing = "no module was in evaluation mode while it was trained"
    by_step = None

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._switched: list[nn.Module] = []
        self._has_looked = False

    def is_ruled_out(self) -> bool:
        """Whether modules were called in training."""
        return self._has_looked

    def before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Switch a module over for this call."""
        self._has_looked |= torch.is_grad_enabled()
        if module.training or not torch.is_grad_enabled():
            return
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            return
        module.training = True
        self._switched.append(module)
        self.touched[type(module).__name__] += 1

    def after_forward(self, module: nn.Module) -> None:
        """Switch it back: the script may look."""
        if self._switched and self._switched[-1] is module:
            self._switched.pop().training = False
