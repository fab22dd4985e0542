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
            gradients = [_convolution(module, signal, delta), _convolution(module, signal.abs(), delta.abs())]
        else:
            return None
        summed, absolute = (gradient.double().abs().sum() for gradient in gradients)
    return Coherence(float(summed), float(absolute))


def _convolution(module: ConvNd, signal: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    gradients = torch.ops.aten.convolution_backward(
        delta,
        signal,
        signal.new_empty(_weight_shape(module)),  # of the weight no more than its shape counts: to look at it may be to compute it
        None,
        list(module.stride),
        list(module.padding),
        list(module.dilation),
        module.transposed,
        list(module.output_padding),
        module.groups,
        [False, True, False],
    )
    result: torch.Tensor = gradients[1]
    return result


def _weight_shape(module: ConvNd) -> tuple[int, ...]:
    inside, outside = module.in_channels, module.out_channels
    channels = (inside, outside // module.groups) if module.transposed else (outside, inside // module.groups)
    return (*channels, *module.kernel_size)
