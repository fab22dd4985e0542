"""Updates left out where a gradient is far beyond its usual size."""

from __future__ import annotations

import math
import statistics
import weakref
from collections import deque

import torch
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Intervention, held

#: A gradient is far beyond the usual where its norm is so many times the median of so many before it, of which there are enough.
_TIMES, _RECENT, _ENOUGH = 4.0, 20, 5


class SkipLeaps(Intervention):
    """The intervention ``skip-leaps``: such a gradient moves no weight, and no moment of the optimizer."""

    what = "updates left out"
    nothing = f"no gradient was more than {_TIMES:g} times the usual"
    by_step = None

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._norms: weakref.WeakKeyDictionary[Optimizer, deque[float]] = weakref.WeakKeyDictionary()

    @torch.no_grad()
    def before_step(self, optimizer: Optimizer) -> None:
        """Take such a gradient away."""
        gradients = [one.grad for one in held(optimizer) if one.grad is not None and not one.grad.is_sparse]
        if not gradients:
            return
        norm = float(torch.stack([one.float().norm() for one in gradients]).norm())
        recent = self._norms.setdefault(optimizer, deque(maxlen=_RECENT))
        if len(recent) >= _ENOUGH and not norm <= _TIMES * statistics.median(recent):
            self.touched[type(optimizer).__name__] += 1
            for parameter in held(optimizer):
                parameter.grad = None
        if math.isfinite(norm):
            recent.append(norm)  # what stays large is the usual soon
