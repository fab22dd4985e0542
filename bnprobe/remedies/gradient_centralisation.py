"""Gradient centralisation: the mean over a whole filter is taken out of its gradient.

Yong, Huang, Hua, Zhang 2020, arXiv 2004.01461:  g[o] <- g[o] - mean g[o], over all axes but the first.
Under SGD it keeps the sum of a filter's weights, and so removes what is common to all inputs and positions; mean shift rejection removes
it input by input.
"""

from __future__ import annotations

import torch
from torch import nn

from bnprobe.remedies.remedy import Remedy, Step, Touched
from bnprobe.remedies.scope import KINDS, OTHER_KIND, Scope
from bnprobe.remedies.settings import GradientCentralisationSettings


class GradientCentralisation(Remedy[GradientCentralisationSettings]):
    """The remedy ``gradient-centralisation``."""

    acts_in_steps = True

    def __init__(self, settings: GradientCentralisationSettings | None = None) -> None:
        super().__init__(settings)
        self._weights: list[nn.Parameter] = []

    def prepare(self, scope: Scope) -> Touched:
        """Note the weights."""
        layers = scope.weight_layers(self.settings.linear)
        if not layers:
            raise self.nothing("no trained weights of convolutions or linear layers", KINDS)
        self._weights = [layer.get_parameter("weight") for _, layer in layers]
        left = scope.other_matrices(layer for _, layer in layers)
        return Touched("weights", tuple(name for name, _ in layers), left={OTHER_KIND: left})

    def before_step(self, step: Step) -> None:
        """Centre the gradients."""
        for weight in step.mine(self._weights):
            if weight.grad is not None:
                weight.grad.sub_(filter_mean(weight.grad))


def filter_mean(tensor: torch.Tensor) -> torch.Tensor:
    """Return the mean of every filter, over all axes but the first, in a shape that broadcasts."""
    return tensor.mean(tuple(range(1, tensor.dim())), keepdim=True)
