"""Gradient clipping by value: every element of the gradient is cut off at ±max.

Mikolov 2012, "Statistical Language Models Based on Neural Networks" (thesis), section 3.2.2.
Unlike clipping by norm it changes the gradient's direction.
"""

from __future__ import annotations

from bnprobe.remedies.remedy import Remedy, Step, Touched
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import ClipValueSettings


class ClipValue(Remedy[ClipValueSettings]):
    """The remedy ``clip-value``."""

    acts_in_steps = True

    def prepare(self, scope: Scope) -> Touched:
        """Note what will be clipped."""
        names = tuple(name for name, _ in scope.parameters())
        if not names:
            raise self.nothing("no parameter is trained")
        return Touched("parameters", names)

    def before_step(self, step: Step) -> None:
        """Cut the gradients off, real and imaginary parts apart."""
        limit = self.settings.max * float(step.scale)
        for gradient in step.gradients():
            gradient.clamp_(-limit, limit)
