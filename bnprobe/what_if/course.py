"""The course of a rerun: its loss at each step, where it diverged, and whether it is the recorded one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from bnprobe.divergence import Diverged, Divergence
from bnprobe.observe.probes.replay import valued
from bnprobe.observe.probes.tape import Slot
from bnprobe.what_if.program import Backward, Program


@dataclass
class Course:
    """What became of a rerun.

    Attributes:
        losses: one for each step that was begun, as the script's own loss is recorded.
        skipped: whether a gradient scaler let the update out.
        diverged: that it diverged, if it did.
        values: of each backward's losses, in order; kept where asked for.
        leaves: the weights at the end.
    """

    losses: list[float] = field(default_factory=list)
    skipped: list[bool] = field(default_factory=list)
    diverged: Diverged | None = None
    values: list[list[torch.Tensor]] = field(default_factory=list)


class Steps:
    """Adds losses up by step, and asks after each whether the training has diverged."""

    def __init__(self, course: Course, first: int, on_step: Callable[[int, float], None] | None) -> None:
        self._course = course
        self._step = first
        self._losses: list[float] = []
        self._watched = Divergence()
        self._on_step = on_step

    def descend(self, item: Backward, values: Mapping[Slot, Any], keep: bool) -> bool:
        """Take the loss of a backward; return whether the step before has diverged."""
        if not item.losses:
            return False
        if item.step != self._step:
            self.close()
            self._step = item.step
            if self._course.diverged is not None:
                return True
        found = [values[slot].detach() for slot in item.losses]
        if item.scale is not None:
            found = [value / valued(item.scale, values) for value in found]
        if keep:
            self._course.values.append([value.clone() for value in found])
        self._losses.append(float(found[0]) if len(found) == 1 else float(torch.stack([value.reshape(()) for value in found]).sum()))
        return False

    def lose(self) -> None:
        """The training has been lost before the step's loss was descended."""
        self._losses = [math.nan]
        self.close()

    def close(self) -> None:
        """The step is over."""
        if not self._losses:
            return
        loss = sum(self._losses) if len(self._losses) > 1 else self._losses[0]
        self._losses = []
        course = self._course
        course.losses.append(loss)
        course.skipped += [False] * (len(course.losses) - len(course.skipped))
        course.diverged = self._watched.take(self._step, loss, course.skipped[len(course.losses) - 1])
        if self._on_step is not None:
            self._on_step(self._step, loss)


def losses_differ(program: Program, course: Course) -> tuple[int, float, float] | None:
    """Compare a rerun at the script's own rates with the recorded training, bit for bit.

    Returns:
        The step, the recorded loss and the one of the rerun where they part; None where they are equal.
    """
    for item, found in zip(program.backwards, course.values, strict=False):
        for recorded, value in zip(item.recorded, found, strict=True):
            if not _equal(recorded, value):
                return item.step, float(recorded), float(value)
    return None


def _equal(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a, b) or (math.isnan(float(a)) and math.isnan(float(b)))
