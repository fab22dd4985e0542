"""The noise of a weight's gradient: how far samples scatter about what they sum up to.

Bjorck, Gomes, Selman, Weinberger 2018, "Understanding Batch Normalization", arXiv 1806.02375: a step of rate a along the gradient of a
batch B is off the step along the gradient of the data by E||a grad L - a g_B||^2 <= (a^2 / |B|) C, C = E||grad l_i - grad L||^2.

The gradient g of a weight is a sum over samples, g = sum_n c_n. From the c_n of one batch of N

    C = N^2 / (N - 1) (sum_n ||c_n||^2 - ||g||^2 / N),

which for a loss that is a mean, grad l_n = N c_n, is the unbiased estimate 1 / (N - 1) sum_n ||grad l_n - g||^2. However a loss adds up its
samples, C / N is the variance of g as the optimizer gets it. Where batch norm couples samples, c_n is what a sample's own signal
contributes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import nn

from bnprobe.measure.sign_coherence import weight_gradient, weight_shape
from bnprobe.torch_private import ConvNd

#: Samples whose gradients are taken at a time: they are as many weights.
AT_A_TIME = 16
HALVES = (torch.float16, torch.bfloat16)


class Contributions(NamedTuple):
    """What the samples of one call contribute to a weight's gradient.

    Attributes:
        samples: number of them, N.
        apart: sum_n ||c_n||^2.
        together: ||sum_n c_n||^2.
    """

    samples: int
    apart: float
    together: float

    @property
    def noise(self) -> float:
        """C; NaN for a single sample, which scatters about nothing, and where a sum is not finite."""
        if self.samples < 2 or not math.isfinite(self.apart + self.together):
            return float("nan")
        return max(self.apart - self.together / self.samples, 0.0) * self.samples**2 / (self.samples - 1)


def contributions(module: nn.Module, signal: torch.Tensor, delta: torch.Tensor) -> Contributions | None:
    """Measure what each sample of one call contributes to the weight gradient of a convolution or a linear layer.

    Args:
        module: the layer.
        signal: what it received, samples along the first axis.
        delta: gradient of the loss by what it gave out.

    Returns:
        None for a layer of another kind, one that pads by copying, or a signal without an axis of samples.
    """
    with torch.no_grad():
        if signal.dtype in HALVES:  # a sum of products overflows in half precision, and does in a scaled loss
            signal, delta = signal.float(), delta.float()
        if isinstance(module, nn.Linear):
            return _of_linear(signal, delta) if signal.dim() > 1 else None
        if isinstance(module, ConvNd) and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            return _of_convolution(module, signal, delta) if signal.dim() == len(module.kernel_size) + 2 else None
    return None


def _of_linear(signal: torch.Tensor, delta: torch.Tensor) -> Contributions:
    samples = len(signal)
    if signal.dim() == 2:  # c_n is an outer product
        apart = float((delta.double().square().sum(1) * signal.double().square().sum(1)).sum())
    else:
        a, d = (one.reshape(samples, -1, one.shape[-1]) for one in (signal, delta))
        apart = sum(_square(d[n : n + AT_A_TIME].transpose(1, 2) @ a[n : n + AT_A_TIME]) for n in range(0, samples, AT_A_TIME))
    a, d = (one.reshape(-1, one.shape[-1]) for one in (signal, delta))
    return Contributions(samples, apart, _square(d.t() @ a))


def _of_convolution(module: ConvNd, signal: torch.Tensor, delta: torch.Tensor) -> Contributions:
    """Take several samples at a time as groups of channels of one: each group has a weight, and a gradient, of its own."""
    apart = 0.0
    outer, *inner = weight_shape(module)
    for n in range(0, len(signal), AT_A_TIME):
        a, d = signal[n : n + AT_A_TIME], delta[n : n + AT_A_TIME]
        count = len(a)
        a, d = a.reshape(1, -1, *a.shape[2:]), d.reshape(1, -1, *d.shape[2:])
        apart += _square(weight_gradient(module, a, d, (count * outer, *inner), count * module.groups))
    return Contributions(len(signal), apart, _square(weight_gradient(module, signal, delta)))


def _square(gradient: torch.Tensor) -> float:
    return float(gradient.double().square().sum())
