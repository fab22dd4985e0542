"""The open step of a recording, and what is done as the clock says that it ends and is closed."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence

import torch

from bnprobe import module_parts
from bnprobe.identity import OwnReference
from bnprobe.observe.companion import Companion
from bnprobe.observe.instruments.instrument import Stopwatch, Update
from bnprobe.observe.options import RecordOptions, StopTraining
from bnprobe.observe.recording.attached import Attached
from bnprobe.observe.recording.output import Output
from bnprobe.observe.schedule.quiet_time import QuietTime
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import GroupSettings, OpenStep
from bnprobe.observe.steps.step_clock import CountsBackwards, Event, StepClock, StepClosed, WeightsMoved
from bnprobe.originals import Original
from bnprobe.torch_private import in_backward, user_modes_disabled

#: Share of a step's time that the recorder's can be at most: the script's own is never nothing.
_MOST_OF_A_STEP = 0.999


class StepKeeper:
    """Keeps the open step.

    Args:
        options: when a training is ended.
        output: where a closed step goes.
        attached: what measures.
        clock: what a step is.
        companions: told of every step.
        watch: the time of the instruments.

    Attributes:
        step: what has been seen of the step that is going on.
        is_measuring: false while nothing is measured, nothing that was waits for a backward, and nothing is asked for beyond: most steps.
    """

    def __init__(
        self, options: RecordOptions, output: Output, attached: Attached, clock: StepClock, companions: Companion, watch: Stopwatch
    ) -> None:
        self.step = OpenStep(clock.number, observed=True)
        self.is_measuring = True
        self._options = options
        self._output = output
        self._schedule = output.schedule
        self._attached = attached
        self._clock = clock
        self._companions = companions
        self._watch = watch
        self._quiet = QuietTime()
        self._groups: Mapping[int, GroupSettings] = {}
        self._moved_by_hand: list[weakref.ref[torch.Tensor]] = []
        self._observer_total = self._closing_seconds = self._carried = 0.0
        self._step_began = output.began

    def begin(self) -> None:
        """Everything has just been attached."""
        self._prepare(self.step.number)
        self._attached.probes.begin_step()
        self._step_began = Original.perf_counter()

    def renumber(self, first: int) -> None:
        """The open step, which is the first one, has another number."""
        self._clock.renumber(first)
        self.step.number = self._schedule.first = first

    def settle(self) -> None:
        """Close the step whose update has happened, without waiting for the next one to begin."""
        self.follow(self._clock.settle())

    def follow(self, events: Sequence[Event], gradients: dict[int, torch.Tensor] | None = None) -> None:
        """Do what the clock says.

        Args:
            events: its events, in order.
            gradients: those of ``torch.autograd.grad``, by id of the parameter.

        Raises:
            StopTraining: it was asked to be ended here.
        """
        for event in events:
            if isinstance(event, StepClosed):
                self._close_step()
            elif isinstance(event, WeightsMoved):
                if event.by_hand:
                    self._end_step_by_hand(gradients)
                self.end_step(Original.perf_counter())
            elif isinstance(event, CountsBackwards):
                self._output.writer.add_event(event.number, "clock", f"{event.reason}: a step is one backward call")

    def check_limit(self) -> None:
        """End the training if it was to be ended after this step.

        Raises:
            StopTraining: it is.
        """
        options = self._options
        if options.max_steps is not None and self.step.number + 1 - self._schedule.first >= options.max_steps:
            self.settle()
            raise StopTraining(f"--max-steps {options.max_steps}")
        if options.stop_when_diverged and self._output.delivery.has_diverged:
            self.settle()
            raise StopTraining("training diverged")

    def close_unfinished(self) -> None:
        """A script that checks its loss and leaves has run the forward that went wrong: it is kept as a row without an update."""
        panel, delivery = self._attached.panel, self._output.delivery
        self._attached.probes.end_step(frozenset())
        taps = self._attached.forward.unfinished()
        if any(bool(tap.moments.summary.nonfinite > 0) for tap in taps) and not self.step.has_row:
            self.step.has_row = True
            delivery.take(self.step, taps, panel.close(self.step, taps), panel.instruments)
            delivery.note_divergence(self.step.number, "a signal is not finite, and the script made no update of it")

    def reopen(self) -> None:
        """The training goes on: what ``close_unfinished`` kept of the open step is void, which has its row at its end."""
        if self.step.has_row:
            self.step.has_row = False
            self._output.writer.begin_again(self.step.number)
            self._output.delivery.forget_divergence()

    # -- its update ---------------------------------------------------------------------------------------------------

    def _end_step_by_hand(self, gradients: dict[int, torch.Tensor] | None) -> None:
        """A backward ended a step of a program that updates its weights itself; they will have moved when the next one begins."""
        step, output = self.step, self._output
        parameters: list[torch.Tensor] = []
        if step.observed:
            with output.faults.guard("weights that are updated by hand"), user_modes_disabled():
                models = output.tree.trained_roots(output.gate.thread.others)
                parameters = [parameter for root in models for parameter in module_parts.parameters(root)]
                output.axes.introduce_parameters(parameters, -1, "the hand-written update")
                self._moved_by_hand = [OwnReference(parameter) for parameter in parameters]
        self._attached.panel.ask("before_update", step, Update(None, parameters, gradients))
        self._attached.probes.no_update(step.number, None, "the script moves its weights without an optimizer")

    def end_step(self, now: float) -> None:
        """An update has happened, at a time of ``time.perf_counter``; the step is closed when the next one begins."""
        step, output = self.step, self._output
        self._companions.step_ended(step.observed)
        step.seconds += now - self._step_began
        step.was_interrupted = self._quiet.was_interrupted()
        step.wall_time = now - output.began + output.beginning.seconds_before
        self._step_began = now
        if step.number == self._schedule.first:
            with output.faults.guard("the place of this process among others"):
                output.place.find(self._attached.own_optimizers())
        self._tell_schedule(step)
        self._prepare(step.number + 1)
        if not in_backward():
            self.check_limit()

    def _tell_schedule(self, step: OpenStep) -> None:
        """Tell what may decide whether the next step is measured, as far as it is known before this one is closed."""
        self._schedule.note_optimizers(step.number, self._clock.moved_by)
        self._note_rates(step)
        if step.modes is not None:
            self._schedule.note_modes(step.modes)
        if not step.is_heard and (loss := step.loss_at_hand) is not None:
            self._output.delivery.hear(step, loss)

    def _note_rates(self, step: OpenStep) -> None:
        if step.groups is not self._groups:
            self._groups = step.groups
            self._schedule.note_rates(step.groups)

    def _prepare(self, number: int) -> None:
        """Attach or detach the forward taps for the step that comes next."""
        probes, forward = self._attached.probes, self._attached.forward
        is_probed, is_observed = probes.wants(number), self._schedule.is_observed(number)
        self.step.evaluations_seen = is_probed or is_observed
        if self.step.evaluations_seen:
            self.is_measuring = True
            forward.attach()
        elif forward.attached:
            forward.detach()
        probes.prepare(number, is_probed)

    def pass_by(self, passed: Sequence[OpenStep], ended: Sequence[float], noted: Sequence[float], optimizer: int) -> None:
        """Do of steps in which nothing was otherwise what is done at the end of each, and as it is closed. The last one stays open.

        Args:
            passed: those after the open one, which has had its update. They have their losses and settings.
            ended: when each had its update, on the clock of ``time.perf_counter``.
            noted: what noting each has taken.
            optimizer: what moved their weights.

        An exception of the script's own, out of a signal's handler, may come anywhere: nothing is done yet, or all are counted and kept.
        """
        output, before, began = self._output, self._output.began - self._output.beginning.seconds_before, self._step_began
        for step, now in zip(passed, ended, strict=True):
            step.seconds, began = now - began, now
            step.wall_time = now - before
            step.evaluations_seen, step.is_heard = False, True
        first, closed = self.step, passed[:-1]
        self._clock.passed(len(passed), optimizer)
        try:
            self._close_step()
        except BaseException:
            if not output.delivery.has_taken(first):
                closed = [first, *closed]
            raise
        finally:
            self.step, self._step_began = passed[-1], began
            for step in closed:
                self._bear(step, step.observer_seconds)
            if closed:
                output.delivery.take_bare(closed)
            for step in passed:
                self._note_rates(step)
            self._schedule.pass_by(passed[-1].number, [loss for step in passed if (loss := step.loss_at_hand) is not None])
        if closed:
            self._observer_total += sum(step.observer_seconds for step in closed)
            self._adapt_to_passed(closed, noted[: len(closed)])
            output.progress.show(output.delivery, self._observer_total)

    # -- its end ------------------------------------------------------------------------------------------------------

    def _bear(self, step: OpenStep, cost: float) -> None:
        """Count what the recorder took with a step, as far as its time goes: steps that passed by are made in that of the next."""
        cost += self._carried
        step.observer_seconds = min(cost, _MOST_OF_A_STEP * step.seconds) if step.seconds > 0 else cost
        self._carried = cost - step.observer_seconds

    def _close_step(self) -> None:
        step = self.step
        try:
            with self._watch:
                self._close(step)
        except Exception as error:
            self._output.faults.report("the end of a step", error)
        # What closing costs is counted with the next step: this step's row has left, and its time was taken with it.
        self._closing_seconds = self._watch.seconds if step.observed else 0.0

    def _close(self, step: OpenStep) -> None:
        attached, output = self._attached, self._output
        if self._moved_by_hand:
            parameters = [parameter for reference in self._moved_by_hand if (parameter := reference()) is not None]
            self._moved_by_hand = []
            attached.panel.ask("after_update", step, Update(None, parameters))
        taps: Sequence[Tap] = ()
        if self.is_measuring:
            with user_modes_disabled():
                taps = self._end_measuring(step)
        readings = attached.panel.close(step, taps)
        self._companions.step_closed(step.number)
        # Its forward may have begun: the taps stay as they are, whatever the closing step tells the schedule.
        self.step = OpenStep(self._clock.number, observed=attached.forward.attached or attached.compiled.has_taps)
        attached.backward.end_step()
        self._bear(step, step.observer_seconds + self._watch.take())
        self._observer_total += step.observer_seconds
        output.delivery.take(step, taps, readings, attached.panel.instruments)
        attached.probes.deliver(output.axes, step.number)
        self._adapt(step)
        output.progress.show(output.delivery, self._observer_total)

    def _end_measuring(self, step: OpenStep) -> Sequence[Tap]:
        """Bring in what was measured in a step, or asked for beyond; a step under a budget has nothing of it."""
        forward, compiled, probes = self._attached.forward, self._attached.compiled, self._attached.probes
        taps, step.batch_size, step.evaluations = forward.take()
        step.modes = forward.take_modes(taps, self._output.axes.trains) or step.modes
        compiled.forget()
        step.probe_seconds = probes.end_step(self._clock.moved_before)
        step.observer_seconds = forward.seconds + compiled.seconds + step.probe_seconds
        forward.seconds = compiled.seconds = 0.0
        self.is_measuring = probes.is_wanted or forward.attached or forward.holds_signals
        return taps

    def _adapt(self, step: OpenStep) -> None:
        probe, closing, quiet = step.probe_seconds, self._closing_seconds, self._quiet.share()
        seconds, own = step.seconds - probe, step.observer_seconds - probe
        if self._schedule.account(seconds, own, step.observed, closing, quiet, step.was_interrupted):
            self._tell_stride(step)

    def _adapt_to_passed(self, steps: Sequence[OpenStep], noted: Sequence[float]) -> None:
        made = max(sum(step.observer_seconds for step in steps) - sum(noted), 0.0)
        if self._schedule.account_passed([step.seconds for step in steps], noted, made, self._quiet.share()):
            self._tell_stride(steps[-1])

    def _tell_stride(self, step: OpenStep) -> None:
        stride = self._schedule.stride
        often = f"about every {stride} steps to stay within" if stride > 1 else "at every step again, within"
        self._output.writer.add_event(step.number + 1, "schedule", f"layers are measured {often} the budget")
