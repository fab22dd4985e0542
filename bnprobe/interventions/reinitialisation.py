"""Weights drawn anew, and each layer scaled to outputs of variance 1 on the first batch.

Mishkin, Matas 2016, "All you need is a good init", arXiv 1511.06422: orthogonal weights, scaled. One pass does in place of their iteration:
a layer is scaled just before its first call, when those before it have been. The last one, whose output the loss sees, begins small.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Intervention, held
from bnprobe.observe.remedies.injector import models_of
from bnprobe.remedies.scope import Scope
from bnprobe.torch_private import ConvNd

#: Of the generator that draws: the script's own draws stay as they are.
_SEED = 20240229
_NORMS = ("Norm",)
#: A layer's weights are scaled by so much, at most: inputs of another size are another cause, and a recurrent state may begin at nearly 0.
_FURTHEST = 4.0


class Reinitialise(Intervention):
    """The intervention ``reinitialise``."""

    what = "weights drawn anew"
    nothing = "the optimizer's parameters belong to no module that is known, or are no matrices"
    by_step = 1

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._generator = torch.Generator().manual_seed(_SEED)
        self._unscaled: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._last: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._drawn: set[int] = set()

    def optimizer_built(self, optimizer: Optimizer) -> None:
        """Draw the weights that it will train."""
        trained: list[Any] = held(optimizer)
        scope = Scope(models_of(trained), trained)
        self._last.update(module for _, module in scope.weight_layers()[-1:])
        for name, module in scope.modules():
            for key, parameter in module.named_parameters(recurse=False):
                if parameter.requires_grad and id(parameter) not in self._drawn and parameter.is_floating_point():
                    self._drawn.add(id(parameter))
                    self._draw(module, f"{name}.{key}" if name else key, key, parameter)

    @torch.no_grad()
    def _draw(self, module: nn.Module, name: str, key: str, parameter: nn.Parameter) -> None:
        if type(module).__name__.endswith(_NORMS):
            return
        if parameter.dim() < 2:
            if key.startswith("bias"):
                parameter.zero_()
            return
        if isinstance(module, nn.Linear | ConvNd):
            self._unscaled.add(module)
        parameter.copy_(self._drawn_like(module, key, parameter).to(parameter))
        self.touched[name] += 1

    def _drawn_like(self, module: nn.Module, key: str, parameter: nn.Parameter) -> torch.Tensor:
        """Orthogonal, so that a step through time or depth keeps lengths; a recurrent layer's gates each by itself."""
        if isinstance(module, nn.Embedding):
            return torch.randn(parameter.shape, generator=self._generator).div(parameter.shape[-1] ** 0.5)
        if parameter.dim() > 2 and not isinstance(module, ConvNd):  # matrices side by side
            return torch.randn(parameter.shape, generator=self._generator).div(max(parameter.shape[-2:]) ** 0.5)
        rows = parameter.shape[0]
        if isinstance(module, nn.RNNBase | nn.RNNCellBase):
            rows = module.hidden_size if parameter.shape[0] % module.hidden_size == 0 else rows
        gates = [torch.empty(rows, parameter[0].numel()) for _ in range(parameter.shape[0] // rows)]
        for gate in gates:
            nn.init.orthogonal_(gate, generator=self._generator)
        # The network's output begins small, as torch's own initialisation makes it.
        gain = 3**-0.5 if module in self._last else 1.0
        return gain * torch.cat(gates).reshape(parameter.shape)

    @torch.no_grad()
    def before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Scale a layer that is called for the first time."""
        if module not in self._unscaled or not args or not isinstance(args[0], torch.Tensor):
            return
        self._unscaled.discard(module)
        weight = module.get_parameter("weight")
        output = type(module).forward(module, *args)
        deviation = float(output.double().std())
        if 0.0 < deviation < float("inf"):
            least = 1.0 if module in self._last else 1 / _FURTHEST
            weight.div_(min(max(deviation, least), _FURTHEST))
