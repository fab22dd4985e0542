"""Records of what was measured: which signal, of which forward pass, and its numbers."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import nn

from bnprobe.measure.moments import Moments
from bnprobe.observe.instruments.batch_statistics import BatchStatistics

OUTPUT, INPUT = "output", "input"


class TapKey(NamedTuple):
    """Which signal was measured: a module's output or input, at its n-th call."""

    module: weakref.ref[nn.Module]
    call: int
    role: str


class Pass(NamedTuple):
    """One forward of one model: the root, and how many forwards of it were complete when it began."""

    root: weakref.ref[nn.Module]
    number: int
    in_training: bool


class Tap(NamedTuple):
    """One measured signal of the open step.

    Attributes:
        key: which signal.
        is_gradient: whether it is the signal's gradient.
        forward: the forward it belongs to.
        order: place of the call among all calls, hidden ones included.
        moments: its numbers.
        repeat: which call of its module within this forward.
        dtype: type of its numbers.
        made_by: the operation that made it, for an input.
        statistics: of a batch norm's output.
    """

    key: TapKey
    is_gradient: bool
    forward: Pass
    order: int
    moments: Moments
    repeat: int = 0
    dtype: torch.dtype = torch.float32
    made_by: str = ""
    statistics: BatchStatistics | None = None


class Modes(NamedTuple):
    """How often modules that behave differently in training ran in training mode and in evaluation, and the mode of the model itself."""

    training: int
    evaluating: int
    model: int


def batch_size_of(taps: Iterable[Tap]) -> int:
    """Return the size of the batch: that of the first signal of a forward."""
    return next((tap.moments.samples for tap in taps if not tap.is_gradient), 0)


def renumbered(taps: Iterable[Tap]) -> list[Tap]:
    """Count the calls of each module among the forwards that are kept, so that a dropped one leaves no hole in the names."""
    taps = list(taps)
    if not taps:
        return taps
    calls: dict[weakref.ref[nn.Module], list[tuple[int, int]]] = {}
    for tap in taps:
        found = calls.setdefault(tap.key.module, [])
        if (place := (tap.forward.number, tap.key.call)) not in found:
            found.append(place)
    if all(len(found) == 1 and found[0][1] == 0 for found in calls.values()):
        return taps  # each module called once, and counted so
    numbers = {module: {place: number for number, place in enumerate(sorted(found))} for module, found in calls.items()}
    return [tap._replace(key=tap.key._replace(call=numbers[tap.key.module][tap.forward.number, tap.key.call])) for tap in taps]
