"""Sign coherence of a weight's gradient: how far the contributions of samples and places agree before they are added up.

Bjorck, Gomes, Selman, Weinberger 2018, "Understanding Batch Normalization", arXiv 1806.02375, Table 1. An entry of a weight's gradient is a
sum over samples and places, sum_bxy d with d = delta a; the coherence is |sum d| / sum |d|, both added up over the entries. As
|d| = |delta| |a|, the denominator is the weight gradient that |a| and |delta| would have: one more product, nothing kept for each sample.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from bnprobe.torch_private import ConvNd


class Coherence(NamedTuple):
    """Both sums of one weight, over its entries.

    Attributes:
        summed: sum over entries of |sum_bxy d|.
        absolute: sum over entries of sum_bxy |d|.
    """

    summed: float
    absolute: float


def sign_coherence(module: nn.Module, signal: torch.Tensor, delta: torch.Tensor) -> Coherence | None:
    """Measure the coherence of one call's contribution to the weight gradient of a convolution or a linear layer.

    Args:
        module: the layer.
        signal: what it received.
        delta: gradient of the loss by what it gave out.

    Returns:
        None for a layer of another kind, or one that pads by copying.
    """
    with torch.no_grad():
        if isinstance(module, nn.Linear):
            signal, delta = (one.reshape(-1, one.shape[-1]) for one in (signal, delta))
            gradients = [delta.t() @ signal, delta.abs().t() @ signal.abs()]
        elif isinstance(module, ConvNd) and module.padding_mode == "zeros" and not isinstance(module.padding, str):
            if signal.dim() != len(module.kernel_size) + 2:
                return None
            gradients = [weight_gradient(module, signal, delta), weight_gradient(module, signal.abs(), delta.abs())]
        else:
            return None
        summed, absolute = (gradient.double().abs().sum() for gradient in gradients)
    return Coherence(float(summed), float(absolute))


def weight_gradient(
    module: ConvNd, signal: torch.Tensor, delta: torch.Tensor, shape: tuple[int, ...] | None = None, groups: int | None = None
) -> torch.Tensor:
    """Return the gradient of a convolution's weight; of another shape and number of groups where those are given."""
    gradients = torch.ops.aten.convolution_backward(
        delta,
        signal,
        # Of the weight no more than its shape counts: to look at it may be to compute it.
        signal.new_empty(shape or weight_shape(module)),
        None,
        list(module.stride),
        list(module.padding),
        list(module.dilation),
        module.transposed,
        list(module.output_padding),
        groups or module.groups,
        [False, True, False],
    )
    result: torch.Tensor = gradients[1]
    return result


def weight_shape(module: ConvNd) -> tuple[int, ...]:
    """Return the shape of a convolution's weight without a look at it."""
    inside, outside = module.in_channels, module.out_channels
    channels = (inside, outside // module.groups) if module.transposed else (outside, inside // module.groups)
    return (*channels, *module.kernel_size)
