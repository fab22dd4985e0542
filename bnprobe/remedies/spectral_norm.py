"""Spectral normalisation: every weight is divided by its largest singular value, W / sigma(W).

Miyato, Kataoka, Koyama, Yoshida 2018, arXiv 1802.05957, with torch's own parametrisation: a kernel counts as the matrix (O, I*K), sigma
comes from power iterations that go on in every training forward. ``mean`` is mean spectral normalisation, Subramanian, Chong 2019, arXiv
1907.04003: r W / sigma(W) with a learnable r for each weight, and mean-only batch norm behind it, y <- y - mean_{n,p} y + shift. torch
refuses to pickle a parametrised model whole: save its state_dict.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from bnprobe.remedies.linear_layers import is_linear, units_of
from bnprobe.remedies.remedy import Added, Changes, Remedy, Touched
from bnprobe.remedies.scope import KINDS, OTHER_KIND, Scope, starts_at_zero
from bnprobe.remedies.settings import SpectralNormSettings

_ATTRIBUTE = "added_mean_norm"


class Factor(nn.Module):
    """Parametrisation r W with a learnable scalar r, 1 at the start."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.r = nn.Parameter(weight.new_ones(()))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the weight."""
        return self.r * weight


class MeanOnlyBatchNorm(nn.Module):
    """y - mean y + shift for each channel; running means in evaluation.

    Args:
        channels: how many.
        channel: their axis.
        weight: gives device and dtype.
        momentum: weight of the newest batch in the running means.
    """

    running_mean: torch.Tensor

    def __init__(self, channels: int, channel: int, weight: torch.Tensor, momentum: float = 0.1) -> None:
        super().__init__()
        self.channel = channel
        self.momentum = momentum
        self.shift = nn.Parameter(weight.new_zeros(channels))
        self.register_buffer("running_mean", weight.new_zeros(channels))

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        """Return y with its means replaced."""
        mean = self.running_mean
        if self.training:
            axes = [axis for axis in range(y.dim()) if axis != self.channel % y.dim()]
            mean = y.mean(axes)
            with torch.no_grad():
                self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        shape = [1] * y.dim()
        shape[self.channel] = -1
        return y + (self.shift - mean).to(y.dtype).view(shape)


class SpectralNorm(Remedy[SpectralNormSettings]):
    """The remedy ``spectral-norm``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Parametrise the weights, and put mean-only batch norm behind them if asked for."""
        found = scope.weight_layers()
        layers = {name: layer for name, layer in found if not starts_at_zero(layer)}
        if not layers:
            raise self.nothing("no trained weights of convolutions or linear layers that are not zero", KINDS)
        others = scope.other_matrices(layer for _, layer in found)
        added: list[Added] = []
        for name, layer in layers.items():
            weight = layer.get_parameter("weight")
            self.undo_parametrisation(layer)
            spectral_norm(layer, "weight", n_power_iterations=self.settings.iterations)
            if self.settings.mean:
                added += self._add_mean(name, layer, weight)
        zero = tuple(name for name, _ in found if name not in layers)
        left = {"left as it is, for it starts at zero": zero, OTHER_KIND: others}
        return Touched("weights", tuple(layers), tuple(added), left)

    def _add_mean(self, name: str, layer: nn.Module, weight: nn.Parameter) -> list[Added]:
        factor = Factor(weight)
        parametrize.register_parametrization(layer, "weight", factor)
        channels, axis = (units_of(layer), -1) if is_linear(layer) else (int(layer.out_channels), 1)  # type: ignore[arg-type]
        norm = MeanOnlyBatchNorm(channels, axis, weight.detach())
        self.add_module(layer, _ATTRIBUTE, norm)
        self.hook(layer.register_forward_hook(_replace_mean))
        return [
            Added(f"{name}.parametrizations.weight.1.r", factor.r, beside=weight),
            Added(f"{name}.{_ATTRIBUTE}.shift", norm.shift, beside=weight),
        ]


def _replace_mean(self: Any, input: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    """Forward hook: pass a layer's output through its mean-only batch norm. torch.jit.script compiles it: hence names and types."""
    return self.added_mean_norm(output)  # type: ignore[no-any-return]
