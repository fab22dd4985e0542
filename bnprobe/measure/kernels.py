"""The common mode of a convolution's kernels: how much of a constant input each of them lets through.

For a weight W[o, i, y, x] with K positions y, x:

    slice mean  W_bar[o, i] = mean_{y,x} W[o, i]
    CMRR        ||W - W_bar|| / ||W_bar||            common-mode rejection ratio, infinite for kernels without a mean
    DC gain     max_{o, i} |sum_{y,x} W[o, i]|       what a constant 1 at one input channel becomes in the interior

A kernel larger than 1x1 whose slice means are zero rejects whatever is constant in space, exactly but for the borders that zero padding
makes (Ruff, Beck, Bach 2019, arXiv 1911.13173). A 1x1 kernel has one position and so nothing but a mean.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch


class KernelCommonMode(NamedTuple):
    """Common mode of one convolution.

    Attributes:
        slice_mean: worst |W_bar[o, i]|.
        rejection: CMRR, dimensionless.
        gain: worst DC gain, dimensionless.
    """

    slice_mean: float
    rejection: float
    gain: float


@torch.no_grad()
def kernel_common_mode(weight: torch.Tensor) -> KernelCommonMode:
    """Measure a kernel.

    Args:
        weight: (O, I, *K), at least three axes; any dtype, summed in float64.

    Returns:
        The three numbers; NaN where the weight is not finite.

    Raises:
        ValueError: the weight has no spatial axes.

    >>> kernel_common_mode(torch.tensor([[[1.0, 1.0, -3.0, 5.0]]]))
    KernelCommonMode(slice_mean=1.0, rejection=2.8284271247461903, gain=4.0)
    """
    if weight.dim() < 3:
        raise ValueError(f"a weight of shape {tuple(weight.shape)} has no spatial axes; expected (O, I, *K)")
    slices = weight.detach().double().flatten(2)
    means = slices.mean(2, keepdim=True)
    common = float(torch.linalg.vector_norm(means.expand_as(slices)))
    differential = float(torch.linalg.vector_norm(slices - means))
    worst = float(means.abs().max())
    rejection = differential / common if common else (math.nan if math.isnan(common) else math.inf)
    return KernelCommonMode(worst, rejection, worst * slices.shape[2])
