"""The gradient norm of steps that are not measured: it rises a step before the loss does, which calls for a look at the steps after."""

from __future__ import annotations

import math

import numpy as np
import torch

from bnprobe.measure.host_memory import copied
from bnprobe.measure.norms import total_norm
from bnprobe.measure.unchecked import unchecked
from bnprobe.numerals import number
from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.observe.instruments.instrument import Instrument, Surroundings, Update, at_measured_steps
from bnprobe.observe.schedule.alarm import Level
from bnprobe.observe.steps.open_step import OpenStep
from bnprobe.originals import Original
from bnprobe.torch_private import answers_itself, gradient_of, is_freed, is_summand

#: Norms above which numpy adds them up in less time than python.
MANY = 100


class GradientWatch(Instrument):
    """Looks at gradients where that waits for no accelerator.

    Args:
        around: what is there to look at.
    """

    every_step = True

    def __init__(self, around: Surroundings) -> None:
        self._schedule = around.schedule
        self._writer = around.writer
        self._warn = around.warn

    def before_update(self, step: OpenStep, update: Update) -> None:
        """Look, unless the step is measured anyway or its turn has not come."""
        if step.observed or update.optimizer is None or not self._schedule.watches_gradients():
            return
        started = Original.perf_counter()
        norm = _norm(update)
        if norm is not None:
            step.gradient_norm = self._hear(step, norm)
        self._note_look(started)

    def look_in_passing(self, optimizer: Optimizer, passed: int) -> float | None:
        """Look at the gradients of a step that passes by, as others before it have; None where its norm is not known, or could be news."""
        started = Original.perf_counter()
        norm = _norm(Update(optimizer))
        if norm is None or not self._schedule.hears_nothing(norm):
            return None
        self._note_look(started, passed)
        return norm

    def _note_look(self, started: float, passed: int | None = None) -> None:
        stride = self._schedule.watch_stride
        self._schedule.note_look(Original.perf_counter() - started, passed)
        if self._schedule.watch_stride != stride:
            self._writer.set_attribute("gradient_watch_stride", self._schedule.watch_stride)

    @at_measured_steps
    def after_update(self, step: OpenStep, update: Update) -> None:
        """Take the norm from what was measured, at a step that was. A gradient of NaN cannot be told from none there."""
        if update.optimizer is not None and step.updates and step.updates[-1].gradient.is_cpu:
            self._hear(step, together(step.updates[-1].gradient))

    def _hear(self, step: OpenStep, norm: float) -> float | None:
        """Tell the schedule a norm; return it without the factor that the optimizer itself takes out, None where that is not at hand."""
        scale = step.fused_scale if step.fused_scale is not None else 1.0
        if not isinstance(scale, float):
            return None
        norm /= scale
        level = self._schedule.note_gradient(norm)
        if level is Level.GRAVE:
            self._warn(step.number, f"the norm of the gradient is {number(norm)}, far beyond its noise")
        elif level is not Level.NOTHING and self._schedule.begins_a_look(step.number):
            text = f"the norm of the gradient is {number(norm)}, beyond its noise: a look at the next steps"
            self._writer.add_event(step.number, "schedule", text)
        return norm


def _norm(update: Update) -> float | None:
    """Return the norm of the gradients before an update; None where it is not at hand."""
    gradients = [gradient for parameter in update.parameters if (gradient := gradient_of(parameter)) is not None]
    is_known = all(one.is_cpu and not (answers_itself(one) or is_summand(one) or is_freed(one)) for one in gradients)
    return total_norm(gradients) if is_known else None


def together(norms: torch.Tensor) -> float:
    """Return the norm of parts whose norms lie on the host; those of NaN are left out."""
    if len(norms) > MANY:
        return _of_many(norms)
    return math.sqrt(sum(norm * norm for norm in norms.tolist() if not math.isnan(norm)))


@unchecked
def _of_many(norms: torch.Tensor) -> float:
    values = copied(norms, torch.float64)
    square = float(np.dot(values, values))
    return math.sqrt(square if not math.isnan(square) else float(np.nansum(values * values)))
