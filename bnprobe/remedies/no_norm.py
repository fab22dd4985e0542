"""Normalisation switched off, its affine part kept: y = gamma x + beta.

The other half of the comparison in Bjorck, Gomes, Selman, Weinberger 2018, "Understanding Batch Normalization", arXiv 1806.02375. The
modules stay in their places with their parameters and buffers, so names, optimizers and state dicts are those of the original; they change
class only, as torch's parametrisations do. A class that does more than normalise, activate say, keeps its forward: while that runs, torch's
functions of normalisation do their affine part alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from bnprobe.errors import RemedyError
from bnprobe.remedies.fast_paths import leave_fast_paths
from bnprobe.remedies.norms import Norm, norms
from bnprobe.remedies.remedy import Changes, Remedy, Touched
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import NoNormSettings


class AffineOverChannels(nn.Module):
    """What is left of a batch, group or instance norm: gamma x + beta over (N, C, *)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the affine part."""
        return _over_channels(x, self._parameters.get("weight"), self._parameters.get("bias"))


class AffineOverLastAxes(nn.Module):
    """What is left of a layer or RMS norm: gamma x + beta over the normalised axes, which come last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the affine part."""
        return _affine(x, self._parameters.get("weight"), self._parameters.get("bias"))


class OnePlusOverLastAxes(nn.Module):
    """What is left of an RMS norm whose scale is stored as its distance from one: (1 + gamma) x + beta."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the affine part."""
        weight = self._parameters.get("weight")
        return _affine(x, None if weight is None else 1 + weight, self._parameters.get("bias"))


_LAYOUTS: dict[str, type[nn.Module]] = {
    "channels": AffineOverChannels,
    "last axes": AffineOverLastAxes,
    "last axes, 1 + weight": OnePlusOverLastAxes,
}


class NoNorm(Remedy[NoNormSettings]):
    """The remedy ``no-norm``."""

    changes = Changes.STRUCTURE

    def look(self, scope: Scope) -> list[Norm]:
        """Return the normalisations, all of which are known."""
        found = [norm for norm in norms(scope) if self.settings.only in ("all", norm.kind) or not norm.kind]
        unknown = next((norm for norm in found if not norm.kind), None)
        if unknown is not None:
            kind = type(unknown.module).__name__
            raise RemedyError(
                f"remedy no-norm: '{unknown.name}' is a {kind}, which computes none of the normalisations that bnprobe knows",
                "no-norm:only=batch, layer or group, where that is enough" if self.settings.only == "all" else None,
            )
        if not found:
            what, hint = "no normalisation", "the script as it is trains without one"
            if self.settings.only != "all":
                what, hint = f"no {self.settings.only} norm", "no-norm switches off those of every kind"
            raise self.nothing(what, hint)
        return found

    def prepare(self, scope: Scope) -> Touched:
        """Turn normalisations into their affine parts."""
        found = self.look(scope)
        for norm in found:
            self._switch_off(norm)
        leave_fast_paths(self, scope, {id(norm.module) for norm in found})
        return Touched("normalisations", tuple(norm.name for norm in found))

    def _switch_off(self, norm: Norm) -> None:
        module = norm.module
        if norm.layout == "own":
            module.forward = functools.partial(_without_normalising, module, norm.name)
            self._undo.append(lambda: delattr(module, "forward"))
            self.hook(module.register_forward_pre_hook(_unchanged))  # to be seen by those who look at what a module is
        else:
            original = type(module)
            module.__class__ = _LAYOUTS[norm.layout]
            self._undo.append(lambda: setattr(module, "__class__", original))


class _AffineAlone(TorchFunctionMode):
    """While it is on, torch's functions of normalisation leave their input as it is but for scale and shift."""

    def __init__(self) -> None:
        super().__init__()
        self.has_met_one = False

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a function, or the affine part of one that normalises."""
        found = _AFFINE.get(func)
        if found is None:
            return func(*args, **(kwargs or {}))
        self.has_met_one = True
        affine, weight, bias = found
        given = dict(enumerate(args)) | dict(kwargs or {})
        return affine(given.get(0, given.get("input")), given.get(weight, given.get("weight")), given.get(bias, given.get("bias")))


def _without_normalising(module: nn.Module, name: str, *args: Any, **kwargs: Any) -> Any:
    """Run the forward of a module's class with its normalisation switched off."""
    with _AffineAlone() as mode:
        output = type(module).forward(module, *args, **kwargs)
    if not mode.has_met_one:
        raise RemedyError(f"remedy no-norm: '{name}' is a {type(module).__name__}, which calls none of torch's functions of normalisation")
    return output


def _unchanged(module: nn.Module, args: tuple[Any, ...]) -> None:
    """Forward pre-hook that does nothing."""


def _affine(x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None) -> torch.Tensor:
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias


def _over_channels(x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None) -> torch.Tensor:
    shape = (-1, *(1,) * (x.dim() - 2))
    return _affine(x, None if weight is None else weight.view(shape), None if bias is None else bias.view(shape))


#: Torch's functions of normalisation: their affine part, and at which places they are given its weight and bias.
_AFFINE: dict[Callable[..., Any], tuple[Callable[..., torch.Tensor], int | str, int | str]] = {
    F.batch_norm: (_over_channels, 3, 4),
    torch.batch_norm: (_over_channels, 1, 2),
    F.instance_norm: (_over_channels, 3, 4),
    torch.instance_norm: (_over_channels, 1, 2),
    F.group_norm: (_over_channels, 2, 3),
    torch.group_norm: (_over_channels, 2, 3),
    F.layer_norm: (_affine, 2, 3),
    torch.layer_norm: (_affine, 2, 3),
    **({F.rms_norm: (_affine, 2, "")} if hasattr(F, "rms_norm") else {}),
    **({torch.rms_norm: (_affine, 2, "")} if hasattr(torch, "rms_norm") else {}),
}
