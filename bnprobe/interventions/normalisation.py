"""Normalisation that knows one sample at a time: behind layers that have none, and in place of batch norm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Handler, Intervention, argument, held
from bnprobe.observe.remedies.injector import models_of
from bnprobe.remedies.scope import Scope
from bnprobe.torch_private import ConvNd

#: Channels of a group, at least, and groups, at most.
_SMALLEST_GROUP, _MOST_GROUPS = 8, 8


class LayerNorm(Intervention):
    """The intervention ``layer-norm``: Ba, Kiros, Hinton 2016, arXiv 1607.06450, without its scale and shift."""

    what = "layers"
    nothing = "the network has no linear or convolutional layer before its last"
    by_step = 1

    def optimizer_built(self, optimizer: Optimizer) -> None:
        """Normalise what is about to be trained, but for the last layer, which gives the output."""
        trained: list[Any] = held(optimizer)
        for name, layer in Scope(models_of(trained), trained).weight_layers()[:-1]:
            if not self.touched[name]:
                layer.register_forward_hook(_normalise)
            self.touched[name] += 1


class GroupNorm(Intervention):
    """The intervention ``group-norm``: Wu, He 2018, arXiv 1803.08494."""

    what = "calls of batch norm"
    nothing = "batch norm is not called in training"

    def is_ruled_out(self) -> bool:
        """Whether there is no batch norm."""
        return True

    def calls(self) -> Mapping[str, Handler]:
        """Stand in for batch norm, in evaluation as well."""
        return {"batch_norm": self._by_group}

    def _by_group(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        values = argument(args, kwargs, 0, "input")
        self.touched[func.__name__] += 1
        channels = values.shape[1]
        fitting = (count for count in range(_MOST_GROUPS, 0, -1) if channels % count == 0 and channels // count >= _SMALLEST_GROUP)
        weight, bias = argument(args, kwargs, 3, "weight"), argument(args, kwargs, 4, "bias")
        return F.group_norm(values, next(fitting, 1), weight, bias)


def _normalise(module: nn.Module, args: tuple[Any, ...], output: torch.Tensor) -> torch.Tensor:
    """Forward hook: bring each sample of a layer's output to mean 0 and variance 1 over its channels, and over places of a convolution."""
    if isinstance(module, ConvNd):
        return F.group_norm(output, 1)
    return F.layer_norm(output, output.shape[-1:])
