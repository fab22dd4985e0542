"""What is said while a training is recorded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bnprobe.observe.options import Progress
from bnprobe.observe.rows.delivery import Delivery
from bnprobe.originals import Original

#: Time between two reports, in seconds.
INTERVAL = 0.25


class ProgressReport:
    """Tells how the training stands, a few times a second at most.

    Args:
        listener: who is told; None for nobody.
        began: when the recording began, on the clock of ``time.perf_counter``.
    """

    def __init__(self, listener: Callable[[Progress], None] | None, began: float) -> None:
        self._listener = listener
        self._began = began
        self._last = 0.0

    def say(self, step: int, text: str) -> None:
        """Tell a sentence that deserves a line of its own."""
        if self._listener is not None:
            self._listener(Progress(step, math.nan, math.nan, "", math.nan, 0.0, text))

    def show(self, delivery: Delivery, observer_seconds: float) -> None:
        """Tell where the training stands, if it is time.

        Args:
            delivery: knows the last step.
            observer_seconds: what the recorder has taken so far.
        """
        if self._listener is None:
            return
        now, last = Original.perf_counter(), delivery.last_step
        if last is None or now - self._last < INTERVAL:
            return
        self._last = now
        rates: list[Any] = [settings.rate for _, settings in sorted(last.groups.items())]
        loss = math.nan if last.loss is None else last.loss
        overhead = observer_seconds / max(now - self._began - observer_seconds, 1e-9)
        worst, value = delivery.worst_layer()
        self._listener(Progress(last.number, loss, rates[0] if rates else math.nan, worst, value, overhead, ""))
