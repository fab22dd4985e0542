"""The looks beyond a step that were asked for: line probes and curvature. Without any, nothing here costs a step anything."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.axes.axes import Axes
from bnprobe.observe.faults import Faults
from bnprobe.observe.instruments.instrument import Backward
from bnprobe.observe.modules.tree import ModuleTree
from bnprobe.observe.options import RecordOptions
from bnprobe.observe.probes.audit import Audit
from bnprobe.observe.probes.curvature import CurvatureProbes
from bnprobe.observe.probes.figure_steps import FigureSteps
from bnprobe.observe.probes.line_probing import LineProbing
from bnprobe.observe.probes.paper_figures import PaperFigures
from bnprobe.observe.schedule.schedule import Schedule
from bnprobe.store.writer import RunWriter
from bnprobe.torch_private import user_modes_disabled

#: Steps whose loss along the update is drawn: mini-batches 1, 4 and 7 of Bjorck et al. 2018 (1806.02375), Fig 3.
PAPER_BATCHES = (0, 3, 6)
#: The first step that is audited where nothing else is said: before it running statistics have hardly moved from where they were made.
FIRST_AUDIT = 5


class Probes:
    """Probes the steps it is told to.

    Args:
        options: which probes, and how often.
        writer: where they go.
        schedule: which steps a line probe chooses by itself.
        tree: the modules.
        faults: where a fault goes.
        optimizers: those of the recorded training.
        number_of: what tells each of them from all others.
        on_forward: called when a forward with gradient begins: the step before it is over.
        muted: a context in which nothing that runs is measured.
        say: told what a probe costs.

    Attributes:
        line: the line probes, which compiled modules and the forward taps know.
        is_wanted: whether any probe was asked for.
    """

    def __init__(
        self,
        options: RecordOptions,
        writer: RunWriter,
        schedule: Schedule,
        tree: ModuleTree,
        faults: Faults,
        optimizers: Callable[[], list[Optimizer]],
        number_of: Callable[[Optimizer], int],
        on_forward: Callable[[], None],
        muted: Callable[[], AbstractContextManager[None]],
        say: Callable[[str], None],
    ) -> None:
        self._audits = options.audit
        self._figures_at = FigureSteps(options.figures_at if options.figures else (), schedule)
        self._follows_figures = bool({"line", "update"} & set(options.figures))
        if options.figures:
            writer.set_attribute("figures", ",".join(options.figures))
        measured = frozenset(options.figures) & {"tails", "logits", "coherence", "noise", "jacobian"}
        self._figures = PaperFigures(measured, writer, faults, muted, tree.roots) if measured else None
        audit = Audit(writer, lambda: self._step) if options.audit is not None else None
        self._step = 0
        self.line = LineProbing(
            writer,
            tree,
            faults,
            on_forward,
            say,
            optimizers,
            options.line_probe_channels or "update" in options.figures,
            audit,
            options.figures,
        )
        self.is_wanted = (
            options.line_probe is not None or options.curvature is not None or options.audit is not None or bool(options.figures)
        )
        self._faults = faults
        self._schedule = schedule
        self._stride = options.line_probe
        self._curvature: CurvatureProbes | None = None
        if options.curvature:
            self._curvature = CurvatureProbes(
                every=options.curvature,
                kernels=options.curvature_kernels,
                may_rerun=options.curvature_reruns,
                muted=muted,
                roots=tree.roots,
                optimizers=optimizers,
                number_of=number_of,
                on_row=writer.append_curvature,
                on_gap=writer.add_coverage,
                on_event=writer.add_event,
            )

    def attach(self, patches: Patches) -> None:
        """Watch what a probe has to keep out of the script's sight."""
        if self._curvature is not None:
            self._curvature.attach(patches)
        if self._figures is not None:
            self._figures.attach(patches)

    def detach(self) -> None:
        """Leave torch alone."""
        self.line.detach()
        if self._curvature is not None:
            self._curvature.detach()
        if self._figures is not None:
            self._figures.detach()

    def begin_step(self) -> None:
        """A step begins, with what was said of it by ``prepare``."""
        self.line.begin_step()
        if self._figures is not None:
            self._figures.begin_step()

    def mute_gradients(self, change: int) -> None:
        """Somebody else asks for gradients (a penalty, several at once), or has done so."""
        if self._figures is not None:
            self._figures.gradients_muted += change

    def wants(self, step: int) -> bool:
        """Whether a step's forward has to be seen for a line probe."""
        return self.is_wanted and (self._follows(step) or self._is_audited(step) or step in self._figures_at)

    def _follows(self, step: int) -> bool:
        is_drawn = self._follows_figures and (step in self._figures_at or step in PAPER_BATCHES)
        return is_drawn or self._schedule.is_probed(step, self._stride)

    def _is_audited(self, step: int) -> bool:
        if self._audits == "auto":
            return step >= FIRST_AUDIT and self._schedule.is_snapshot(step)
        return self._audits is not None and step % self._audits == 0

    def prepare(self, step: int, is_probed: bool) -> None:
        """A step comes next."""
        if not self.is_wanted:
            return
        if self._curvature is not None:
            with self._faults.guard("kernels for the curvature"):
                self._curvature.prepare(step)
        if self._figures is not None:
            self._figures.prepare(step in self._figures_at)
        self.line.prepare(is_probed and self._follows(step), is_probed and self._is_audited(step))

    def before_backward(self, step: int, backward: Backward) -> None:
        """The script goes backward now; its graph is whole."""
        if not self.is_wanted:
            return
        self._step = step
        self.line.before_backward(backward.losses, backward.scale)
        if self._figures is not None:
            self._figures.before_backward(backward.scale)
        if self._curvature is not None:
            with self._faults.guard("curvature"):
                self._curvature.before_backward(step, backward.losses, backward.is_plain, backward.scale)

    def before_update(self, optimizer: Optimizer) -> None:
        """Gradients are ready and weights have not moved."""
        if self.is_wanted:
            self.line.before_update(optimizer)
            if self._figures is not None:
                self._figures.before_update(optimizer)

    def after_update(self, optimizer: Optimizer, step: int) -> None:
        """The weights have moved."""
        if self.is_wanted:
            self.line.after_update(optimizer, step)

    def no_update(self, step: int, optimizer: torch.optim.Optimizer | None, reason: str) -> None:
        """The step ends without an update that could be followed."""
        self.line.no_update(step, type(optimizer).__name__ if optimizer is not None else "", reason)

    def end_step(self, moved: frozenset[int]) -> float:
        """The step is over.

        Args:
            moved: numbers of the optimizers that moved its weights.

        Returns:
            Seconds that its probes have taken.
        """
        self.begin_step()
        seconds, self.line.seconds = self.line.seconds, 0.0
        if self._curvature is not None:
            seconds += self._curvature.seconds
            self._curvature.end_step(moved)
        if self._figures is not None:
            seconds += self._figures.seconds
            self._figures.seconds = 0.0
        return seconds

    def deliver(self, axes: Axes, step: int) -> Any:
        """Write what was found at the step that has been closed: its layers have their places now."""
        if self.is_wanted:
            with user_modes_disabled():  # the forward of the next step may have begun under some
                self.line.deliver(axes)
                if self._figures is not None:
                    self._figures.deliver(axes, step)
