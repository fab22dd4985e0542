"""Gradients that were there before the first backward of a step: what a forgotten ``zero_grad`` leaves behind.

Backward adds to ``.grad``. A step whose first backward finds the last step's gradients there descends the sum of all batches so far. Where
the script accumulates on purpose, over several backward calls of one step, the first of them finds nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from bnprobe.identity import OwnReference
from bnprobe.measure.fused import gradients
from bnprobe.measure.norms import norms
from bnprobe.observe.attaching.optimizers import trained_parameters
from bnprobe.observe.instruments.instrument import Backward, Instrument, Reading, Surroundings, Update, at_measured_steps
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import OpenStep
from bnprobe.observe.steps.update_measurement import UpdateMeasurement


class Found(NamedTuple):
    """Gradients found, their norms still on their device.

    Attributes:
        keys: ids of the parameters that had one.
        norms: (k,), in their order; None where there was none.
    """

    keys: list[int]
    norms: torch.Tensor | None


class StaleGradients(Instrument):
    """Looks for gradients in place before the first backward of an observed step.

    Args:
        around: what is there to look at.
    """

    every_step = True

    def __init__(self, around: Surroundings) -> None:
        self._clock = around.clock
        self._optimizers = around.optimizers
        self._hand_moves = HandMoves()
        self._found: Found | None = None

    @at_measured_steps
    def before_backward(self, step: OpenStep, backward: Backward) -> None:
        """Look at the gradients of all that is trained; later backwards of a step add to those of the first on purpose."""
        if step.micro_steps > 1:
            self._drop_cleared()
        elif not self._clock.counts_backwards:
            self._found = find_stale(p for optimizer in self._optimizers() for p in trained_parameters(optimizer.param_groups))
        elif moved := self._hand_moves.moved():
            self._found = find_stale(moved)

    def _drop_cleared(self) -> None:
        """What was in place before the first backward and is cleared before a later one is no part of the update.

        So it is where networks step in turn: one network's last gradients lie there while the other's loss goes backward.
        """
        if self._found is not None and self._found.norms is not None:
            self._found = still_stale(self._found, (p for one in self._optimizers() for p in trained_parameters(one.param_groups)))

    def before_update(self, step: OpenStep, update: Update) -> None:
        """Note which weights the script is about to move by hand."""
        if update.optimizer is not None:
            self._hand_moves.forget()
        elif step.observed:
            self._hand_moves.look(update.parameters)
        else:
            self._hand_moves.look_again()

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return the norm of what was found, over the parameters that were then moved."""
        found, self._found = self._found, None
        if found is None:
            return []
        if found.norms is None:
            return [("stale_gradient_norm", Reading([0.0]))]
        return [("stale_gradient_norm", Reading(_norm_of_moved(found, step.updates)))]


def _norm_of_moved(found: Found, updates: Sequence[UpdateMeasurement]) -> torch.Tensor:
    assert found.norms is not None
    place = {key: index for index, key in enumerate(found.keys)}
    is_moved = torch.zeros(len(found.keys), dtype=torch.bool, device=found.norms.device)
    for update in updates:
        both = [(index, place[key]) for index, key in enumerate(update.keys) if key in place]
        if both:
            ours, theirs = (torch.tensor(side, device=is_moved.device) for side in zip(*both, strict=True))
            moved = update.update if update.update is not None else torch.full_like(update.weight, torch.nan)
            is_moved[theirs] |= moved.to(is_moved.device)[ours] != 0  # not moved by nothing: without a turn it is NaN, and counts
    total: torch.Tensor = torch.linalg.vector_norm(found.norms.double() * is_moved)
    return total.reshape(1)


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
        self._seen = [(OwnReference(parameter), parameter._version) for parameter in known]

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


def find_stale(parameters: Iterable[torch.Tensor]) -> Found:
    """Look for gradients of some parameters; without any, nothing is measured."""
    kept = list(parameters)
    found = {id(parameter): gradient for parameter, gradient in zip(kept, gradients(kept), strict=True) if gradient is not None}
    return Found(list(found), norms(list(found.values())) if found else None)


def still_stale(found: Found, parameters: Iterable[torch.Tensor]) -> Found:
    """Return what was found and still holds a gradient that is not zero; a norm of what does not becomes 0."""
    assert found.norms is not None
    now = find_stale(parameters)
    if now.norms is None:
        return Found(found.keys, torch.zeros_like(found.norms))
    place = {key: index for index, key in enumerate(now.keys)}
    nothing = len(now.keys)
    held = torch.cat([now.norms, now.norms.new_zeros(1)]) != 0
    places = torch.tensor([place.get(key, nothing) for key in found.keys], device=held.device)
    return Found(found.keys, found.norms * held[places].to(found.norms))
