"""The common mode of a convolution's kernels: how much of a constant input each of them lets through.

For a weight W[o, i, y, x] with K positions y, x:

    slice mean  W_bar[o, i] = mean_{y,x} W[o, i]; the worst |W_bar[o, i]| over the rms of W
    CMRR        ||W - W_bar|| / ||W_bar||            common-mode rejection ratio, infinite for kernels without a mean

A kernel larger than 1x1 whose slice means are zero rejects whatever is constant in space, exactly but for the borders that zero padding
makes (Ruff, Beck, Bach 2019, arXiv 1911.13173). A 1x1 kernel has one position and so nothing but a mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


@torch.no_grad()
def kernel_common_mode(weights: Sequence[torch.Tensor | None]) -> torch.Tensor:
    """Measure kernels.

    Args:
        weights: (O, I, *K) each, at least three axes; any real dtypes and devices, summed in float64; None for what is no kernel.

    Returns:
        (2, len(weights)) in float64, on the device of the first weight: worst slice mean over the rms, and CMRR, both dimensionless; NaN
        where there is no weight, and where it is not finite or zero throughout.

    Raises:
        ValueError: a weight has no spatial axes.

    >>> kernel_common_mode([torch.tensor([[[1.0, 1.0, -3.0, 5.0]]]), None])
    tensor([[0.3333,    nan],
            [2.8284,    nan]], dtype=torch.float64)
    """
    device = next((weight.device for weight in weights if weight is not None), torch.device("cpu"))
    result = torch.full((2, len(weights)), torch.nan, dtype=torch.float64, device=device)
    for place, weight in enumerate(weights):
        if weight is not None:
            result[:, place] = _common_mode(weight).to(device)
    return result


def _common_mode(weight: torch.Tensor) -> torch.Tensor:
    if weight.dim() < 3:
        raise ValueError(f"a weight of shape {tuple(weight.shape)} has no spatial axes; expected (O, I, *K)")
    slices = weight.detach().double().flatten(2)
    means = slices.mean(2, keepdim=True)
    common = torch.linalg.vector_norm(means.expand_as(slices))
    differential = torch.linalg.vector_norm(slices - means)
    return torch.stack([means.abs().max() / slices.square().mean().sqrt(), differential / common])
