"""What remedies that are projections take out of an update.

Their effect on one update is known without another training: under an optimizer that is linear in the gradient (SGD, momentum,
Nesterov) the projected update is the one that the remedy would have made from here. Under Adam and its like it is so for the remedies that
project the update itself, but for second moments that would have been gathered differently. Clipping by norm shortens the update and leaves
it on its line, so it needs no projection of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.remedies.gradient_centralisation import filter_mean
from bnprobe.remedies.mean_shift_rejection import projected_kernels
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.settings import GradientCentralisationSettings, MeanShiftRejectionSettings

#: One parameter's update in, the projected one out.
Projection = Callable[[torch.Tensor], torch.Tensor]


def update_projections(scope: Scope) -> dict[str, dict[int, Projection]]:
    """Return, by remedy, the projections by ``id`` of the parameter; parameters that are not named keep their update.

    A remedy that would find nothing to act on is left out.

    Returns:
        For each remedy, a projection for the ``id`` of each parameter that it acts on.

    >>> convolutions = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Conv2d(2, 2, 3))
    >>> {name: len(acted_on) for name, acted_on in update_projections(Scope([convolutions])).items()}
    {'msr': 1, 'gradient-centralisation': 2}
    """
    kernels = projected_kernels(scope, MeanShiftRejectionSettings())
    layers = scope.weight_layers(GradientCentralisationSettings().linear)
    found: dict[str, dict[int, Projection]] = {
        "msr": {id(kernel.weight): _without(kernel.mean) for kernel in kernels},
        "gradient-centralisation": {id(layer.get_parameter("weight")): _without(filter_mean) for _, layer in layers},
    }
    return {name: projections for name, projections in found.items() if projections}


def project_update(remedy: str, model: nn.Module, update: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the update that a remedy would have left of one.

    Args:
        remedy: "msr" or "gradient-centralisation", with their default settings.
        model: the model.
        update: weights after minus weights before, by name as in ``model.named_parameters()``.

    Raises:
        RemedyError: the remedy is no projection of an update, or finds nothing in the model to act on.
    """
    known = update_projections(Scope([model]))
    if remedy not in known:
        found = f"that act on this {type(model).__name__}: {', '.join(known) or 'none'}"
        raise RemedyError(f"remedy {remedy} is not among the projections of an update {found}")
    projections, parameters = known[remedy], dict(model.named_parameters())
    found_for = {name: projections.get(id(parameters.get(name))) for name in update}
    return {name: step if (project := found_for[name]) is None else project(step) for name, step in update.items()}


def _without(mean: Projection) -> Projection:
    return lambda update: update - mean(update)
