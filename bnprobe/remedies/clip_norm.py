"""Gradient clipping by global norm: g <- g min(1, max / ||g||), ||g|| over all parameters of the optimizer together.

Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent neural networks", arXiv 1211.5063.
torch's own function, at the last moment before the step: after accumulation, unscaling and whatever the script does itself.
"""

from __future__ import annotations

import torch

from bnprobe.remedies.remedy import Remedy, Step, Touched
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import ClipNormSettings


class ClipNorm(Remedy[ClipNormSettings]):
    """The remedy ``clip-norm``."""

    acts_in_steps = True

    def prepare(self, scope: Scope) -> Touched:
        """Note what will be clipped."""
        names = tuple(name for name, _ in scope.parameters())
        if not names:
            raise self.nothing("no parameter is trained")
        return Touched("parameters", names)

    def before_step(self, step: Step) -> None:
        """Clip the gradients of one optimizer together."""
        # Looked up at each call, so that a recording sees this clipping as it sees the script's own.
        torch.nn.utils.clip_grad_norm_(step.with_gradient(), self.settings.max * float(step.scale))
