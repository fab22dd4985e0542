"""Adaptive gradient clipping: no unit's gradient is large beside its weights.

Brock, De, Smith, Simonyan 2021, "High-Performance Large-Scale Image Recognition Without Normalization", arXiv 2102.06171, equation 3.
For each output unit i of a weight,

    G_i <- lambda max(||W_i||, eps) / ||G_i|| G_i    where  ||G_i|| / max(||W_i||, eps) > lambda

with lambda = 0.01 and eps = 1e-3. Vectors (biases, gains) count as one unit. The last linear layer is left alone, as
published; ours: that is each linear layer whose output is an answer (``answers``), wherever it stands.
"""

from __future__ import annotations

import torch
from torch import nn

from bnprobe.module_parts import parameters
from bnprobe.remedies.answers import linear_answers
from bnprobe.remedies.linear_layers import is_linear, unit_axis
from bnprobe.remedies.remedy import Remedy, Step, Touched, elements_of
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import AdaptiveClippingSettings


class AdaptiveClipping(Remedy[AdaptiveClippingSettings]):
    """The remedy ``agc``."""

    acts_in_steps = True

    def __init__(self, settings: AdaptiveClippingSettings | None = None) -> None:
        super().__init__(settings)
        self._parameters: list[nn.Parameter] = []
        self._units: dict[int, int] = {}

    def prepare(self, scope: Scope) -> Touched:
        """Note what will be clipped."""
        spared = set() if self.settings.last else {id(p) for one in linear_answers(scope) for p in parameters(one)}
        clipped = [(name, parameter) for name, parameter in scope.parameters() if id(parameter) not in spared]
        if not clipped:
            raise self.nothing("no parameter is trained but those of linear layers that give the answer", "agc:last clips that, too")
        self._parameters = [parameter for _, parameter in clipped]
        self._units = {id(one.get_parameter("weight")): unit_axis(one) for _, one in scope.weight_layers() if is_linear(one)}
        return Touched("parameters", tuple(name for name, _ in clipped))

    def before_step(self, step: Step) -> None:
        """Clip unit by unit."""
        for parameter in step.mine(self._parameters):
            if parameter.grad is None:
                continue
            units: torch.Tensor = parameter
            gradient = parameter.grad
            if gradient.layout is torch.sparse_coo:  # of an embedding: the rows that it names
                elements_of(parameter)
                gradient = parameter.grad
                units, gradient = parameter.detach()[gradient._indices()[0]], gradient._values()
            axis = self._units.get(id(parameter), 0)
            limit = unit_norms(units, axis).clamp_(min=self.settings.eps).mul_(self.settings.clipping * step.scale)
            # Where the gradient is zero the ratio is infinite, and its minimum with 1 is 1.
            gradient.mul_((limit / unit_norms(gradient, axis)).clamp_(max=1.0))


def unit_norms(tensor: torch.Tensor, units: int = 0) -> torch.Tensor:
    """Return the norm of each unit, in a shape that broadcasts: over all axes but that of the units, or over a vector as a whole."""
    axes = [axis for axis in range(tensor.dim()) if axis != units] if tensor.dim() > 1 else None
    norms: torch.Tensor = torch.linalg.vector_norm(tensor.detach(), dim=axes, keepdim=tensor.dim() > 1)
    return norms
