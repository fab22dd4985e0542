"""Multiplicative noise at the inputs of residual blocks.

Ruff, Beck, Bach 2019, arXiv 1911.13173, and its authors' public code: x <- x u with u ~ U(1-d, 1+d), d = 0.1, drawn for each sample and
channel, in training only. The factors have mean 1, so the expected signal is unchanged; what is disturbed is what a sample's features weigh
beside each other, as the statistics of small batches do under batch norm. ``per=channel`` draws one factor a channel for the whole batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.remedies.remedy import Changes, Remedy, Touched
from bnprobe.remedies.residual import residual_branches
from bnprobe.remedies.scope import CONVOLUTIONS, Scope
from bnprobe.remedies.settings import NoiseSettings

_ATTRIBUTE = "added_noise"


class ChannelNoise(nn.Module):
    """Multiply by U(1-d, 1+d) while training.

    Args:
        d: half-width.
        per_sample: a factor for each sample and channel, not for each channel alone.
        channel: axis of the channels.
    """

    def __init__(self, d: float, per_sample: bool, channel: int) -> None:
        super().__init__()
        self.d = d
        self.per_sample = per_sample
        self.channel = channel

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x u, or x in evaluation."""
        if not self.training:
            return x
        shape = [1] * x.dim()
        shape[self.channel] = x.shape[self.channel]
        if self.per_sample:
            shape[0] = x.shape[0]
        return x * torch.empty(shape, dtype=x.dtype, device=x.device).uniform_(1.0 - self.d, 1.0 + self.d)

    def extra_repr(self) -> str:
        """Show the half-width."""
        return f"d={self.d}"


class Noise(Remedy[NoiseSettings]):
    """The remedy ``noise``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Put noise in front of blocks or convolutions."""
        if self.settings.at == "convolutions":
            places: dict[str, nn.Module] = {name: one for name, one in scope.convolutions() if not scope.is_first(one)}
        else:
            places = {b.name: b.block for b in residual_branches(scope) if b.block not in scope.models}
        if not places:
            blocks = self.settings.at == "blocks"
            what = "no residual block whose code torch.fx can follow" if blocks else "no second convolution"
            has_convolutions = any(not scope.is_first(one) for _, one in scope.convolutions())
            raise self.nothing(what, "noise:at=convolutions" if blocks and has_convolutions else "dropout acts behind activations")
        places = self.untreated(places, _ATTRIBUTE)
        for module in places.values():
            has_convolutions = any(isinstance(child, CONVOLUTIONS) for child in module.modules())
            noise = ChannelNoise(self.settings.d, self.settings.per == "sample", 1 if has_convolutions else -1)
            if type(module) in CONVOLUTIONS:
                self.add_before(module, _ATTRIBUTE, noise, _disturb_input)
            else:
                self.add_before(module, _ATTRIBUTE, noise, _disturb, with_kwargs=True)
        return Touched(f"inputs of {self.settings.at}", tuple(places))


def _disturb_input(self: Any, input: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    """Forward pre-hook of torch's own convolutions: disturb the input. torch.jit.script compiles it: hence names and types."""
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        _check_given(input)
    return (self.added_noise(input[0]),)


def _check_given(input: tuple[torch.Tensor, ...]) -> None:
    if not input:  # a hook that is given keywords, too, is not compiled
        raise RemedyError(
            "remedy noise: a convolution was called with its input by keyword, where its hook sees none", "call it as conv(x)"
        )


def _disturb(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Forward pre-hook: pass the first tensor through the module's noise; what else a forward of the script's own takes stays."""
    noise = module._modules[_ATTRIBUTE]
    assert noise is not None
    if args:
        return (noise(args[0]), *args[1:]), kwargs
    first = next(iter(kwargs))
    return args, {**kwargs, first: noise(kwargs[first])}
