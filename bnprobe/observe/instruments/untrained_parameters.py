"""Parameters that nobody trains although their layer is at work: frozen ones, and those that no optimizer was told of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import nn

from bnprobe.observe.instruments.updates import trained_parameters
from bnprobe.observe.modules.kinds import own_parameters


class Untrained(NamedTuple):
    """Elements of a module's own parameters: those that ask for no gradient, and those that do and are in no optimizer."""

    frozen: int
    forgotten: int


def find_untrained(modules: Iterable[nn.Module], optimizers: Iterable[torch.optim.Optimizer]) -> dict[int, Untrained]:
    """Count what is not trained, by id of the module.

    Args:
        modules: those whose layers were measured.
        optimizers: all that exist.
    """
    trained = {id(parameter) for optimizer in optimizers for parameter in trained_parameters(optimizer.param_groups)}
    counts: dict[int, Untrained] = {}
    for module in modules:
        frozen = forgotten = 0
        for parameter in own_parameters(module):
            if not parameter.requires_grad:
                frozen += parameter.numel()
            elif id(parameter) not in trained:
                forgotten += parameter.numel()
        counts[id(module)] = Untrained(frozen, forgotten)
    return counts
