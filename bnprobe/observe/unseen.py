"""What a recording did not see, said at its end: a gap that is named misleads nobody."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

from bnprobe.identity import IdentityMap
from bnprobe.observe.compiled import CompiledModules
from bnprobe.observe.optimizers import Optimizer, trained_parameters
from bnprobe.observe.patches import Patches
from bnprobe.observe.rows.axes import Axes
from bnprobe.observe.signals.forward_hook import ForwardTaps
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
        self._updates: IdentityMap[Optimizer, _Updates] = IdentityMap()
        self._all_updates: list[_Updates] = []

    def attach(self, patches: Patches) -> None:
        """Count the processes that the script starts."""
        patches.replace(BaseProcess, "start", self._counting_processes)

    def note_other_thread(self) -> None:
        """A second thread trains."""
        why = "the script trains in several threads at once; the one that went backward first is recorded"
        self._writer.add_coverage("training in another thread", why)

    def note_update(self, optimizer: Optimizer, axes: Axes, *, was_observed: bool) -> None:
        """An optimizer has moved its weights, in a step that was measured or not."""
        known = self._updates.get(optimizer)
        if known is None:
            first = next((name for one in trained_parameters(optimizer.param_groups) if (name := axes.layer_of(one))), "")
            known = self._updates[optimizer] = _Updates(axes.optimizer_name(optimizer), first)
            self._all_updates.append(known)
        known.count += 1
        known.measured += was_observed

    def write(self, steps: int, forward: ForwardTaps, compiled: CompiledModules, axes: Axes) -> None:
        """Write it down at the end of the run.

        Args:
            steps: how many were closed.
            forward: knows parts that ran without gradient, and whether calls were missed.
            compiled: knows how often compiled modules were repeated.
            axes: know parameters whose module was never called.
        """
        note = self._writer.add_coverage
        for name in sorted(forward.evaluations.parts_without_gradient):
            note(name, "it runs without gradient inside forwards that train (torch.no_grad), and is not measured")
        if compiled.count:
            text = f"compiled modules were repeated eagerly {compiled.count} times to be measured; they round as eager code does"
            self._writer.add_event(steps, "schedule", text)
        for name in () if forward.missed_calls else axes.never_called():
            note(name, "its parameters are trained, but it is never called as a module: by .forward(), through its weight, or not at all")
        for one in self._all_updates:
            if not one.measured:
                why = "what it trains was trained wholly between two measured steps; `--every 1 --budget 1` measures every step"
                note(f"{one.name}{f', which trains {one.first} and others' if one.first else ''}", why, one.count)
        if self._processes and not steps:
            why = "the script started processes of its own and did not train in this one; ranks started by torchrun are recorded"
            note("training inside child processes", why, self._processes)

    def _counting_processes(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def start(process: BaseProcess) -> Any:
            self._processes += 1
            return original(process)

        return start
