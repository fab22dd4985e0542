"""What the graph of a loss tells, looked at where every channel is stored."""

from __future__ import annotations

from collections.abc import Sequence

from bnprobe.observe.instrument import Backward, Instrument, Reading, Surroundings
from bnprobe.observe.instruments.loss_graph import applies_softmax_twice, half_results
from bnprobe.observe.rows.open_step import OpenStep
from bnprobe.observe.signals.records import Tap


class LossChecks(Instrument):
    """Counts float16 results in the graph of the losses, and asks whether one applies softmax to the result of a softmax.

    Args:
        around: what is there to look at.
    """

    def __init__(self, around: Surroundings) -> None:
        self._schedule = around.schedule
        self._half_results: int | None = None
        self._is_twice: bool | None = None

    def before_backward(self, step: OpenStep, backward: Backward) -> None:
        """Look at the graph while it is whole."""
        if not self._schedule.is_snapshot(step.number):
            return
        self._half_results = (self._half_results or 0) + half_results(backward.losses)
        if not self._is_twice:
            found = applies_softmax_twice(backward.losses)
            self._is_twice = found if found is not None else self._is_twice

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return both, where they were looked for and are known."""
        found = {"half_results": self._half_results, "softmax_twice": self._is_twice}
        self._half_results = self._is_twice = None
        return [(name, Reading([float(value)])) for name, value in found.items() if value is not None]
