"""Gradients that were there before the first backward of a step: what a forgotten ``zero_grad`` leaves behind.

Backward adds to ``.grad``. A step whose first backward finds the last step's gradients there descends the sum of all batches so far. Where
the script accumulates on purpose, over several backward calls of one step, the first of them finds nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import NamedTuple

import torch

from bnprobe.measure.norms import norms
from bnprobe.observe.instruments.updates import trained_parameters


class StaleGradients(NamedTuple):
    """Gradients found, their norms still on their device.

    Attributes:
        parameters: ids of the parameters that had one.
        norms: (k,), in their order; None where there was none.
    """

    parameters: list[int]
    norms: torch.Tensor | None


class HandMoves:
    """Weights that a script moves itself, without an optimizer: which have moved since the backward before.

    Where none has, a backward is a further part of the same step. What is moved through ``.data`` leaves no trace: then nothing is known.
    Weights are held weakly.
    """

    def __init__(self) -> None:
        self._seen: list[tuple[weakref.ref[torch.Tensor], int]] = []

    def look(self, parameters: Iterable[torch.Tensor]) -> None:
        """A backward has run over these parameters."""
        known = [parameter for parameter in parameters if parameter.requires_grad and not parameter.is_inference()]
        self._seen = [(weakref.ref(parameter), parameter._version) for parameter in known]

    def look_again(self) -> None:
        """A backward has run at a step that is not measured."""
        self.look(parameter for reference, _ in self._seen if (parameter := reference()) is not None)

    def forget(self) -> None:
        """Optimizers move the weights now."""
        self._seen = []

    def moved(self) -> list[torch.Tensor]:
        """Those that have moved since the last look."""
        present = [(reference(), version) for reference, version in self._seen]
        return [parameter for parameter, version in present if parameter is not None and parameter._version > version]


def find_stale(optimizers: Iterable[torch.optim.Optimizer]) -> StaleGradients:
    """Look for gradients of the optimizers' parameters; without any, nothing is measured."""
    return find_stale_of(p for optimizer in optimizers for p in trained_parameters(optimizer.param_groups))


def find_stale_of(parameters: Iterable[torch.Tensor]) -> StaleGradients:
    """Look for gradients of some parameters."""
    found = {id(parameter): parameter.grad for parameter in parameters if parameter.grad is not None}
    return StaleGradients(list(found), norms(list(found.values())) if found else None)
