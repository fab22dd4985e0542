"""Scaled weight standardisation: the network trains with filters of zero mean and fixed magnitude.

Qiao et al. 2019, arXiv 1903.10520; scaled as in Brock, De, Smith 2021, "Characterizing signal propagation to close the performance
gap in unnormalized ResNets", arXiv 2101.08692, equation 1:

    W_hat[o] = gain (W[o] - mean W[o]) / sqrt(fan_in (var W[o] + eps))

so ||W_hat[o]|| = gain. The gain that keeps the variance through a ReLU is sqrt(2 / (1 - 1/pi)) = 1.713. A parametrisation: the parameter
stays the same, and the gradient passes through the standardisation. torch refuses to pickle a parametrised model whole: save its
state_dict.
"""

from __future__ import annotations

import torch
from torch import nn

from bnprobe.remedies.remedy import Changes, Remedy, Touched
from bnprobe.remedies.scope import TRANSPOSED, Scope
from bnprobe.remedies.settings import WeightStandardisationSettings

EPS = 1e-8


class Standardise(nn.Module):
    """Parametrisation of a weight (O, I, *K).

    Args:
        gain: magnitude of every filter.
    """

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the weight that convolves."""
        variance, mean = torch.var_mean(weight, dim=tuple(range(1, weight.dim())), correction=0, keepdim=True)
        return (weight - mean) * (self.gain * torch.rsqrt(weight[0].numel() * (variance + EPS)))


class WeightStandardisation(Remedy[WeightStandardisationSettings]):
    """The remedy ``weight-standardisation``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Parametrise the kernels."""
        convolutions = [(name, one) for name, one in scope.convolutions() if self.settings.first or not scope.is_first(one)]
        # A filter of one weight is its own mean.
        single = tuple(name for name, one in convolutions if one.weight[0].numel() == 1)
        kernels = {name: one for name, one in convolutions if name not in single}
        if not kernels:
            raise self.nothing("no trained kernels of convolutions", "weight-norm and spectral-norm act on linear layers, too")
        for convolution in kernels.values():
            self.parametrise(convolution, Standardise(self.settings.gain))
        left = {"left as it is, for its filters have one weight each": single, TRANSPOSED: scope.transposed()}
        return Touched("convolution kernels", tuple(kernels), left=left)
