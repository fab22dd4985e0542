"""Gradients that were there before the first backward of a step: what a forgotten ``zero_grad`` leaves behind.

Backward adds to ``.grad``. A step whose first backward finds the last step's gradients there descends the sum of all batches so far. Where
the script accumulates on purpose, over several backward calls of one step, the first of them finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch

from bnprobe.measure.norms import norms
from bnprobe.observe.parameters import trained_parameters


class CarriedGradients(NamedTuple):
    """Gradients found, their norms still on their device.

    Attributes:
        parameters: ids of the parameters that had one.
        norms: (k,), in their order; None where there was none.
    """

    parameters: list[int]
    norms: torch.Tensor | None


def find_carried(optimizers: Iterable[torch.optim.Optimizer]) -> CarriedGradients:
    """Look for gradients of the optimizers' parameters; without any, nothing is measured."""
    return find_carried_of(p for optimizer in optimizers for p in trained_parameters(optimizer.param_groups))


def find_carried_of(parameters: Iterable[torch.Tensor]) -> CarriedGradients:
    """Look for gradients of some parameters."""
    found = {id(parameter): parameter.grad for parameter in parameters if parameter.grad is not None}
    return CarriedGradients(list(found), norms(list(found.values())) if found else None)
