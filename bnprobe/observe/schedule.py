"""When to look: at which steps layers are measured, and at which every channel is stored.

Steps are thinned openly so that measuring stays within its budget; the first steps, and every step once trouble shows, are always measured.
"""

from __future__ import annotations

import math

#: The first steps are a run's own baseline and are measured whatever they cost.
BASELINE_STEPS = 10
#: A loss this many mean deviations above its running mean is a first sign of trouble; every step is measured for a while.
TROUBLE_DEVIATIONS = 8.0
TROUBLE_STEPS = 20
#: Memory of the running mean, as a weight for the newest loss.
LOSS_MEMORY = 0.05
STRIDES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Schedule:
    """Decides step by step.

    Args:
        every: measure every n-th step.
        budget: share of the training time that measuring may take; thins further when it is exceeded.
    """

    def __init__(self, every: int, budget: float) -> None:
        self.stride = every
        self._every = every
        self._budget = budget
        self._bare_seconds = 0.0
        self._bare_steps = 0
        self._observed_cost = 0.0
        self._observed_steps = 0
        self._losses = 0
        self._loss_mean = 0.0
        self._loss_deviation = 0.0
        self._trouble_left = 0
        self._worst_loss = -math.inf

    def is_observed(self, step: int) -> bool:
        """Whether layers are measured at a step."""
        return step % self._every == 0 and (step < BASELINE_STEPS or self._trouble_left > 0 or step % self.stride == 0)

    def is_snapshot(self, step: int) -> bool:
        """Whether every channel is stored at a step: 0, 1, 2, 5, 10, 20, 50, ... and every thousandth."""
        if step < 3 or step % 1000 == 0:
            return True
        leading = step / 10 ** int(math.log10(step))
        return leading in (1.0, 2.0, 5.0)

    def account(self, seconds: float, observer_seconds: float, was_observed: bool) -> bool:
        """Take note of what a step cost; return whether the stride changed because of it."""
        # The first steps pay for imports, allocations and thread pools: they would thin everything after them.
        self._bare_seconds += max(0.0, seconds - observer_seconds)
        self._bare_steps += 1
        if was_observed:
            self._observed_cost += observer_seconds
            self._observed_steps += 1
        if self._observed_steps < BASELINE_STEPS or not was_observed:
            return False
        bare = self._bare_seconds / self._bare_steps
        cost = self._observed_cost / self._observed_steps
        # Old steps fade, so that the stride follows the training as it is now.
        self._bare_seconds, self._bare_steps = bare * 20, 20
        self._observed_cost, self._observed_steps = cost * 10, 10
        needed = cost / max(bare * self._budget, 1e-9)
        stride = next((self._every * k for k in STRIDES if k >= needed * 0.9), self._every * STRIDES[-1])
        # Only a clear change moves it: a stride that flickers is hard to read in a plot.
        if stride > self.stride or (stride < self.stride and self._every * needed * 1.5 < stride):
            self.stride = stride
            return True
        return False

    def note_loss(self, loss: float) -> bool:
        """Take note of a loss; return whether it is a first sign of trouble.

        Trouble lasts a number of steps and begins anew only when the loss gets worse than it was in trouble: a loss that stays high,
        or stays NaN, is no news.
        """
        if math.isnan(loss) and not self._losses:
            return False
        above = loss - self._loss_mean
        settled = self._losses >= BASELINE_STEPS
        high = not math.isfinite(loss) or (settled and above > TROUBLE_DEVIATIONS * self._loss_deviation + 0.05 * abs(self._loss_mean))
        worse = high and not (loss <= self._worst_loss or math.isnan(self._worst_loss))
        begins = worse and self._trouble_left == 0
        self._trouble_left = TROUBLE_STEPS if worse else max(0, self._trouble_left - 1)
        if worse:
            self._worst_loss = loss
        elif not high:
            self._worst_loss = -math.inf
        if math.isfinite(loss):
            weight = max(LOSS_MEMORY, 1.0 / (self._losses + 1)) if not high else LOSS_MEMORY / 4
            self._loss_mean += weight * above
            self._loss_deviation += weight * (abs(above) - self._loss_deviation)
            self._losses += 1
        return begins
