"""All instruments of a recording, asked at the moments of a step at which they have something to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bnprobe.observe.faults import Faults
from bnprobe.observe.instruments.catalogue import CATALOGUE
from bnprobe.observe.instruments.evaluations import EvaluationTaps
from bnprobe.observe.instruments.instrument import Instrument, Reading, Stopwatch, Surroundings, overriding, overriding_at_every_step
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import OpenStep
from bnprobe.torch_private import user_modes_disabled

_MOMENTS = ("before_backward", "before_inner_gradient", "before_update", "skipped_update", "after_update", "close")


class Panel:
    """Holds the instruments.

    Args:
        around: what is there to look at.
        faults: where a fault of an instrument goes.
        watch: takes the time of all of them.

    Attributes:
        instruments: in the order in which they are asked.
        evaluations: the one that has hooks of its own.
    """

    def __init__(self, around: Surroundings, faults: Faults, watch: Stopwatch) -> None:
        self._axes = around.axes
        self._faults = faults
        self._watch = watch
        self.evaluations = EvaluationTaps(around, faults, watch)
        self.instruments: list[Instrument] = [self.evaluations, *(make(around) for make in CATALOGUE)]
        # By moment, and by whether the layers of the step are measured: most steps ask few.
        self._asked = {
            moment: {True: overriding(self.instruments, moment), False: overriding_at_every_step(self.instruments, moment)}
            for moment in _MOMENTS
        }

    def ask(self, moment: str, step: OpenStep, *args: Any) -> None:
        """Call a method of every instrument that has it; a fault silences none of the others."""
        calls = self._asked[moment][step.observed]
        if not calls:
            return
        with self._watch, user_modes_disabled():
            for call in calls:
                try:
                    call(step, *args)
                except Exception as error:
                    self._faults.report(_name_of(call), error)

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return what was found at a step that is over; its layers get their places."""
        if not (step.observed or self.evaluations.has_readings):
            return []
        step.has_readings = True
        found: list[tuple[str, Reading]] = []
        with user_modes_disabled():
            self._axes.introduce_layers(taps)
            for call in self._asked["close"][step.observed]:
                try:
                    found += call(step, taps)
                except Exception as error:
                    self._faults.report(_name_of(call), error)
        return found


def _name_of(call: Any) -> str:
    """Return what a fault of an instrument's method is reported under."""
    return f"{type(call.__self__).__name__}.{call.__name__}"
