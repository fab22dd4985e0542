"""What a recording did not see, said at its end: a gap that is named misleads nobody."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

from bnprobe.identity import IdentityMap
from bnprobe.observe.attaching.optimizers import Optimizer, OptimizerTaps, trained_parameters
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.axes.axes import Axes
from bnprobe.observe.compiled.modules import CompiledModules
from bnprobe.observe.signals.forward_hook import ForwardTaps
from bnprobe.processes import IN_CHILDREN, LAUNCH, TELLING_SECONDS, read_rank, seconds_of_children, unrecorded_children
from bnprobe.store.writer import RunWriter


@dataclass
class _Updates:
    """The updates of one optimizer.

    Attributes:
        name: its name in the run file.
        first: the first layer that it trains; empty where it is not known.
        count: how many there were.
        measured: how many of them in measured steps.
    """

    name: str
    first: str
    count: int = 0
    measured: int = 0


class Unseen:
    """Gathers what is outside the recorder's sight.

    Args:
        writer: the run file.
    """

    def __init__(self, writer: RunWriter) -> None:
        self._writer = writer
        self._processes = 0
        self._group = 1
        self._seconds_before = seconds_of_children()
        self._updates: IdentityMap[Optimizer, _Updates] = IdentityMap()
        self._all_updates: list[_Updates] = []

    def attach(self, patches: Patches) -> None:
        """Count the processes that the script starts."""
        patches.replace(BaseProcess, "start", self._counting_processes)

    def note_group(self, size: int) -> None:
        """This process trains with others: ``size`` of them, itself included."""
        self._group = size

    def note_other_thread(self) -> None:
        """A second thread trains."""
        why = "the script trains in several threads at once; the one that went backward first is recorded"
        self._writer.add_coverage("training in another thread", why)

    def note_update(self, optimizer: Optimizer, axes: Axes, *, was_observed: bool, count: int = 1) -> None:
        """An optimizer has moved its weights, in a step that was measured or not, or in several."""
        known = self._updates.get(optimizer)
        if known is None:
            first = next((name for one in trained_parameters(optimizer.param_groups) if (name := axes.layer_of(one))), "")
            known = self._updates[optimizer] = _Updates(axes.optimizer_name(optimizer), first)
            self._all_updates.append(known)
        known.count += count
        known.measured += count * was_observed

    def write(self, steps: int, forward: ForwardTaps, compiled: CompiledModules, optimizers: OptimizerTaps, axes: Axes) -> None:
        """Write it down at the end of the run.

        Args:
            steps: how many were closed.
            forward: knows parts that ran without gradient, and whether calls were missed.
            compiled: knows how often compiled modules were repeated.
            optimizers: know steps that moved no number.
            axes: know parameters whose module was never called.
        """
        note = self._writer.add_coverage
        parts = forward.parts_without_gradient()
        for name in sorted(parts):
            note(name, "it runs without gradient inside forwards that train (torch.no_grad), and is not measured")
        if compiled.count:
            text = f"compiled modules were repeated eagerly {compiled.count} times to be measured; they round as eager code does"
            self._writer.add_event(steps, "schedule", text)
        never, otherwise = ([], []) if forward.missed_calls else axes.never_called()
        for name in never:
            note(name, "its parameters are trained, but it is never called as a module: by .forward(), through its weight, or not at all")
        for name in (one for one in otherwise if not any(f"{one}.".startswith(f"{part}.") for part in parts)):
            note(name, "its parameters are trained, but it only runs without gradient or in forward mode, where nothing is measured")
        if not steps and forward.ran_without_backward:
            why = "nothing went backward and no optimizer took a step: weights that move by another rule are not recorded"
            note("forwards without a backward", why)
        for one in self._all_updates:
            if not one.measured:
                why = "what it trains was trained wholly between two measured steps; `--every 1 --budget 1` measures every step"
                note(f"{one.name}{f', which trains {one.first} and others' if one.first else ''}", why, one.count)
        if optimizers.steps_of_shapes and not steps:
            why = "on the meta device and with fake tensors only shapes are computed: there is nothing to measure"
            note("optimizer steps without numbers", why, optimizers.steps_of_shapes)
        self._note_children(steps)

    def _note_children(self, steps: int) -> None:
        """Say that other processes may have trained: those that took time while this one made no step, and the other ranks of a group."""
        if LAUNCH in os.environ:
            return  # they are recorded
        seconds = seconds_of_children() - self._seconds_before
        if not steps and seconds > TELLING_SECONDS:
            self._writer.add_coverage(IN_CHILDREN, unrecorded_children(seconds, self._processes), max(self._processes, 1))
        size = self._group
        if steps and size > 1 and read_rank(os.environ).world_size == 1:
            why = f"this is one of {size} ranks, and no launcher said so; bnprobe record --children records those that a script starts"
            self._writer.add_coverage(IN_CHILDREN, why, size - 1)

    def _counting_processes(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def start(process: BaseProcess) -> Any:
            self._processes += 1
            return original(process)

        return start
