"""From closed steps to rows of the run file, with a first judgement on the way: has the training diverged?

The full diagnosis is made from the file. Here it is only decided what must not be lost: the moment a loss diverges, the last steps are
written down channel by channel.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from bnprobe.divergence import Divergence
from bnprobe.measure.unchecked import unchecked
from bnprobe.numerals import number
from bnprobe.observe.axes.axes import Axes
from bnprobe.observe.axes.channel_row import ChannelRow
from bnprobe.observe.faults import Faults, is_the_scripts
from bnprobe.observe.instruments.instrument import Instrument, Reading
from bnprobe.observe.rows.closed_step import ClosedStep, rows
from bnprobe.observe.rows.flight_recorder import FlightRecorder
from bnprobe.observe.rows.measured_signals import SignalPlaces
from bnprobe.observe.schedule.alarm import Level
from bnprobe.observe.schedule.schedule import Schedule
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import OpenStep, own_columns, own_row
from bnprobe.store.writer import BURST_ROWS, RunWriter
from bnprobe.torch_private import user_modes_disabled

#: Steps that wait to become rows together, the seconds they wait at most, and the memory of their numbers.
WAITING_STEPS = 32
WAITING_SECONDS = 0.2
WAITING_BYTES = 4 * 2**20


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
        self._places = SignalPlaces(axes.layer)
        self._flight = FlightRecorder()
        self._travelling: ClosedStep | None = None
        self._waiting: list[OpenStep | ClosedStep] = []  # what was measured of a step, or a bare one
        self._waiting_bytes = 0
        self._unwritten = 0
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
        self._receive_travelling()
        if not taps and step.is_bare:
            self._wait(step, step)
            return
        with user_modes_disabled():
            closed = self._travelling = ClosedStep(step, self._places.of(taps), readings, instruments)
        if not closed.is_asynchronous:
            self._receive_travelling()

    def take_bare(self, steps: Sequence[OpenStep]) -> None:
        """Take steps of which nothing was measured, and whose losses the schedule has been told."""
        try:
            self._receive_travelling()
        finally:
            self._waiting += steps
            self.last_step = steps[-1]
        for step in steps:
            if (loss := step.loss) is not None:
                self._judge(step.number, loss, was_skipped=False)
        self._deliver_if_due(steps[-1])

    def has_taken(self, step: OpenStep) -> bool:
        """Whether a step is the one that was taken last."""
        return step is (self._travelling.step if self._travelling is not None else self.last_step)

    def hear(self, step: OpenStep, loss: float) -> None:
        """Tell the schedule a step's loss, once; one that is at hand can be told before the step is closed."""
        if step.is_heard:
            return
        step.is_heard = True
        level = self._schedule.note_loss(loss)
        if level is Level.GRAVE and not step.skipped:
            self._warn(step.number, f"the loss is {number(loss)}, far beyond its noise")
        elif level is not Level.NOTHING and self._schedule.begins_a_look(step.number):
            self._writer.add_event(step.number, "schedule", f"the loss is {number(loss)}, beyond its noise: a look at the next steps")

    def flush(self) -> None:
        """Put on disk what has been taken."""
        self._receive_travelling()
        self._deliver()
        self._writer.burst()

    def finish(self, *, whole: bool) -> None:
        """Deliver the rest; unless the run came to its end whole, its last steps are kept channel by channel."""
        self._receive_travelling()
        self._deliver()
        if not whole:
            self._dump_flight()

    @unchecked
    def worst_layer(self) -> tuple[str, float]:
        """Return the layer that is furthest from where it began, and how far: log10 of its activation rms over the first."""
        self._deliver()
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

    def _receive_travelling(self) -> None:
        """Take in the numbers of the step that was measured last."""
        if self._travelling is None:
            return
        closed, self._travelling = self._travelling, None
        try:
            with user_modes_disabled():
                closed.arrive()
        except Exception as error:
            self._faults.report(f"step {closed.step.number}", error)
            return
        self._waiting_bytes += closed.nbytes
        self._wait(closed, closed.step)

    def _wait(self, waiting: OpenStep | ClosedStep, step: OpenStep) -> None:
        """Keep a step for a moment: rows are made together, which is cheaper by far. Its loss is judged now."""
        self.last_step = step
        self._waiting.append(waiting)
        loss = step.loss
        if loss is not None:
            self.hear(step, loss)
            self._judge(step.number, loss, was_skipped=bool(step.skipped))
        self._deliver_if_due(step)

    def _deliver_if_due(self, step: OpenStep) -> None:
        """Make rows of what waits once there is enough of it; ``step`` is the last of it."""
        if not self._waiting:
            return
        waited = step.wall_time - _opened(self._waiting[0]).wall_time
        count = len(self._waiting)
        makes_a_burst = self._unwritten < BURST_ROWS <= count + self._unwritten
        is_due = count >= WAITING_STEPS or makes_a_burst or self._waiting_bytes > WAITING_BYTES
        if is_due or max(waited, step.seconds) > WAITING_SECONDS:  # a slow step's next one would come too late
            self._deliver()

    def _deliver(self) -> None:
        """Make rows of all that waits."""
        if not self._waiting:
            return
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        try:
            while waiting:
                steps = list(next(itertools.groupby(waiting, _structure))[1])
                del waiting[: len(steps)]
                self._append_alike(steps)
                self._unwritten += len(steps)
        finally:
            self._waiting[:0] = waiting  # what the script has raised for itself leaves here: the others wait for the next time
        if self._writer.burst_if_due():
            self._unwritten = 0

    def _append_alike(self, steps: list[OpenStep | ClosedStep]) -> None:
        """Append the rows of steps of which the same was measured, together if it can be."""
        before = self._writer.step_count
        try:
            self._append(len(steps), *_rows(steps))
        except Exception as error:
            if self._writer.step_count == before:
                self._append_singly(steps, error)
            else:
                self._faults.report(f"step {_opened(steps[0]).number}", error)

    def _append(self, count: int, columns: dict[str, Any], channels: list[ChannelRow | None]) -> None:
        """Append the rows of steps of which the same was measured."""
        rms = columns.get("activation_rms")
        self._last_rms = rms[-1] if rms is not None and count > 1 else rms
        written = [
            row
            for row in channels
            if row is not None and self._flight.keep(row, write=self._schedule.keeps_channels(row.step, self._axes.channels))
        ]
        snapshots = [row.columns(self._axes) for row in written]
        if count > 1:
            self._writer.append_steps(count, columns)
        else:
            self._writer.append_step(columns)
        for snapshot in snapshots:
            self._writer.append_snapshot(snapshot)

    def _append_singly(self, steps: list[OpenStep | ClosedStep], error: Exception) -> None:
        """Some of these steps cannot be made a row, or the script has raised something meanwhile: no other step is to suffer from it."""
        is_at_fault = len(steps) == 1 and not is_the_scripts(error)
        for step in () if is_at_fault else steps:
            try:
                self._append(1, *_rows([step]))
            except Exception as own:
                if not is_the_scripts(own):
                    self._faults.report(f"step {_opened(step).number}", own)
        if is_at_fault or is_the_scripts(error):
            self._faults.report(f"step {_opened(steps[0]).number}", error)

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
            self._deliver()
            self._writer.add_event(step, "divergence", text)
            self._is_kept = False
            self._keep_flight()

    def forget_divergence(self) -> None:
        """What was noted is void: the training goes on."""
        self._is_kept = self._is_noted = False

    def _keep_flight(self) -> None:
        """Write the last steps channel by channel, now: whoever kills the script then finds what led here."""
        if not self._is_kept:
            self._is_kept = True
            self._deliver()
            self._dump_flight()
            self._writer.burst()

    def _dump_flight(self) -> None:
        for row in self._flight.dump():
            self._writer.append_snapshot(row.columns(self._axes))


def _opened(waiting: OpenStep | ClosedStep) -> OpenStep:
    return waiting.step if isinstance(waiting, ClosedStep) else waiting


def _structure(waiting: OpenStep | ClosedStep) -> Any:
    """Return what tells steps apart whose rows are not made together; bare ones have nothing."""
    return waiting.structure if isinstance(waiting, ClosedStep) else None


def _rows(steps: list[OpenStep | ClosedStep]) -> tuple[dict[str, Any], list[ChannelRow | None]]:
    """Return the columns of steps that are alike, as the writer takes them, and every channel of each."""
    bare = [step for step in steps if isinstance(step, OpenStep)]
    if bare:
        return (own_columns(bare) if len(bare) > 1 else own_row(bare[0])), []
    with user_modes_disabled():
        return rows([step for step in steps if isinstance(step, ClosedStep)])
