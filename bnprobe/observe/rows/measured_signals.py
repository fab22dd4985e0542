"""What was measured of a step's signals: where each stands, and how many numbers there are of it. Most steps measure the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.observe.signals.records import Tap, TapKey


class Signal(NamedTuple):
    """What a measured signal is, and how many numbers there are of it."""

    place: int
    is_gradient: bool
    samples: int
    positions: int
    length: int


class MeasuredSignals(NamedTuple):
    """Those of one step.

    Attributes:
        signals: what they are.
        vectors: the packed moments of each.
        has_several: whether some are of one place, from several micro-steps.
    """

    signals: tuple[Signal, ...] = ()
    vectors: Sequence[NDArray[np.float64] | torch.Tensor] = ()
    has_several: bool = False


class SignalPlaces:
    """Finds the places of a step's signals, those of the step before where the same were measured.

    Args:
        layer: returns the place of a signal's layer; None where it has none.
    """

    def __init__(self, layer: Callable[[Tap], int | None]) -> None:
        self._layer = layer
        self._keys: list[TapKey] = []
        self._sizes: list[tuple[bool, int, int, int]] = []
        self._last = MeasuredSignals()

    def of(self, taps: Sequence[Tap]) -> MeasuredSignals:
        """Return what was measured of a step; signals without a place are left out."""
        keys, moments = [tap.key for tap in taps], [tap.moments for tap in taps]
        sizes = [(tap.is_gradient, one.samples, one.positions, len(one.packed)) for tap, one in zip(taps, moments, strict=True)]
        if len(keys) == len(self._keys) and all(map(is_, keys, self._keys)) and sizes == self._sizes:
            return MeasuredSignals(self._last.signals, [one.packed for one in moments], self._last.has_several)
        placed = [(tap, place, size) for tap, size in zip(taps, sizes, strict=True) if (place := self._layer(tap)) is not None]
        signals = tuple(Signal(place, *size) for _, place, size in placed)
        has_several = len({(one.place, one.is_gradient) for one in signals}) < len(signals)
        found = MeasuredSignals(signals, [tap.moments.packed for tap, _, _ in placed], has_several)
        if len(placed) == len(taps):  # of one without a place it is told each time
            self._keys, self._sizes, self._last = keys, sizes, found._replace(vectors=())
        return found
