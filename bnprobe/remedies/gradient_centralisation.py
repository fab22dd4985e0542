"""Gradient centralisation: the mean over a whole filter is taken out of its gradient.

Yong, Huang, Hua, Zhang 2020, arXiv 2004.01461:  g[o] <- g[o] - mean g[o], over all axes but the first, as published; but for linear
layers that keep their weight as (inputs, units).
Under SGD it keeps the sum of a filter's weights, and so removes what is common to all inputs and positions; mean shift rejection removes
it input by input.
"""

from __future__ import annotations

import torch
from torch import nn

from bnprobe.remedies.linear_layers import is_linear, unit_axis
from bnprobe.remedies.remedy import Remedy, Step, Touched
from bnprobe.remedies.scope import KINDS, OTHER_KIND, Scope
from bnprobe.remedies.settings import GradientCentralisationSettings


class GradientCentralisation(Remedy[GradientCentralisationSettings]):
    """The remedy ``gradient-centralisation``."""

    acts_in_steps = True

    def __init__(self, settings: GradientCentralisationSettings | None = None) -> None:
        super().__init__(settings)
        self._weights: list[tuple[nn.Parameter, int]] = []

    def prepare(self, scope: Scope) -> Touched:
        """Note the weights."""
        layers = scope.weight_layers(self.settings.linear)
        if not layers:
            raise self.nothing("no trained weights of convolutions or linear layers", KINDS)
        self._weights = [(layer.get_parameter("weight"), unit_axis(layer) if is_linear(layer) else 0) for _, layer in layers]
        left = scope.other_matrices(layer for _, layer in layers)
        return Touched("weights", tuple(name for name, _ in layers), left={OTHER_KIND: left})

    def before_step(self, step: Step) -> None:
        """Centre the gradients."""
        mine = {id(weight) for weight in step.mine(weight for weight, _ in self._weights)}
        for weight, units in self._weights:
            if id(weight) in mine and weight.grad is not None:
                weight.grad.sub_(filter_mean(weight.grad, units))


def filter_mean(tensor: torch.Tensor, units: int = 0) -> torch.Tensor:
    """Return the mean of every filter, over all axes but that of the units, in a shape that broadcasts."""
    return tensor.mean([axis for axis in range(tensor.dim()) if axis != units], keepdim=True)
