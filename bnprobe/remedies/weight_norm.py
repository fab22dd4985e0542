"""Weight normalisation: length and direction of each unit's weights are learned apart, w = g v / ||v||.

Salimans, Kingma 2016, arXiv 1602.07868; recommended for training without batch norm by Gaur, Folz, Dengel 2020, arXiv 2008.07970.
torch's own parametrisation, per output unit, starting from the weights as they are. The old parameter stays the direction v, so lists of
parameters that a script made keep their meaning; the lengths g are new. torch refuses to pickle a parametrised model whole: save its
state_dict.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from bnprobe.remedies.remedy import Added, Changes, Remedy, Touched
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import WeightNormSettings
from bnprobe.torch_private import ConvTransposeNd


class WeightNorm(Remedy[WeightNormSettings]):
    """The remedy ``weight-norm``."""

    changes = Changes.STRUCTURE

    def prepare(self, scope: Scope) -> Touched:
        """Parametrise the weights."""
        layers = [(name, layer) for name, layer in scope.weight_layers(self.settings.linear) if _has_directions(layer)]
        if not layers:
            raise self.nothing("no trained weights of convolutions or linear layers, or none without units that are zero")
        return Touched("weights", tuple(name for name, _ in layers), tuple(self._parametrise(name, layer) for name, layer in layers))

    def _parametrise(self, name: str, layer: nn.Module) -> Added:
        direction = layer._parameters["weight"]
        assert direction is not None
        self.undo_parametrisation(layer)
        weight_norm(layer, "weight", dim=_unit_axis(layer))
        parts = layer.get_submodule("parametrizations.weight")
        parts.original1 = direction
        return Added(f"{name}.parametrizations.weight.original0", parts.get_parameter("original0"), beside=direction)


def _unit_axis(layer: nn.Module) -> int:
    return 1 if isinstance(layer, ConvTransposeNd) else 0


def _has_directions(layer: nn.Module) -> bool:
    """Whether every unit has a direction: one that starts at zero has none, and would become NaN."""
    weight = layer.get_parameter("weight")
    axes = [axis for axis in range(weight.dim()) if axis != _unit_axis(layer)]
    return bool(torch.linalg.vector_norm(weight.detach(), dim=axes).min() > 0)
