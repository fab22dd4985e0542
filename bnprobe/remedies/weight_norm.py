"""Weight normalisation: length and direction of each unit's weights are learned apart, w = g v / ||v||.

Salimans, Kingma 2016, arXiv 1602.07868.
torch's own parametrisation, per output unit, starting from the weights as they are. The old parameter stays the direction v, so lists of
parameters that a script made keep their meaning; the lengths g are new. torch refuses to pickle a parametrised model whole: save its
state_dict.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from bnprobe.remedies.linear_layers import unit_axis
from bnprobe.remedies.remedy import Added, Changes, Remedy, Touched
from bnprobe.remedies.scope import KINDS, OTHER_KIND, Scope, without_direction
from bnprobe.remedies.settings import WeightNormSettings


class WeightNorm(Remedy[WeightNormSettings]):
    """The remedy ``weight-norm``."""

    changes = Changes.STRUCTURE

    def look(self, scope: Scope) -> dict[str, nn.Module]:
        """Return the layers whose units all have a direction."""
        layers = {name: layer for name, layer in scope.weight_layers(self.settings.linear) if not without_direction(layer)}
        if not layers:
            raise self.nothing("no trained weights of convolutions or linear layers, or none without units that are zero", KINDS)
        return layers

    def prepare(self, scope: Scope) -> Touched:
        """Parametrise the weights."""
        layers = self.look(scope)
        found = scope.weight_layers(self.settings.linear)
        zero = tuple(name for name, _ in found if name not in layers)
        attention = attention_weights(scope) if self.settings.linear else []
        others = scope.other_matrices(layer for _, layer in (*found, *((name, one) for name, one, _ in attention)))
        added = [self._parametrise(name, layer, "weight") for name, layer in layers.items()]
        added += [self._parametrise(*one) for one in attention]
        names = (*layers, *(f"{name}.{key}" for name, _, key in attention))
        return Touched("weights", names, tuple(added), {"left as it is, for units of it start at zero": zero, OTHER_KIND: others})

    def _parametrise(self, name: str, layer: nn.Module, key: str) -> Added:
        direction = layer._parameters[key]
        assert direction is not None
        self.undo_parametrisation(layer, key)
        weight_norm(layer, key, dim=unit_axis(layer))
        parts = layer.get_submodule(f"parametrizations.{key}")
        parts.original1 = direction
        return Added(f"{name}.parametrizations.{key}.original0", parts.get_parameter("original0"), beside=direction)


def attention_weights(scope: Scope) -> list[tuple[str, nn.Module, str]]:
    """Return the trained weights that torch's attention has beside its linear layer: its queries', keys' and values', packed or not."""
    found = [(name, one) for name, one in scope.modules() if isinstance(one, nn.MultiheadAttention)]
    return [
        (name, one, key)
        for name, one in found
        for key, p in one._parameters.items()
        if p is not None and key.endswith("_weight") and id(p) in scope.trained and bool(torch.linalg.vector_norm(p.detach(), dim=1).min())
    ]
