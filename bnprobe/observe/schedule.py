"""When to look: at which steps layers are measured, and at which every channel is stored.

Steps are thinned openly so that measuring stays within its budget. The first steps, and every step once trouble shows in the loss or in the
gradients, are always measured.
"""

from __future__ import annotations

import math

from bnprobe.observe.alarm import Alarm

#: The first steps are a run's own baseline and are measured whatever they cost.
BASELINE_STEPS = 10
#: Steps for which every step is measured once trouble shows.
TROUBLE_STEPS = 20
#: Steps whose updates are followed further (see ``line_probing``) once trouble shows, and again whenever it gets worse.
PROBES_IN_TROUBLE = 3
#: Share of the training time that watching the gradients of unmeasured steps may take: where one look takes more, it is not at every step.
WATCH_SHARE = 0.005
#: Memory of what a look at the gradients costs, as a weight for the newest that is dearer; a cheaper one counts at once.
WATCH_MEMORY = 0.1
#: Part of the budget that measuring has in any case, however much of it the steps take that are not measured.
LEAST_PART = 0.5
STRIDES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Schedule:
    """Decides step by step.

    Args:
        every: measure every n-th step.
        budget: share of the training time that the recorder may take, steps that are not measured included; thins further when it is
            exceeded.
        free_seconds: measuring that may be done before the budget counts.
    """

    def __init__(self, every: int, budget: float, free_seconds: float = 0.0) -> None:
        self.stride = every
        self._every = every
        self._budget = budget
        self._bare_seconds = 0.0
        self._bare_steps = 0
        self._observed_cost = self._passing_cost = 0.0
        self._observed_steps = self._passing_steps = 0
        self._free_seconds = free_seconds
        self.watch_stride = 1
        self._watch_cost = math.inf
        self._looks = 0
        self._unwatched = 0
        self._loss_alarm = Alarm()
        self._gradient_alarm = Alarm()
        self._trouble_left = 0

    def is_observed(self, step: int) -> bool:
        """Whether layers are measured at a step."""
        return step % self._every == 0 and (step < BASELINE_STEPS or self._trouble_left > 0 or step % self.stride == 0)

    def is_snapshot(self, step: int) -> bool:
        """Whether every channel is stored at a step: 0, 1, 2, 5, 10, 20, 50, ... and every thousandth."""
        if step < 3 or step % 1000 == 0:
            return True
        leading = step / 10 ** int(math.log10(step))
        return leading in (1.0, 2.0, 5.0)

    def is_probed(self, step: int, line_probe: int | str | None) -> bool:
        """Whether a step's update is followed further: every n-th, or "auto" at snapshots; in both cases when trouble begins."""
        if line_probe is None:
            return False
        regular = self.is_snapshot(step) if isinstance(line_probe, str) else step % line_probe == 0
        return regular or self._trouble_left > TROUBLE_STEPS - PROBES_IN_TROUBLE

    def account(self, seconds: float, observer_seconds: float, was_observed: bool, closing_seconds: float = 0.0) -> bool:
        """Take note of what a step cost.

        Args:
            seconds: its duration.
            observer_seconds: the recorder's share of it.
            was_observed: whether it was measured.
            closing_seconds: the part of ``observer_seconds`` that made a row of a measured step before it: that belongs to measuring.

        Returns:
            Whether the stride changed because of it.
        """
        # The first steps pay for imports, allocations and thread pools: they would thin everything after them.
        bare = seconds - observer_seconds
        if bare > 0.0:
            self._bare_seconds += bare
        self._bare_steps += 1
        self._free_seconds -= observer_seconds
        self._observed_cost += closing_seconds
        observer_seconds -= closing_seconds
        if not was_observed:
            self._passing_cost += observer_seconds
            self._passing_steps += 1
            return False
        self._observed_cost += observer_seconds
        self._observed_steps += 1
        if self._observed_steps < BASELINE_STEPS or self._free_seconds > 0.0:
            return False
        bare = self._bare_seconds / self._bare_steps
        cost = self._observed_cost / self._observed_steps
        passing = self._passing_cost / max(self._passing_steps, 1)
        # Old steps fade, so that the stride follows the training as it is now.
        self._bare_seconds, self._bare_steps = bare * 20, 20
        self._observed_cost, self._observed_steps = cost * 10, 10
        self._passing_cost, self._passing_steps = passing * 20, 20
        allowed = max(bare * self._budget - passing, bare * self._budget * LEAST_PART)
        stride = _stride(cost, allowed, self.stride, self._every)
        changed = stride != self.stride
        self.stride = stride
        return changed

    def note_loss(self, loss: float) -> bool:
        """Take note of a loss; return whether it is a first sign of trouble."""
        goes_off = self._loss_alarm.goes_off(loss)
        begins = goes_off and self._trouble_left == 0
        self._trouble_left = TROUBLE_STEPS if goes_off else max(0, self._trouble_left - 1)
        return begins

    def watches_gradients(self) -> bool:
        """Whether the gradient norm of the unmeasured step that is going on is looked at: it rises a step before the loss does."""
        self._unwatched += 1
        return self._unwatched >= self.watch_stride

    def note_gradient(self, norm: float | None, seconds: float) -> bool:
        """Take note of a gradient norm, None if it was not looked at, and of what it cost; return whether it is a first sign of trouble."""
        self._unwatched = 0
        self._looks += 1
        dearer = min(seconds, 2.0 * self._watch_cost) - self._watch_cost if seconds > self._watch_cost else 0.0
        self._watch_cost = min(seconds, self._watch_cost) + WATCH_MEMORY * dearer
        if self._looks >= BASELINE_STEPS:
            share = WATCH_SHARE * self._bare_seconds / max(self._bare_steps, 1)
            self.watch_stride = _stride(self._watch_cost, share, self.watch_stride)
        begins = norm is not None and self._gradient_alarm.goes_off(norm) and self._trouble_left == 0
        if begins:
            self._trouble_left = TROUBLE_STEPS
        return begins


def _stride(cost: float, allowed: float, present: int, unit: int = 1) -> int:
    """Return every how many steps something may be done that costs so much, where so much is allowed a step.

    Only a clear change moves it: a stride that flickers is hard to read in a plot.
    """
    needed = cost / max(allowed, 1e-9)
    stride = next((unit * k for k in STRIDES if k >= needed * 0.9), unit * STRIDES[-1])
    return stride if stride > present or unit * needed * 1.5 < stride < present else present
