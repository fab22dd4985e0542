"""Normalisations in a model, by what they compute: torch's own, classes made from them, and those that a script or a library wrote itself.

A class made from torch's that has a forward of its own (timm's ``BatchNormAct2d`` and ``LayerNorm2d``) does more than normalise: it
activates, or turns the axes round. One that is written out (``LlamaRMSNorm``) is known by its numbers: a twin of it is given a random
signal, and what comes out is compared with each formula. No name of a class decides what a module computes; one with "norm" in it only
makes it worth asking.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.remedies.remedy import Remedy
from bnprobe.remedies.sample_norm import SampleNorm
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.twin import PLAIN, twin_of
from bnprobe.remedies.untouched import untouched
from bnprobe.torch_private import InstanceNormBase, NormBase

_LAST_AXES: tuple[type[nn.Module], ...] = (nn.LayerNorm, *((nn.RMSNorm,) if hasattr(nn, "RMSNorm") else ()))
_TORCHS = (NormBase, nn.GroupNorm, *_LAST_AXES)
#: What a norm outside torch may differ from its formula by: it may compute in half precision, or have an eps of its own.
_TOLERANCE = 2e-2
#: What batch-norm calls the norms that it adds.
ADDED_BATCH_NORM = "added_batch_norm"


@dataclass(frozen=True)
class Norm:
    """One normalisation.

    Attributes:
        name: of the module.
        module: the module.
        kind: "batch", "group" (instance, too), "layer" (RMS, too), or "" where its numbers fit no formula.
        layout: what the affine part of a plain one is over: "channels", "last axes", "last axes, 1 + weight"; "own" where a forward of
            its own stands around torch's function.
    """

    name: str
    module: nn.Module
    kind: str
    layout: str


def normalises(module: nn.Module) -> bool:
    """Whether a module is a normalisation, or called one: ``weight_norm`` and its like are not modules."""
    own = type(module).__module__ != "torch.nn.utils.parametrizations"
    return isinstance(module, _TORCHS) or ("norm" in type(module).__name__.lower() and own and _has_scale(module))


def refuse_further(remedy: Remedy[Any], scope: Scope, attribute: str) -> None:
    """Refuse to normalise once more in a network that does; a second normalisation would be no comparison.

    Args:
        remedy: who asks.
        scope: where it would act.
        attribute: what the remedy itself has added to the layers that it has met.

    Raises:
        NothingToActOn: there is a normalisation already.
    """
    found = [(name, module) for name, module in scope.modules() if _is_further(module) and attribute not in name.split(".")]
    if found:
        more = f" and {len(found) - 1} more" if found[1:] else ""
        ours = isinstance(found[0][1], SampleNorm) or ADDED_BATCH_NORM in found[0][0].split(".")
        hint = "apply one remedy that normalises" if ours else "no-norm switches that off"
        raise remedy.nothing(f"the model normalises already, at '{found[0][0]}'{more}", hint)


def _is_further(module: nn.Module) -> bool:
    return normalises(module) or isinstance(module, SampleNorm)  # ours have a scale on request alone


def norms(scope: Scope) -> Iterator[Norm]:
    """Yield the normalisations of the models whose parameters, or whose surroundings, are trained.

    Raises:
        RemedyError: one is the script's own, and the process is one of several: its forward may wait for the others.
    """
    for name, module in scope.modules():
        if normalises(module) and scope.is_trained(module):
            kind = _kind_of(module)
            if kind and _is_plain(module):
                yield Norm(name, module, kind, "last axes" if isinstance(module, _LAST_AXES) else "channels")
            elif kind:
                yield Norm(name, module, kind, "own")
            elif torch.distributed.is_available() and torch.distributed.is_initialized():
                raise RemedyError(
                    f"'{name}', a {type(module).__name__}, is a normalisation of the script's own, "
                    "which cannot be tried alone where other processes take part",
                    "build the optimizer before torch.distributed is initialised",
                )
            else:
                yield Norm(name, module, *_by_numbers(module))


def _kind_of(module: nn.Module) -> str:
    if isinstance(module, nn.GroupNorm | InstanceNormBase):
        return "group"
    return "batch" if isinstance(module, NormBase) else "layer" if isinstance(module, _LAST_AXES) else ""


def _is_plain(module: nn.Module) -> bool:
    """Whether its forward is torch's own."""
    return type(module).forward.__module__.startswith("torch.nn.modules.")


def _has_scale(module: nn.Module) -> bool:
    """Whether all it holds is a vector named weight, or one named bias, too: a block that has "norm" in its name holds more."""
    held = {key: value for key, value in module._parameters.items() if value is not None}
    return not module._modules and "weight" in held and not held.keys() - {"weight", "bias"} and all(p.dim() == 1 for p in held.values())


def _by_numbers(module: nn.Module) -> tuple[str, str]:
    """Return kind and layout of a module that is none of torch's, by what it makes of a random signal."""
    if "forward" in vars(module):
        return "", ""  # it was given another one, which may belong to anything
    size = module._parameters["weight"].numel()  # type: ignore[union-attr]
    generator = torch.Generator().manual_seed(0)
    shapes = {(1,): (3, 4, size), (2, 3): (3, size, 4, 5)}
    signals = {turned: torch.randn(shape, generator=generator, **PLAIN) * 2 + 1 for turned, shape in shapes.items()}
    for turned, signal in signals.items():
        try:
            with untouched(module), torch.no_grad():
                twin = twin_of(module)
                weight, bias = (twin._parameters.get(key) for key in ("weight", "bias"))
                for given in (weight, bias):
                    if given is not None:
                        given.uniform_(0.5, 1.5, generator=generator)
                found = twin.forward(signal)  # not a call: no hook is to see it
        except Exception:  # whatever a forward raises for a signal of another shape
            continue
        if not isinstance(found, torch.Tensor) or found.shape != signal.shape:
            continue
        axis = -1 if turned == (1,) else 1
        shape = [1] * signal.dim()
        shape[axis] = size
        for formula in (_rms, _standardised):
            for offset in (0.0, 1.0):
                expected = formula(signal, axis) * (offset + (weight.view(shape) if weight is not None else 1.0))
                expected = expected + bias.view(shape) if bias is not None else expected
                if (found - expected).abs().max() < _TOLERANCE and not (offset and axis == 1):
                    return "layer", "channels" if axis == 1 else "last axes, 1 + weight" if offset else "last axes"
    return "", ""


def _rms(signal: torch.Tensor, axis: int) -> torch.Tensor:
    return signal * torch.rsqrt(signal.square().mean(axis, keepdim=True))


def _standardised(signal: torch.Tensor, axis: int) -> torch.Tensor:
    variance, mean = torch.var_mean(signal, dim=axis, correction=0, keepdim=True)
    return (signal - mean) * torch.rsqrt(variance)
