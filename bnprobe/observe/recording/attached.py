"""Everything of a recording that hangs on torch: what tells of the training, and what looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from bnprobe.observe.attaching.autograd_patch import BackwardTaps
from bnprobe.observe.attaching.optimizers import Optimizer, OptimizerTaps
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.attaching.recursion import RecursionRoom
from bnprobe.observe.attaching.swaps import Swaps
from bnprobe.observe.attaching.tracebacks import QuietTracebacks
from bnprobe.observe.companion import Companion
from bnprobe.observe.compiled.modules import CompiledModules
from bnprobe.observe.compiled.steps import CompiledSteps
from bnprobe.observe.instruments.clipping import Clipping
from bnprobe.observe.instruments.instrument import Stopwatch, Surroundings
from bnprobe.observe.instruments.panel import Panel
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.probes.probes import Probes
from bnprobe.observe.recording.output import Output
from bnprobe.observe.signals.forward_hook import ForwardTaps
from bnprobe.observe.steps.step_clock import StepClock


class Listener(Protocol):
    """Whom the taps tell what the training does."""

    def settle(self) -> None:
        """A forward with gradient begins: the step whose update has happened is over."""

    def begin_forward(self) -> bool:
        """A forward begins that the taps cannot see begin; return whether it is to be measured."""

    def on_backward(self, loss: torch.Tensor | float | None, scale: torch.Tensor | None, tensors: Any) -> None:
        """A backward has been called."""

    def before_backward(self, losses: list[torch.Tensor], is_plain: Callable[[], bool], scale: torch.Tensor | None) -> None:
        """The script goes backward now; its graph is whole."""

    def on_inner_gradient(self, outputs: list[torch.Tensor], inputs: list[torch.Tensor]) -> None:
        """The script asks for a gradient that is to be part of its loss."""

    def on_failed_backward(self) -> None:
        """The backward has raised."""

    def after_backward(self, gradients: dict[int, torch.Tensor] | None) -> None:
        """A backward has run; ``gradients`` are those of ``torch.autograd.grad``, by id of the parameter."""

    def before_update(self, optimizer: Optimizer) -> None:
        """An optimizer is about to move its weights."""

    def after_update(self, optimizer: Optimizer) -> None:
        """An optimizer has moved its weights."""

    def on_skipped(self, optimizer: Optimizer) -> None:
        """A gradient scaler found non-finite gradients and did not call the optimizer."""

    def on_unmeasured(self, optimizer: Optimizer) -> None:
        """An optimizer has moved its weights inside compiled code, and that was not expected: how far is not known."""

    def on_clip(self, norm: torch.Tensor | float, limit: float | None) -> None:
        """Gradients are clipped by their norm."""


class Attached:
    """Hangs on torch between ``attach`` and ``detach``.

    Args:
        listener: told what the training does.
        options: what to record.
        output: the run file, and what belongs to it.
        clock: what a step is.
        watch: takes the time of the instruments.

    Attributes:
        forward: tells of forwards, and measures their signals.
        optimizers: tell of updates.
        panel: the instruments.
        probes: looks beyond a step.
        compiled: modules that are compiled.
        compiled_steps: optimizers that step inside compiled code.
        backward: tells of backwards.
    """

    def __init__(self, listener: Listener, options: RecordOptions, output: Output, clock: StepClock, watch: Stopwatch) -> None:
        writer, tree, faults = output.writer, output.tree, output.faults
        self._gate = output.gate
        self._unseen = output.unseen
        self._tree = tree
        self._patches = Patches()
        self._recursion = RecursionRoom()
        self.forward = ForwardTaps(tree, faults, listener.settle, writer.add_coverage)
        self.forward.thread = self._gate.thread
        self.optimizers = OptimizerTaps(listener.before_update, listener.after_update, listener.on_skipped)
        around = Surroundings(
            output.axes, output.schedule, tree, clock, writer, self.own_optimizers, output.notes.warn, faults, self.forward.is_aside
        )
        self.panel = Panel(around, faults, watch)
        self.probes = Probes(
            options,
            writer,
            output.schedule,
            tree,
            faults,
            self.own_optimizers,
            self.optimizers.number_of,
            listener.settle,
            self._muted,
            output.notes.say,
        )
        if options.line_probe_channels or options.audit is not None or "update" in options.figures:
            self.forward.on_signal = self.probes.line.note_signal
        self.compiled_steps = CompiledSteps(self.optimizers, listener.before_update, listener.after_update, listener.on_unmeasured)
        self.compiled = CompiledModules(
            self.forward, faults, listener.begin_forward, writer.add_coverage, self.probes.line, self.compiled_steps
        )
        self._clipping = Clipping(listener.on_clip, writer.add_coverage)
        self.backward = BackwardTaps(
            listener.on_backward,
            listener.after_backward,
            listener.before_backward,
            listener.on_failed_backward,
            writer.add_coverage,
            self._mute_gradients,
            listener.on_inner_gradient,
        )

    def expect(self, model: torch.nn.Module, optimizers: Sequence[Optimizer]) -> None:
        """Know what was built before: a call of a part is one of the model, and no optimizer's weights move by hand."""
        self._tree.learn(model)
        for optimizer in optimizers:
            self.optimizers.constructed.add(optimizer)

    def take_over(self, other: Attached) -> None:
        """Know what another one knew."""
        for model in other._tree.roots():
            self._tree.learn(model)
        for optimizer in other.optimizers.constructed:
            self.optimizers.constructed.add(optimizer)

    def attach(self, companions: Companion) -> None:
        """Attach to torch; ``companions`` come last."""
        watching = (self._tree, self.compiled, self.backward, self._clipping, self.panel.evaluations, self.optimizers)
        for part in (*watching, self.probes, self._unseen, self._recursion, Swaps(), QuietTracebacks(), companions):
            part.attach(self._patches)

    def detach(self, companions: Companion) -> None:
        """Leave torch alone."""
        for part in (companions, self.probes, self.forward, self.panel.evaluations):
            part.detach()
        self._patches.undo()
        self._recursion.detach()

    def own_optimizers(self) -> list[Optimizer]:
        """Return the optimizers whose weights are ours to read: another thread's may be in the middle of its backward."""
        is_alone, stepped = self._gate.thread.is_alone, self.optimizers.stepped_here
        return [one for one in self.optimizers.constructed if is_alone or one in stepped]

    @contextmanager
    def _muted(self) -> Iterator[None]:
        """Measure nothing of what runs now: it is no part of the training."""
        was_muted, self.forward.muted = self.forward.muted, True
        try:
            yield
        finally:
            self.forward.muted = was_muted

    def _mute_gradients(self, change: int) -> None:
        self.forward.gradients_muted += change
        self.probes.mute_gradients(change)
