"""Which axis of a signal is the sample, which the channel, and which are positions.

(N, C) and (N, C, *) have their channels at axis 1; the outputs of linear layers, attention and layer normalisation, (N, T, C) and
(N, H, W, C), have them last. Recurrent layers without ``batch_first`` give (T, N, C). Some layers take one sample without a batch axis.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Layout(NamedTuple):
    """Axes of a signal: ``channel`` and ``sample``; all others are positions.

    ``is_single`` says that it is one sample without a batch axis; the others are then counted with one of length 1 before the first.
    """

    channel: int
    sample: int = 0
    is_single: bool = False


CHANNELS_FIRST = Layout(channel=1)
CHANNELS_LAST = Layout(channel=-1)
TIME_FIRST = Layout(channel=-1, sample=1)


def by_samples(x: torch.Tensor, layout: Layout) -> tuple[torch.Tensor, bool]:
    """View ``x`` with its positions laid together.

    Args:
        x: a signal with at least one axis.
        layout: its axes.

    Returns:
        ``(view, channels_last)``: (N, C, P), or (N, P, C) where the channels lie closest together in memory; P = 1 without positions.
        A copy is made only where the strides allow no such view.
    """
    if x.dim() == 1:
        return x[:, None, None], False
    if x.dim() == 2:
        return x[:, :, None], False
    channel = layout.channel % x.dim()
    x = x.movedim((layout.sample, channel), (0, 1))
    if x.stride(1) == 1 and x.shape[1] > 1:
        return x.movedim(1, -1).flatten(1, -2), True
    return x.flatten(2), False
