"""What a training does, told to the clock and to everybody who looks at that moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.observe.companion import Companions
from bnprobe.observe.instruments.instrument import Backward, Stopwatch, Update
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.recording.attached import Attached
from bnprobe.observe.recording.companions import companions_of
from bnprobe.observe.recording.gate import in_turn, in_turn_after
from bnprobe.observe.recording.output import Output
from bnprobe.observe.recording.passing import passing
from bnprobe.observe.recording.step_keeper import StepKeeper
from bnprobe.observe.resuming.beginning import Joining
from bnprobe.observe.steps.step_clock import StepClock
from bnprobe.torch_private import in_backward


class TrainingEvents:
    """Hears of a training.

    Args:
        options: what to record.
        output: the run file, and what belongs to it.

    Attributes:
        gate: lets events through.
        clock: what a step is.
        attached: what tells of the training, and what looks at it.
        keeper: the open step.
        companions: what goes along with the recording.
    """

    def __init__(self, options: RecordOptions, output: Output) -> None:
        watch = Stopwatch()
        self.gate = output.gate
        self.clock = StepClock(output.beginning.first)
        self.attached = Attached(self, options, output, self.clock, watch)
        self.companions = Companions(
            list(companions_of(options, output, lambda: self.clock.number, self.settle, self.attached.own_optimizers))
        )
        self.keeper = StepKeeper(options, output, self.attached, self.clock, self.companions, watch)
        self.passing = passing(options, output, self.attached, self.keeper, self.clock, self.companions, watch)
        if self.passing is not None:
            self.gate.before_event = self.passing.end
            self.attached.backward.passing = self.attached.optimizers.passing = self.passing
            self.attached.panel.evaluations.before_look = self.passing.end_here
        self._output = output
        self._joining = Joining(
            output.beginning,
            output.axes,
            output.writer,
            self.attached.own_optimizers,
            output.faults,
            self.keeper.renumber,
            output.notes.event,
        )

    @property
    def number(self) -> int:
        """Number of the open step."""
        self.end_passing()
        return self.keeper.step.number

    def settle(self) -> None:
        """Close the step whose update has happened, without waiting for the next one to begin."""
        with self.gate.thread.lock:
            self.end_passing()
            self.keeper.settle()

    def end_passing(self) -> None:
        """Make the steps that have passed by."""
        if self.passing is not None:
            with self.gate.thread.lock:
                self.passing.end()

    def begin_forward(self) -> bool:
        """A forward begins that the taps cannot see begin; return whether it is to be measured."""
        self.settle()
        return self.keeper.step.observed and not self.gate.is_shut

    # -- gradients ----------------------------------------------------------------------------------------------------

    @in_turn
    def on_backward(self, loss: torch.Tensor | float | None, scale: torch.Tensor | None, tensors: Any) -> None:
        """A backward has been called."""
        self._joining.join()
        optimizers = self.attached.optimizers
        if optimizers.stepping:
            optimizers.settle()
        self.keeper.follow(self.clock.backward_began())
        step = self.keeper.step
        self.companions.backward_begins(step.number)
        step.micro_steps = self.clock.micro_steps
        if optimizers.is_repeating:
            step.repeated_backwards += 1
        else:
            step.losses += (loss,)
        if scale is not None:
            step.scale = scale
        if not step.observed and step.modes is None:
            step.modes = self.attached.forward.modes_now()

    @in_turn
    def before_backward(self, losses: list[torch.Tensor], is_plain: Callable[[], bool], scale: torch.Tensor | None) -> None:
        """The script goes backward now; its graph is whole."""
        step, backward = self.keeper.step, Backward(losses, is_plain, scale)
        self.attached.panel.ask("before_backward", step, backward)
        self.attached.probes.before_backward(step.number, backward)

    @in_turn
    def on_inner_gradient(self, outputs: list[torch.Tensor], inputs: list[torch.Tensor]) -> None:
        """The script asks for a gradient that is to be part of its loss."""
        self.attached.panel.ask("before_inner_gradient", self.keeper.step, outputs, inputs)

    @in_turn_after
    def on_failed_backward(self) -> None:
        """The backward has raised."""
        step = self.keeper.step
        self.clock.backward_failed()
        step.micro_steps = self.clock.micro_steps
        if self.attached.optimizers.is_repeating:
            step.repeated_backwards -= 1
        else:
            step.losses = step.losses[:-1]
        self.attached.forward.drop_micro_step()

    @in_turn_after
    def after_backward(self, gradients: dict[int, torch.Tensor] | None) -> None:
        """A backward has run; ``gradients`` are those of ``torch.autograd.grad``, by id of the parameter."""
        attached = self.attached
        if self.keeper.is_measuring:
            with self._output.faults.guard("the end of a backward"):
                attached.compiled.end_micro_step()
                attached.forward.end_micro_step()
        attached.compiled_steps.backward_ended()
        events = self.clock.backward_ended(has_optimizer=bool(attached.optimizers.constructed))
        if not events and self.clock.is_moved:  # optimizers stepped inside the backward
            self.keeper.check_limit()
        self.keeper.follow(events, gradients)

    def on_clip(self, norm: torch.Tensor | float, limit: float | None) -> None:
        """Gradients are clipped by their norm."""
        if self.passing is None or not self.passing.clip(norm, limit):
            self._note_clip(norm, limit)

    @in_turn_after
    def _note_clip(self, norm: torch.Tensor | float, limit: float | None) -> None:
        self.keeper.step.clip_norm, self.keeper.step.clip_limit = norm, limit

    # -- updates ------------------------------------------------------------------------------------------------------

    @in_turn
    def before_update(self, optimizer: Optimizer) -> None:
        """An optimizer is about to move its weights."""
        self._joining.join()
        self.attached.optimizers.stepped_here.add(optimizer)
        self.companions.update_begins()
        self.keeper.follow(self.clock.update_began(self.attached.optimizers.number_of(optimizer), inside_backward=in_backward()))
        self.attached.panel.ask("before_update", self.keeper.step, Update(optimizer))
        self.attached.probes.before_update(optimizer)
        self.companions.before_update(optimizer)

    @in_turn_after
    def after_update(self, optimizer: Optimizer) -> None:
        """An optimizer has moved its weights."""
        step = self.keeper.step
        self.attached.panel.ask("after_update", step, Update(optimizer))
        self._output.unseen.note_update(optimizer, self._output.axes, was_observed=step.observed)
        self.attached.probes.after_update(optimizer, step.number)
        self.keeper.follow(self.clock.update_ended(self.attached.optimizers.number_of(optimizer)))
        self.companions.after_update()
        if self.passing is not None:
            self.passing.begin(optimizer)

    @in_turn_after
    def on_skipped(self, optimizer: Optimizer) -> None:
        """A gradient scaler found non-finite gradients and did not call the optimizer."""
        step = self.keeper.step
        self._joining.join()
        self.attached.panel.ask("skipped_update", step, Update(optimizer))
        step.skipped = True
        self._end_without_update(optimizer, "a gradient scaler skipped the update")

    @in_turn_after
    def on_unmeasured(self, optimizer: Optimizer) -> None:
        """An optimizer has moved its weights inside compiled code, and that was not expected: how far is not known."""
        self._joining.join(moved=True)
        self.attached.optimizers.stepped_here.add(optimizer)
        self.keeper.follow(self.clock.update_began(self.attached.optimizers.number_of(optimizer), inside_backward=False))
        self.attached.panel.ask("skipped_update", self.keeper.step, Update(optimizer))
        why = "the optimizer stepped inside compiled code"
        self._output.writer.add_coverage("how far the weights moved", f"{why}, where nothing had measured them before")
        self._end_without_update(optimizer, why)

    def _end_without_update(self, optimizer: Optimizer, why: str) -> None:
        """The weights have not moved, or nobody has seen how far."""
        self.attached.probes.no_update(self.keeper.step.number, optimizer, why)
        self.keeper.follow(self.clock.update_ended(self.attached.optimizers.number_of(optimizer)))
