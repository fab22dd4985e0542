"""The answer's weights count less the more inputs they sum over: y = (base / inputs) W x + b, as in maximal update parametrisation.

Yang, Hu et al. 2022, "Tensor Programs V: Tuning Large Neural Networks via Zero-Shot Hyperparameter Transfer", arXiv 2203.03466: in the form
of its table 8 output weights have a multiplier of 1 / inputs, relative to a base width at which nothing changes, so that what one
update does to the logits does not grow with the width.

Of that parametrisation it is the output alone: rates of hidden layers, which Adam there has in 1 / width, and starts are the script's.
Ours: the answer is found in the model's code (``answers``); several heads have a multiplier each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from bnprobe.remedies.answers import answers
from bnprobe.remedies.linear_layers import is_linear, unit_axis
from bnprobe.remedies.remedy import Changes, Remedy, Touched
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import OutputMultiplierSettings

_ATTRIBUTE = "added_multiplier"
OTHER = "left as it is, for it is no linear layer"
AT_BASE = "left as it is, for it has as many inputs as the base"


class Multiplier(nn.Module):
    """Multiply by a constant.

    Args:
        factor: the constant.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return c x."""
        return x * self.factor

    def extra_repr(self) -> str:
        """Show the constant."""
        return f"{self.factor:.3g}"


class OutputMultiplier(Remedy[OutputMultiplierSettings]):
    """The remedy ``mup-output``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Multiply what goes into each answer."""
        names = {id(module): name for name, module in scope.modules()}
        found = {names[id(one)]: one for one in answers(scope) if scope.is_trained(one)}
        linear = {name: one for name, one in found.items() if is_linear(one)}
        wide = {name: one for name, one in linear.items() if _inputs(one) != self.settings.base}
        if not wide:
            what = "the answer has as many inputs as the base" if linear else "no trained linear layer gives the model's answer"
            raise self.nothing(what, "mup-output:base=N takes another width" if linear else "warm-up acts on the rates of every layer")
        for one in self.untreated(wide, _ATTRIBUTE).values():
            self.add_before(one, _ATTRIBUTE, Multiplier(self.settings.base / _inputs(one)), _multiply)
        others = tuple(name for name in found if name not in linear)
        return Touched("answers", tuple(wide), left={OTHER: others, AT_BASE: tuple(name for name in linear if name not in wide)})


def _inputs(layer: nn.Module) -> int:
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return int(weight.shape[1 - unit_axis(layer)])


def _multiply(self: Any, input: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    """Forward pre-hook: multiply the input. torch.jit.script compiles it: hence names and types."""
    return (self.added_multiplier(input[0]),)
