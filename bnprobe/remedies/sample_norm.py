"""The module that normalises within a sample: layer, group and RMS norm of channels, with or without positions."""

from __future__ import annotations

import torch
from torch import nn


class SampleNorm(nn.Module):
    """Normalise groups of channels of each sample, over their positions, too, where there are any.

    Args:
        channels: how many there are.
        positions: how many axes of positions come after them.
        groups: how many parts they fall into.
        centred: take the mean out; otherwise the root mean square is what becomes 1.
        like: gives device and type of a learnable scale for each channel, and of a shift where the mean is taken out; None for neither.
        eps: added to the variance.
    """

    def __init__(
        self, channels: int, positions: int, groups: int, centred: bool, like: torch.Tensor | None = None, eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.channels, self.positions, self.groups, self.centred, self.eps = channels, positions, groups, centred, eps
        self.weight = None if like is None else nn.Parameter(like.detach().new_ones(channels))
        self.bias = None if like is None or not centred else nn.Parameter(like.detach().new_zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x normalised, in its own type; statistics of halves are taken in single precision."""
        size = self.channels
        for length in x.shape[x.dim() - self.positions :]:
            size *= length
        wide = x if x.dtype == torch.float64 else x.float()
        parts = wide.reshape(x.numel() // size, self.groups, size // self.groups)
        if self.centred:
            parts = parts - parts.mean(-1, keepdim=True)
        y = (parts * torch.rsqrt(parts.square().mean(-1, keepdim=True) + self.eps)).reshape(x.shape).to(x.dtype)
        shape = [self.channels] + [1] * self.positions
        if self.weight is not None:
            y = y * self.weight.view(shape).to(x.dtype)
        if self.bias is not None:
            y = y + self.bias.view(shape).to(x.dtype)
        return y
