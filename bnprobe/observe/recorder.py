"""The recorder: one training observed, one run file written.

It wires the parts, attaches them to torch and takes them off again. The clock says what a step is (``step_clock``), instruments measure
around one (``instrument``). Here the training's events reach the clock, and those of the clock whoever has to act on them.
"""

from __future__ import annotations

import functools
import json
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import torch

from bnprobe import __version__
from bnprobe.identity import OwnReference
from bnprobe.observe.autograd_patch import BackwardTaps
from bnprobe.observe.compiled import CompiledModules
from bnprobe.observe.compiled_steps import CompiledSteps
from bnprobe.observe.faults import Faults
from bnprobe.observe.instrument import Backward, Stopwatch, Surroundings, Update
from bnprobe.observe.instruments.clipping import Clipping
from bnprobe.observe.instruments.panel import Panel
from bnprobe.observe.modules import parts
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.observe.optimizers import Optimizer, OptimizerTaps
from bnprobe.observe.options import Progress, RecordOptions, StopTraining
from bnprobe.observe.patches import Patches
from bnprobe.observe.probes.probes import Probes
from bnprobe.observe.progress import ProgressReport
from bnprobe.observe.quiet_time import QuietTime
from bnprobe.observe.recursion import RecursionRoom
from bnprobe.observe.remedy_injector import RemedyInjector
from bnprobe.observe.rows.axes import Axes
from bnprobe.observe.rows.delivery import Delivery
from bnprobe.observe.rows.open_step import GroupSettings, OpenStep
from bnprobe.observe.schedule import Schedule
from bnprobe.observe.signals.forward_hook import ForwardTaps
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.step_clock import CountsBackwards, Event, StepClock, StepClosed, WeightsMoved
from bnprobe.observe.swaps import Swaps
from bnprobe.observe.tracebacks import QuietTracebacks
from bnprobe.observe.training_thread import TrainingThread
from bnprobe.observe.unseen import Unseen
from bnprobe.originals import Original
from bnprobe.store.writer import RunWriter
from bnprobe.torch_private import in_backward, user_modes_disabled

#: A warning is said aloud if none came within so many steps before it.
STEPS_BETWEEN_WARNINGS = 100
if TYPE_CHECKING:
    from bnprobe.what_if.companion import WhatIf

_Arguments = ParamSpec("_Arguments")


def _in_turn(event: Callable[Concatenate[Recorder, _Arguments], None]) -> Callable[Concatenate[Recorder, _Arguments], None]:
    """Let an event of the training through while it is recorded, from its own thread, one at a time; a fault of ours ends here."""

    @functools.wraps(event)
    def take(recorder: Recorder, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        if not recorder._over and recorder._thread.claims():
            with recorder._thread.lock:
                try:
                    event(recorder, *args, **kwargs)
                except Exception as error:
                    recorder._faults.report("an event of the training", error)

    return take  # type: ignore[return-value]


class Recorder:
    """Observes the training in this process and writes it to a run file.

    Args:
        path: the run file; an existing one is replaced (the command line has asked before).
        options: what to record.
        provenance: root attributes that say how the run was made.
        on_progress: called a few times a second at most.

    Raises:
        RunFileError: the file cannot be created.
    """

    def __init__(
        self,
        path: Path,
        options: RecordOptions,
        provenance: Mapping[str, str],
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self._options = options
        #: False while nothing is measured, nothing that was waits for a backward, and nothing is asked for beyond: most steps.
        self._is_measuring = True
        self._over = False
        self._remedies_noted = 0
        self._observer_total = self._closing_seconds = 0.0
        self._quiet = QuietTime()
        self._last_warning = -STEPS_BETWEEN_WARNINGS
        self._began = self._step_began = Original.perf_counter()
        self._watch = Stopwatch()
        self._clock = StepClock()
        self._step = OpenStep(0, observed=True)
        self._groups: Mapping[int, GroupSettings] = {}
        self._moved_by_hand: list[weakref.ref[torch.Tensor]] = []
        self._writer = RunWriter(path, {**provenance, **_environment(), "pid": Original.getpid()}, overwrite=True)
        self._unseen = Unseen(self._writer)
        self._recursion = RecursionRoom()
        self._thread = TrainingThread(self._unseen.note_other_thread, in_backward)
        self._patches = Patches()
        self._injector = RemedyInjector(options.remedies, self.note_remedies) if options.remedies else None
        self._faults = Faults(options.strict, self._writer.add_coverage)
        self._tree = ModuleTree()
        self._forward = ForwardTaps(self._tree, self._faults, self.settle, self._writer.add_coverage)
        self._forward.thread = self._thread
        self._schedule = Schedule(options.every, options.budget, options.free_seconds)
        self._axes = Axes(self._writer, self._tree)
        self._optimizers = OptimizerTaps(self._before_update, self._after_update, self._on_skipped)
        self._delivery = Delivery(self._writer, self._axes, self._schedule, self._faults, self._warn)
        self._progress = ProgressReport(on_progress, self._delivery, self._began)
        around = Surroundings(self._axes, self._schedule, self._tree, self._clock, self._writer, self._own_optimizers, self._warn)
        self._panel = Panel(around, self._faults, self._watch)
        self._probes = Probes(
            options,
            self._writer,
            self._schedule,
            self._tree,
            self._faults,
            self._own_optimizers,
            self.settle,
            self._muted,
            self._say,
        )
        if options.line_probe_channels or options.audit is not None or "update" in options.figures:
            self._forward.on_signal = self._probes.line.note_signal
        self._compiled_steps = CompiledSteps(self._optimizers, self._before_update, self._after_update, self._on_unmeasured)
        self._compiled = CompiledModules(
            self._forward, self._faults, self._begin_forward, self._writer.add_coverage, self._probes.line, self._compiled_steps
        )
        self._what_if = self._make_what_if()
        self._clipping = Clipping(self._on_clip, self._writer.add_coverage)
        self._backward = BackwardTaps(
            self._on_backward,
            self._after_backward,
            self._before_backward,
            self._on_failed_backward,
            self._writer.add_coverage,
            self._mute_gradients,
            self._on_inner_gradient,
        )

    def _has_diverged(self) -> bool:
        return self._delivery.has_diverged

    def _make_what_if(self) -> WhatIf | None:
        if not self._options.what_if:
            return None
        from bnprobe.what_if.companion import WhatIf  # it brings the diagnosis with it, which most recordings do without

        return WhatIf(
            self._options,
            self._writer,
            lambda: self._clock.number,
            self.settle,
            self._own_optimizers,
            self._faults,
            self._say,
            self._has_diverged,
        )

    # -- life ---------------------------------------------------------------------------------------------------------

    def expect(self, model: torch.nn.Module, optimizers: Sequence[Optimizer]) -> None:
        """Know what was built before the recorder: a call of a part is one of the model, and no optimizer's weights move by hand."""
        self._tree.learn(model)
        for optimizer in optimizers:
            self._optimizers.constructed.add(optimizer)
        if self._what_if is not None:
            self._what_if.stretch.expect(optimizers)

    def install(self) -> None:
        """Attach to torch."""
        if self._injector is not None:
            self._injector.attach()
        self.resume()

    def resume(self) -> None:
        """Attach to torch, again after ``pause``."""
        watching = (self._tree, self._compiled, self._backward, self._clipping, self._panel.evaluations, self._optimizers)
        for part in (*watching, self._probes, self._unseen, self._recursion, Swaps(), QuietTracebacks()):
            part.attach(self._patches)
        if self._what_if is not None:
            self._what_if.attach(self._patches)
        self._prepare_step(self._step.number)
        self._probes.begin_step()
        self._step_began = Original.perf_counter()

    def pause(self) -> None:
        """Detach from torch until ``resume``; nothing of the recorder is left in a step."""
        self.settle()
        self._detach()

    def settle(self) -> None:
        """Close the step whose update has happened, without waiting for the next one to begin."""
        with self._thread.lock:
            self._follow(self._clock.settle())

    def flush(self) -> None:
        """Put on disk what is complete."""
        with self._thread.lock:
            self._delivery.flush()

    def finish(self, ending: Any) -> None:
        """Close the open step and the file. May be called again.

        Args:
            ending: how the run ended, with ``status``, ``detail`` and ``exit_status``.
        """
        if self._over:
            return
        with self._thread.lock:
            if self._what_if is not None:
                self.settle()  # while it still listens: the last step belongs to the stretch
            self._detach()
            if self._injector is not None:
                self._injector.detach()
            self.settle()
            self._over = True
            with self._faults.guard("the last, unfinished step"):
                self._close_unfinished_step()
            self._unseen.write(self._step.number, self._forward, self._compiled, self._axes)
            self._writer.set_attribute("backwards_without_update", self._clock.backwards_without_update)
            self._delivery.finish(whole=ending.status in ("finished", "stopped"))
            if self._what_if is not None:
                with self._faults.guard("what if"):
                    self._what_if.answer(ending)
            exit_status = ending.exit_status if ending.exit_status is not None else -1
            self._writer.close(status=ending.status, ending=ending.detail, exit_status=exit_status)

    def abandon(self) -> None:
        """Forget everything without touching the file: this is a forked child."""
        self._over = True
        # The lock may have been held by a thread that is not here.
        self._thread = TrainingThread(self._unseen.note_other_thread, in_backward)
        self._detach()

    @property
    def steps(self) -> int:
        """Number of the open step: how many have been closed."""
        return self._step.number

    @contextmanager
    def _muted(self) -> Iterator[None]:
        """Measure nothing of what runs now: it is no part of the training."""
        was_muted, self._forward.muted = self._forward.muted, True
        try:
            yield
        finally:
            self._forward.muted = was_muted

    def _mute_gradients(self, change: int) -> None:
        self._forward.gradients_muted += change
        self._probes.mute_gradients(change)

    @_in_turn
    def _on_inner_gradient(self, outputs: list[torch.Tensor], inputs: list[torch.Tensor]) -> None:
        """The script asks for a gradient that is to be part of its loss."""
        self._panel.ask("before_inner_gradient", self._step, outputs, inputs)

    def _detach(self) -> None:
        if self._what_if is not None:
            self._what_if.stretch.detach()
        for part in (self._probes, self._forward, self._panel.evaluations):
            part.detach()
        self._patches.undo()
        self._recursion.detach()

    def _own_optimizers(self) -> list[Optimizer]:
        """Return the optimizers whose weights are ours to read: another thread's may be in the middle of its backward."""
        return [one for one in self._optimizers.constructed if self._thread.is_alone or one in self._optimizers.stepped_here]

    def note_remedies(self, record: list[dict[str, Any]]) -> None:
        """Remedies have been applied to a model of the script; ``record`` is what ``Applied.record`` says of them."""
        if self._over:
            return
        self._writer.set_attribute("remedies", json.dumps(record))
        for entry in record[self._remedies_noted :]:
            text = f"remedy {entry['specification']} acts on {entry['count']} {entry['what']}"
            self._writer.add_event(self._step.number, "remedy", text)
            self._say(text)
        self._remedies_noted = len(record)

    def note_interventions(self, record: list[dict[str, Any]]) -> None:
        """This training was changed for a trial; ``record`` says what was changed, or why nothing was."""
        if not self._over:
            self._writer.set_attribute("interventions", json.dumps(record))

    def _say(self, text: str) -> None:
        self._progress.say(self._step.number, text)

    def _warn(self, step: int, text: str) -> None:
        """The training seems about to be lost: write down and say the first of such sentences in a row."""
        self._schedule.begins_a_look(step)
        if step - self._last_warning >= STEPS_BETWEEN_WARNINGS:
            self._writer.add_event(step, "warning", text)
            self._say(f"step {step}: {text}")
        self._last_warning = step

    # -- what the training does ---------------------------------------------------------------------------------------

    def _begin_forward(self) -> bool:
        """A forward begins that the taps cannot see begin; return whether it is to be measured."""
        self.settle()
        return self._step.observed and not self._over

    @_in_turn
    def _on_backward(self, loss: torch.Tensor | float | None, scale: torch.Tensor | None, tensors: Any) -> None:
        if self._optimizers.stepping:
            self._optimizers.settle()
        self._follow(self._clock.backward_began())
        step = self._step
        step.micro_steps = self._clock.micro_steps
        if not self._optimizers.is_repeating:
            step.losses += (loss,)
        if scale is not None:
            step.scale = scale
        if not step.observed and step.modes is None:
            step.modes = self._forward.modes_now()

    @_in_turn
    def _before_backward(self, losses: list[torch.Tensor], is_plain: Callable[[], bool], scale: torch.Tensor | None) -> None:
        """The script goes backward now; its graph is whole."""
        backward = Backward(losses, is_plain, scale)
        self._panel.ask("before_backward", self._step, backward)
        self._probes.before_backward(self._step.number, backward)

    @_in_turn
    def _on_failed_backward(self) -> None:
        self._clock.backward_failed()
        self._step.micro_steps = self._clock.micro_steps
        if not self._optimizers.is_repeating:
            self._step.losses = self._step.losses[:-1]
        self._forward.drop_micro_step()

    @_in_turn
    def _after_backward(self, gradients: dict[int, torch.Tensor] | None) -> None:
        """A backward has run; ``gradients`` are those of ``torch.autograd.grad``, by id of the parameter."""
        if self._is_measuring:
            with self._faults.guard("the end of a backward"):
                self._compiled.end_micro_step()
                self._forward.end_micro_step()
        self._compiled_steps.backward_ended()
        events = self._clock.backward_ended(has_optimizer=bool(self._optimizers.constructed))
        if not events and self._clock.is_moved:  # optimizers stepped inside the backward
            self._check_limit()
        self._follow(events, gradients)

    @_in_turn
    def _before_update(self, optimizer: Optimizer) -> None:
        """An optimizer is about to move its weights."""
        self._optimizers.stepped_here.add(optimizer)
        if self._what_if is not None:
            self._what_if.stretch.pause()
        self._follow(self._clock.update_began(id(optimizer), inside_backward=in_backward()))
        self._panel.ask("before_update", self._step, Update(optimizer))
        self._probes.before_update(optimizer)
        if self._what_if is not None:
            self._what_if.stretch.before_update(optimizer)

    @_in_turn
    def _after_update(self, optimizer: Optimizer) -> None:
        """An optimizer has moved its weights."""
        self._panel.ask("after_update", self._step, Update(optimizer))
        self._unseen.note_update(optimizer, self._axes, was_observed=self._step.observed)
        self._probes.after_update(optimizer, self._step.number)
        self._follow(self._clock.update_ended(id(optimizer)))
        if self._what_if is not None:
            self._what_if.stretch.after_update()

    @_in_turn
    def _on_skipped(self, optimizer: Optimizer) -> None:
        """A gradient scaler found non-finite gradients and did not call the optimizer."""
        self._panel.ask("skipped_update", self._step, Update(optimizer))
        self._step.skipped = True
        self._probes.no_update(self._step.number, optimizer, "a gradient scaler skipped the update")
        self._follow(self._clock.update_ended(id(optimizer)))

    @_in_turn
    def _on_unmeasured(self, optimizer: Optimizer) -> None:
        """An optimizer has moved its weights inside compiled code, and that was not expected: how far is not known."""
        self._optimizers.stepped_here.add(optimizer)
        self._follow(self._clock.update_began(id(optimizer), inside_backward=False))
        self._panel.ask("skipped_update", self._step, Update(optimizer))
        why = "the optimizer stepped inside compiled code"
        self._writer.add_coverage("how far the weights moved", f"{why}, where nothing had measured them before")
        self._probes.no_update(self._step.number, optimizer, why)
        self._follow(self._clock.update_ended(id(optimizer)))

    @_in_turn
    def _on_clip(self, norm: torch.Tensor | float, limit: float | None) -> None:
        """Gradients are clipped by their norm."""
        self._step.clip_norm, self._step.clip_limit = norm, limit

    # -- what the clock says ------------------------------------------------------------------------------------------

    def _follow(self, events: Sequence[Event], gradients: dict[int, torch.Tensor] | None = None) -> None:
        for event in events:
            if isinstance(event, StepClosed):
                self._close_step()
            elif isinstance(event, WeightsMoved):
                if event.by_hand:
                    self._end_step_by_hand(gradients)
                self._end_step()
            elif isinstance(event, CountsBackwards):
                self._writer.add_event(event.number, "clock", f"{event.reason}: a step is one backward call")

    def _end_step_by_hand(self, gradients: dict[int, torch.Tensor] | None) -> None:
        """A backward ended a step of a program that updates its weights itself; they will have moved when the next one begins."""
        step = self._step
        parameters: list[torch.Tensor] = []
        if step.observed:
            with self._faults.guard("weights that are updated by hand"), user_modes_disabled():
                models = self._tree.trained_roots(self._thread.others)
                parameters = [parameter for root in models for parameter in parts.parameters(root)]
                self._axes.introduce_parameters(parameters, -1, "the hand-written update")
                self._moved_by_hand = [OwnReference(parameter) for parameter in parameters]
        self._panel.ask("before_update", self._step, Update(None, parameters, gradients))
        self._probes.no_update(step.number, None, "the script moves its weights without an optimizer")

    def _end_step(self) -> None:
        """An update has happened; the step is closed when the next one begins."""
        step = self._step
        now = Original.perf_counter()
        step.seconds += now - self._step_began
        step.wall_time = now - self._began
        self._step_began = now
        self._tell_schedule(step)
        self._prepare_step(step.number + 1)
        if not in_backward():
            self._check_limit()

    def _tell_schedule(self, step: OpenStep) -> None:
        """Tell what may decide whether the next step is measured, as far as it is known before this one is closed."""
        self._schedule.note_optimizers(step.number, self._clock.moved_by)
        if step.groups is not self._groups:
            self._groups = step.groups
            self._schedule.note_rates(step.groups)
        if step.modes is not None:
            self._schedule.note_modes(step.modes)
        if not step.is_heard and (loss := step.loss_at_hand) is not None:
            self._delivery.hear(step, loss)

    def _check_limit(self) -> None:
        options = self._options
        if options.max_steps is not None and self._step.number + 1 >= options.max_steps:
            self.settle()
            raise StopTraining(f"--max-steps {options.max_steps}")
        if options.stop_when_diverged and self._delivery.has_diverged:
            self.settle()
            raise StopTraining("training diverged")

    def _prepare_step(self, number: int) -> None:
        """Attach or detach the forward taps for the step that comes next."""
        is_probed, is_observed = self._probes.wants(number), self._schedule.is_observed(number)
        self._step.evaluations_seen = is_probed or is_observed
        if self._step.evaluations_seen:
            self._is_measuring = True
            self._forward.attach()
        elif self._forward.attached:
            self._forward.detach()
        self._probes.prepare(number, is_probed)

    # -- the end of a step --------------------------------------------------------------------------------------------

    def _close_step(self) -> None:
        step = self._step
        try:
            with self._watch:
                self._close(step)
        except Exception as error:
            self._faults.report("the end of a step", error)
        # What closing costs is counted with the next step: this step's row has left, and its time was taken with it.
        self._closing_seconds = self._watch.seconds if step.observed else 0.0

    def _close(self, step: OpenStep) -> None:
        if self._moved_by_hand:
            parameters = [parameter for reference in self._moved_by_hand if (parameter := reference()) is not None]
            self._moved_by_hand = []
            self._panel.ask("after_update", self._step, Update(None, parameters))
        taps: Sequence[Tap] = ()
        if self._is_measuring:
            with user_modes_disabled():
                taps = self._end_measuring(step)
        readings = self._panel.close(step, taps)
        if self._what_if is not None:
            self._what_if.stretch.end_step(step.number)
        # Its forward may have begun: the taps stay as they are, whatever the closing step tells the schedule.
        self._step = OpenStep(self._clock.number, observed=self._forward.attached or self._compiled.has_taps)
        self._backward.end_step()
        step.observer_seconds += self._watch.take()
        self._observer_total += step.observer_seconds
        self._delivery.take(step, taps, readings, self._panel.instruments)
        self._probes.deliver(self._axes, step.number)
        self._adapt(step)
        self._progress.show(self._observer_total)

    def _end_measuring(self, step: OpenStep) -> Sequence[Tap]:
        """Bring in what was measured in a step, or asked for beyond; a step under a budget has nothing of it."""
        taps, step.batch_size, step.evaluations = self._forward.take()
        step.modes = self._forward.take_modes(taps, self._axes.trains) or step.modes
        self._compiled.forget()
        step.probe_seconds = self._probes.end_step(self._clock.moved_before)
        step.observer_seconds = self._forward.seconds + self._compiled.seconds + step.probe_seconds
        self._forward.seconds = self._compiled.seconds = 0.0
        self._is_measuring = self._probes.is_wanted or self._forward.attached or self._forward.holds_signals
        return taps

    def _adapt(self, step: OpenStep) -> None:
        probe, quiet = step.probe_seconds, self._quiet.share()
        seconds, own = (step.seconds - probe) * quiet, (step.observer_seconds - probe) * quiet
        if self._schedule.account(seconds, own, step.observed, self._closing_seconds * quiet):
            text = f"layers are measured about every {self._schedule.stride} steps to stay within the budget"
            self._writer.add_event(step.number + 1, "schedule", text)

    def _close_unfinished_step(self) -> None:
        """A script that checks its loss and leaves has run the forward that went wrong: it is kept as a row without an update."""
        self._probes.end_step(frozenset())
        taps = self._forward.take_unfinished()
        if any(bool(tap.moments.summary.nonfinite > 0) for tap in taps):
            self._delivery.take(self._step, taps, self._panel.close(self._step, taps), self._panel.instruments)
            self._delivery.note_divergence(self._step.number, "a signal is not finite, and the script made no update of it")


def _environment() -> dict[str, str]:
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
    return {
        "bnprobe_version": __version__,
        "torch_version": torch.__version__,
        "device": device,
        "threads": str(torch.get_num_threads()),
        "rank": os.environ.get("RANK", "0"),
        "world_size": os.environ.get("WORLD_SIZE", "1"),
    }
