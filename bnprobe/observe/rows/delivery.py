"""From closed steps to rows of the run file, with a first judgement on the way: has the training diverged?

The full diagnosis is made from the file. Here it is only decided what must not be lost: the moment a loss diverges, the last steps are
written down channel by channel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from bnprobe.divergence import Divergence
from bnprobe.measure.unchecked import unchecked
from bnprobe.numerals import number
from bnprobe.observe.alarm import Level
from bnprobe.observe.faults import Faults
from bnprobe.observe.instrument import Instrument, Reading
from bnprobe.observe.rows.axes import Axes
from bnprobe.observe.rows.channel_row import ChannelRow
from bnprobe.observe.rows.closed_step import ClosedStep
from bnprobe.observe.rows.flight_recorder import FlightRecorder
from bnprobe.observe.rows.open_step import OpenStep, own_columns, own_row
from bnprobe.observe.schedule import Schedule
from bnprobe.observe.signals.records import Tap
from bnprobe.store.writer import RunWriter
from bnprobe.torch_private import user_modes_disabled

#: Steps of which nothing was measured that wait to become rows together, and the seconds they wait at most.
BARE_STEPS = 32
BARE_SECONDS = 0.2


class Delivery:
    """Hands steps to the writer as soon as their numbers have arrived.

    Args:
        writer: the run file.
        axes: its axes.
        schedule: told about every loss; says when every channel is stored.
        faults: where a step goes that cannot be made a row.
        warn: told (step, text) that the training seems about to be lost.

    Attributes:
        last_step: the step that was delivered last.
        has_diverged: whether the loss says so, see ``bnprobe.divergence``.
    """

    def __init__(self, writer: RunWriter, axes: Axes, schedule: Schedule, faults: Faults, warn: Callable[[int, str], None]) -> None:
        self.last_step: OpenStep | None = None
        self.has_diverged = False
        self._writer = writer
        self._axes = axes
        self._schedule = schedule
        self._faults = faults
        self._warn = warn
        self._flight = FlightRecorder()
        self._travelling: ClosedStep | None = None
        self._bare: list[OpenStep] = []
        self._divergence = Divergence()
        self._first_rms: Any = None
        self._last_rms: Any = None
        self._is_kept = self._is_noted = False

    def take(
        self,
        step: OpenStep,
        taps: Sequence[Tap] = (),
        readings: Sequence[tuple[str, Reading]] = (),
        instruments: Sequence[Instrument] = (),
    ) -> None:
        """Take a step. Its numbers may still be on their way from an accelerator; they are not waited for.

        Args:
            step: the step.
            taps: its measured signals; their layers have places.
            readings: what instruments found.
            instruments: those that look at the moments once they have arrived.
        """
        if self._travelling is not None:
            self._deliver_travelling()
        if not taps and step.is_bare:
            self._gather(step)
            return
        self._deliver_bare()
        with user_modes_disabled():
            closed = self._travelling = ClosedStep(step, [(tap, self._axes.layer(tap)) for tap in taps], readings, instruments)
        if not closed.is_asynchronous:
            self._deliver_travelling()

    def hear(self, step: OpenStep, loss: float) -> None:
        """Tell the schedule a step's loss, once; one that is at hand can be told before the step is closed."""
        if step.is_heard:
            return
        step.is_heard = True
        level = self._schedule.note_loss(loss)
        if level is Level.GRAVE and not step.skipped:
            self._warn(step.number, f"the loss is {number(loss)}, far beyond its noise")
        elif level is not Level.NOTHING:
            self._writer.add_event(step.number, "schedule", f"the loss is {number(loss)}, beyond its noise: a look at the next steps")

    def flush(self) -> None:
        """Put on disk what has been taken."""
        self._deliver_travelling()
        self._deliver_bare()
        self._writer.burst()

    def finish(self, *, whole: bool) -> None:
        """Deliver the rest; unless the run came to its end whole, its last steps are kept channel by channel."""
        self._deliver_travelling()
        self._deliver_bare()
        if not whole:
            self._dump_flight()

    @unchecked
    def worst_layer(self) -> tuple[str, float]:
        """Return the layer that is furthest from where it began, and how far: log10 of its activation rms over the first."""
        rms = self._last_rms
        if rms is None:
            return "", math.nan
        if self._first_rms is None or len(self._first_rms) < len(rms):
            self._first_rms = rms
        worst, value = "", 0.0
        for name, first, last in zip(self._axes.layer_names, self._first_rms, rms, strict=False):
            change = math.log10(last / first) if 0 < first < math.inf and last > 0 else 0.0
            if abs(change) > abs(value):
                worst, value = name, change
        return worst, value

    def _gather(self, step: OpenStep) -> None:
        """Keep a step of which nothing was measured for a moment: rows are made together, which disturbs fewer steps."""
        self._bare.append(step)
        loss = step.loss
        if loss is not None:
            self.hear(step, loss)
            self._judge(step.number, loss, was_skipped=bool(step.skipped))
        waited = step.wall_time - self._bare[0].wall_time if self._bare else 0.0
        if len(self._bare) >= BARE_STEPS or max(waited, step.seconds) > BARE_SECONDS:  # a slow step's next one would come too late
            self._deliver_bare()

    def _deliver_bare(self) -> None:
        if not self._bare:
            return
        steps, self._bare = self._bare, []
        try:
            if len(steps) > 1:
                self._writer.append_steps(len(steps), own_columns(steps))
            else:
                self._writer.append_step(own_row(steps[0]))
        except Exception as error:
            self._faults.report(f"steps {steps[0].number} to {steps[-1].number}", error)
        self.last_step, self._last_rms = steps[-1], None
        self._writer.burst_if_due()

    def _row(self, closed: ClosedStep) -> tuple[dict[str, Any], ChannelRow | None] | None:
        try:
            return closed.row()
        except Exception as error:
            self._faults.report(f"step {closed.step.number}", error)
            return None

    def _deliver_travelling(self) -> None:
        if self._travelling is None:
            return
        closed, self._travelling = self._travelling, None
        with user_modes_disabled():
            made = self._row(closed)
        if made is None:
            return
        row, channels = made
        self._writer.append_step(row)
        self.last_step, self._last_rms = closed.step, row.get("activation_rms")
        if channels is not None and self._flight.keep(channels, write=self._schedule.is_snapshot(row["step"])):
            self._writer.append_snapshot(channels.columns(self._axes))
        if row["loss"] is not None:
            self.hear(closed.step, row["loss"])
            self._judge(row["step"], row["loss"], was_skipped=bool(row.get("skipped")))
        self._writer.burst_if_due()

    def _judge(self, step: int, loss: float, *, was_skipped: bool) -> None:
        diverged = self._divergence.take(step, loss, was_skipped)
        if diverged is not None:
            self.has_diverged = True
            self.note_divergence(step, str(diverged))
        elif not math.isfinite(loss):
            self._keep_flight()  # a gradient scaler that looks for its scale skips such steps; where it finds none, this is what led there

    def note_divergence(self, step: int, text: str) -> None:
        """The training has diverged, for the first time: write that down, and the last steps channel by channel."""
        if not self._is_noted:
            self._is_noted = True
            self._deliver_bare()
            self._writer.add_event(step, "divergence", text)
            self._is_kept = False
            self._keep_flight()

    def _keep_flight(self) -> None:
        """Write the last steps channel by channel, now: whoever kills the script then finds what led here."""
        if not self._is_kept:
            self._is_kept = True
            self._deliver_bare()
            self._dump_flight()
            self._writer.burst()

    def _dump_flight(self) -> None:
        for row in self._flight.dump():
            self._writer.append_snapshot(row.columns(self._axes))
