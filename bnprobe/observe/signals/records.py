"""Records of what was measured: which signal, of which forward pass, and its numbers."""

from __future__ import annotations

import weakref
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

import torch
from torch import nn

from bnprobe.measure.moments import Moments
from bnprobe.observe.signals.batch_statistics import BatchStatistics

OUTPUT, INPUT = "output", "input"

#: Forwards of one model that one backward goes through and that stand side by side, as the two of a siamese network. More of them are one
#: batch in pieces, an episode say.
FORWARDS_APART = 8
#: Forwards of one model that one backward goes through and that feed each other, as an unrolled simulation. Of more than these the depth is
#: not told, and they count as pieces as well.
FORWARDS_IN_A_CHAIN = 64


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
        node: the operation that made it, by its place among all that autograd follows; -1 where there is none.
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
    node: int = -1


def forwards_of(taps: Iterable[Tap]) -> set[Pass]:
    """Return the forwards that some signals belong to. Most are one object, and need not be hashed each."""
    return set({id(tap.forward): tap.forward for tap in taps}.values())


def batch_size_of(taps: Iterable[Tap]) -> int:
    """Return the size of the batch: that of the first signal of a forward; of a batch in pieces that of all."""
    first = _first_signals(taps)
    if not first:
        return 0
    root = next(iter(first)).root
    of_root = {forward: tap for forward, tap in first.items() if forward.root is root}
    pieces = _pieces(of_root)
    if len(pieces) <= FORWARDS_APART:
        return next(iter(of_root.values())).moments.samples
    return sum(tap.moments.samples for forward, tap in of_root.items() if forward.number in pieces)


def renumbered(taps: Iterable[Tap]) -> list[Tap]:
    """Count the calls of each module among the forwards that are kept, so that a dropped one leaves no hole in the names."""
    taps = list(taps)
    if not taps or (not any([tap.key.call for tap in taps]) and len(forwards_of(taps)) == 1):
        return taps  # of one forward, in which each module was called once
    calls: dict[weakref.ref[nn.Module], dict[tuple[int, int], None]] = {}
    for tap in taps:
        found = calls.setdefault(tap.key.module, {})
        found[tap.forward.number, tap.key.call] = None
    if all(len(found) == 1 and next(iter(found))[1] == 0 for found in calls.values()):
        return taps  # each module called once, and counted so
    pieces = _pieces(_first_signals(taps))
    numbers = {module: _numbered(found, pieces) for module, found in calls.items()}
    return [tap._replace(key=tap.key._replace(call=numbers[tap.key.module][tap.forward.number, tap.key.call])) for tap in taps]


def _numbered(places: Iterable[tuple[int, int]], pieces: Container[int]) -> dict[tuple[int, int], int]:
    """Number a module's calls, each of them a forward and the call in it; those of a batch in pieces by their forward alone."""
    places = list(places)
    if len({forward for forward, _ in places if forward in pieces}) > FORWARDS_APART:
        return {(forward, call): call for forward, call in places}
    return {place: number for number, place in enumerate(sorted(places))}


def _first_signals(taps: Iterable[Tap]) -> dict[Pass, Tap]:
    """Return the first signal of each forward."""
    first: dict[int, Tap] = {}
    for tap in taps:
        if not tap.is_gradient:
            first.setdefault(id(tap.forward), tap)
    found: dict[Pass, Tap] = {}
    for tap in first.values():
        found.setdefault(tap.forward, tap)
    return found


def _pieces(first: Mapping[Pass, Tap]) -> set[int]:
    """Return the numbers of the forwards that are pieces of a batch; ``first`` are their first signals."""
    is_long = len(first) > FORWARDS_IN_A_CHAIN
    return {forward.number for forward, tap in first.items() if is_long or _begins_with_data(tap)}


def _begins_with_data(tap: Tap) -> bool:
    """Whether a forward whose first signal this is begins with data, and not with what a forward before it has computed."""
    if tap.key.role == INPUT:
        return not tap.made_by
    return isinstance(tap.key.module(), nn.Embedding | nn.EmbeddingBag)
