"""Parameters that nobody trains although their layer is at work: frozen ones, and those that no optimizer was told of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from bnprobe.observe.attaching.optimizers import trained_parameters
from bnprobe.observe.instruments.instrument import Instrument, Reading, Surroundings
from bnprobe.observe.modules.kinds import own_parameters
from bnprobe.observe.signals.records import OUTPUT, Tap
from bnprobe.observe.steps.open_step import OpenStep


class UntrainedParameters(Instrument):
    """Looks at the layers of a snapshot's step.

    Args:
        around: what is there to look at.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return how many elements of each layer are frozen, and how many were forgotten."""
        optimizers = self._around.optimizers()
        if not optimizers or self._around.clock.counts_backwards or not self._around.schedule.is_snapshot(step.number):
            return []
        layers = [tap for tap in taps if not tap.is_gradient and tap.key.role == OUTPUT and not tap.key.call]
        modules = {
            place: module
            for tap in layers
            if (place := self._around.axes.layer(tap)) is not None and (module := tap.key.module()) is not None
        }
        if not modules:
            return []
        counts = find_untrained(modules.values(), optimizers)
        found = [counts[id(module)] for module in modules.values()]
        return [
            ("frozen_elements", Reading([float(one.frozen) for one in found], list(modules))),
            ("forgotten_elements", Reading([float(one.forgotten) for one in found], list(modules))),
        ]


class Untrained(NamedTuple):
    """Elements of a module's own parameters: those that ask for no gradient, and those that do and are in no optimizer."""

    frozen: int
    forgotten: int


def find_untrained(modules: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> dict[int, Untrained]:
    """Count what is not trained, by id of the module.

    Args:
        modules: those whose layers were measured.
        optimizers: all that exist.

    Returns:
        Counts of frozen and of forgotten elements, by id of the module.
    """
    every = [parameter for optimizer in optimizers for parameter in trained_parameters(optimizer.param_groups)]
    trained = {id(parameter) for parameter in every}
    # While FSDP has a layer's weights gathered, the layer holds the whole weight, and the optimizer the shard of it: of the same shape.
    sharded = {parameter.shape for parameter in every if hasattr(parameter, "to_local")}
    counts: dict[int, Untrained] = {}
    for module in modules:
        frozen = forgotten = 0
        for parameter in own_parameters(module):
            if not parameter.requires_grad:
                frozen += parameter.numel()
            elif id(parameter) not in trained and parameter.shape not in sharded:
                forgotten += parameter.numel()
        counts[id(module)] = Untrained(frozen, forgotten)
    return counts
