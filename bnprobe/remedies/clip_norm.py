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

    def look(self, scope: Scope) -> tuple[str, ...]:
        """Return the names of what is trained."""
        names = tuple(name for name, _ in scope.parameters())
        if not names:
            raise self.nothing("no parameter is trained")
        return names

    def prepare(self, scope: Scope) -> Touched:
        """Note what will be clipped."""
        return Touched("parameters", self.look(scope))

    def before_step(self, step: Step) -> None:
        """Clip the gradients of one optimizer together."""
        limit = self.settings.max * float(step.scale)
        if any(p.grad is not None and p.grad.layout is not torch.strided for p in step.with_gradient()):
            _clip_elements(step.gradients(), limit)  # torch's takes no sparse gradients
        else:
            # Looked up at each call, so that a recording sees this clipping as it sees the script's own.
            torch.nn.utils.clip_grad_norm_(step.with_gradient(), limit)


def _clip_elements(gradients: list[torch.Tensor], limit: float) -> None:
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(one).to(gradients[0].device) for one in gradients]))
    factor = (limit / (norm + 1e-6)).clamp_(max=1.0)  # torch's own constant
    for one in gradients:
        one.mul_(factor.to(one.device))
