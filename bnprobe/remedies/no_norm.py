"""Normalisation switched off, its affine part kept: y = gamma x + beta.

The other half of the comparison in Bjorck, Gomes, Selman, Weinberger 2018, "Understanding Batch Normalization", arXiv 1806.02375. The
modules stay in their places with their parameters and buffers, so names, optimizers and state dicts are those of the original; they change
class only, as torch's parametrisations do.
"""

from __future__ import annotations

import torch
from torch import nn

from bnprobe.remedies.remedy import Changes, Remedy, Touched
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import NoNormSettings
from bnprobe.torch_private import BatchNormBase, InstanceNormBase

_LAYER_NORMS: tuple[type[nn.Module], ...] = (nn.LayerNorm, *((nn.RMSNorm,) if hasattr(nn, "RMSNorm") else ()))
_KINDS: dict[str, tuple[type[nn.Module], ...]] = {
    "batch": (BatchNormBase,),
    "layer": _LAYER_NORMS,
    "group": (nn.GroupNorm, InstanceNormBase),
}


class AffineOverChannels(nn.Module):
    """What is left of a batch, group or instance norm: gamma x + beta over (N, C, *)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the affine part."""
        shape = (-1, *(1,) * (x.dim() - 2))
        weight, bias = (self._parameters[name] for name in ("weight", "bias"))
        return _affine(x, None if weight is None else weight.view(shape), None if bias is None else bias.view(shape))


class AffineOverLastAxes(nn.Module):
    """What is left of a layer or RMS norm: gamma x + beta over the normalised axes, which come last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the affine part."""
        return _affine(x, self._parameters["weight"], self._parameters.get("bias"))


class NoNorm(Remedy[NoNormSettings]):
    """The remedy ``no-norm``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Turn normalisations into their affine parts."""
        kinds = tuple(kind for name, found in _KINDS.items() if self.settings.only in ("all", name) for kind in found)
        names: list[str] = []
        for name, module in scope.modules():
            if isinstance(module, kinds) and scope.is_trained(module):
                self._replace(module, AffineOverLastAxes if isinstance(module, _LAYER_NORMS) else AffineOverChannels)
                names.append(name)
        if not names:
            raise self.nothing("no normalisation" if self.settings.only == "all" else f"no {self.settings.only} norm")
        return Touched("normalisations", tuple(names))

    def _replace(self, module: nn.Module, replacement: type[nn.Module]) -> None:
        original = type(module)
        module.__class__ = replacement
        self._undo.append(lambda: setattr(module, "__class__", original))


def _affine(x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None) -> torch.Tensor:
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias
