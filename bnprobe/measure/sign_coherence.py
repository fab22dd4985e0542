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
            signal, delta = signal.flatten(0, -2), delta.flatten(0, -2)
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
        module.weight.detach().to(signal.dtype),
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
