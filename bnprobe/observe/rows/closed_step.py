"""How a step becomes a row of the run file.

Measured vectors stay on their device until the step is closed; then one transfer brings them to the host, where the moments of all
micro-steps of a layer are merged and the energy split is computed in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure.fused import SUMMARY
from bnprobe.measure.merge import merge
from bnprobe.measure.moments import Moments
from bnprobe.measure.transfer import Transfer
from bnprobe.measure.unchecked import unchecked
from bnprobe.observe.instrument import Instrument, Reading, overriding
from bnprobe.observe.rows.channel_row import ChannelRow
from bnprobe.observe.rows.open_step import OpenStep, own_row
from bnprobe.observe.signals.records import Tap
from bnprobe.store.schema import VARIABLES

Vector = NDArray[np.float64]

#: A step's single numbers, which may lie on an accelerator.
_SINGLES = ("scale", "fused_scale", "skipped", "clip_norm")
#: Types of tensors that are at hand as they are.
_OF_NUMPY = (torch.float32, torch.float64)


class ClosedStep:
    """A step whose numbers are on their way to the host.

    Args:
        step: the step.
        taps: its measured signals, and the place of the layer of each; None for one that has none.
        readings: what instruments found, by name of the schema.
        instruments: those that look at the moments once they have arrived.
    """

    def __init__(
        self,
        step: OpenStep,
        taps: Sequence[tuple[Tap, int | None]] = (),
        readings: Sequence[tuple[str, Reading]] = (),
        instruments: Sequence[Instrument] = (),
    ) -> None:
        self.step = step
        self._instruments = instruments
        self._cargo = _Cargo()
        self._taps = [(tap, place, self._cargo.add(tap.moments.packed)) for tap, place in taps]
        self._readings = [(name, reading.places, self._cargo.add(reading.values)) for name, reading in readings]
        self._losses = [self._cargo.add_number(loss) for loss in step.losses]
        self._rates = [self._cargo.add_number(settings.rate) for settings in step.groups.values()]
        self._singles = [self._cargo.add_number(getattr(step, name)) for name in _SINGLES]
        self._cargo.send()

    @property
    def is_asynchronous(self) -> bool:
        """Whether the numbers still travel."""
        return self._cargo.is_asynchronous

    @unchecked
    def row(self) -> tuple[dict[str, Any], ChannelRow | None]:
        """Return the step's row and, where layers were measured, every channel."""
        self._cargo.receive()
        step = self.step
        self._arrive()
        row = own_row(step)
        row["batch_size"] = step.batch_size or None
        columns = self._columns()
        if (norms := columns.get("parameter_gradient_norm")) is not None and not np.isnan(norms).all():
            row["gradient_norm"] = float(np.sqrt(np.nansum(norms**2)))
        row.update((name, column) for name, column in columns.items() if _axis_of(name) == "step")
        if not step.observed:
            return row, None
        activations, gradients = self._merged()
        scale: Any = step.scale or 1.0
        _add_signals(row, "activation", activations, 1.0)
        _add_signals(row, "activation_gradient", gradients, scale)
        for look in overriding(self._instruments, "from_moments"):
            row.update((name, _column(values)) for name, values in look(activations).items() if values)
        whole = {name: column for name, column in columns.items() if _axis_of(name) == "snapshot" and np.isfinite(column).any()}
        signals = [("channel", 1.0, activations), ("channel_gradient", scale, gradients)]
        return row, ChannelRow(step.number, signals, whole)

    def _arrive(self) -> None:
        """The step's own numbers are on the host."""
        step, number = self.step, self._cargo.number
        step.losses = tuple(number(loss) for loss in self._losses)
        rates = zip(step.groups.items(), self._rates, strict=True)
        step.groups = {place: settings._replace(rate=number(rate)) for (place, settings), rate in rates}
        for name, single in zip(_SINGLES, self._singles, strict=True):
            setattr(step, name, number(single))

    def _columns(self) -> dict[str, Any]:
        """Return what instruments found; several readings of one variable stand in one column, the last one where they meet."""
        alone: dict[str, Any] = {}
        placed: dict[str, list[tuple[NDArray[np.intp], Vector]]] = {}
        for name, places, key in self._readings:
            values = self._cargo.vector(key)
            if places is None:
                alone[name] = float(values[0])
                continue
            index = np.array([-1 if place is None else place for place in places], dtype=np.intp)
            placed.setdefault(name, []).append((index[index >= 0], values[index >= 0]))
        return {**alone, **{name: _together(parts) for name, parts in placed.items()}}

    def _merged(self) -> tuple[dict[int, Moments], dict[int, Moments]]:
        """Return the layers' activations and activation gradients, micro-steps merged."""
        merged: tuple[dict[int, Moments], dict[int, Moments]] = ({}, {})
        for tap, layer, key in self._taps:
            if layer is not None:
                measured = tap.moments._replace(packed=self._cargo.vector(key))
                present = merged[tap.is_gradient]
                present[layer] = merge(present[layer], measured) if layer in present else measured
        return merged


class _Cargo:
    """Vectors that travel to the host together."""

    def __init__(self) -> None:
        self._vectors: list[torch.Tensor | Vector] = []
        self._transfer: Transfer | None = None
        self._arrived: list[Vector] = []

    @property
    def is_asynchronous(self) -> bool:
        return self._transfer is not None and self._transfer.is_asynchronous

    def add(self, values: torch.Tensor | Vector | Sequence[float]) -> int:
        """Take a vector along; return the key under which it arrives."""
        if isinstance(values, torch.Tensor):
            values = values.numpy() if values.is_cpu and values.dtype in _OF_NUMPY else values
        elif not isinstance(values, np.ndarray):
            values = np.asarray(values, dtype=np.float64)
        self._vectors.append(values)
        return len(self._vectors) - 1

    def add_number(self, value: Any) -> Any:
        """Read a number that is at hand; take one along that lies on an accelerator. What is returned goes to ``number``."""
        if not isinstance(value, torch.Tensor):
            return (value,)
        if value.is_cpu:
            return (value.item(),)
        return self.add(value.detach().reshape(1))

    def send(self) -> None:
        self._transfer = Transfer(self._vectors) if self._vectors else None
        self._vectors = []

    def receive(self) -> None:
        self._arrived = self._transfer.result() if self._transfer is not None else []

    def vector(self, key: int) -> Vector:
        return self._arrived[key]

    def number(self, key: Any) -> Any:
        return float(self._arrived[key][0]) if isinstance(key, int) else key[0]


def _axis_of(name: str) -> str:
    return VARIABLES[name].dims[0]


def _together(parts: Sequence[tuple[NDArray[np.intp], Vector]]) -> Vector:
    """Return one column of several parts, each with its places."""
    column = np.full(max((int(index.max()) + 1 for index, _ in parts if index.size), default=0), np.nan)
    for index, values in parts:
        column[index] = values
    return column


def _column(values: Mapping[int, float]) -> Vector:
    """Return values at their places, NaN elsewhere."""
    column = np.full(max(values) + 1, np.nan)
    column[list(values)] = list(values.values())
    return column


def _add_signals(row: dict[str, Any], prefix: str, present: dict[int, Moments], scale: float) -> None:
    """Add a kind of signal, layer by layer; a gradient scaler's factor is taken out."""
    if not present:
        return
    places = list(present)
    low, high, zeros, nonfinite, common, between, variance, dead = np.array([one.packed[-SUMMARY:] for one in present.values()]).T
    sizes = np.array([one.size for one in present.values()])
    whole = nonfinite == 0
    common, between, variance = (np.where(whole, energy / scale**2, np.inf) for energy in (common, between, variance))
    # B and V are rounded apart; an infinite V leaves nothing to subtract from.
    within = np.where(np.isfinite(variance), np.maximum(variance - between, 0.0), np.inf)
    columns = {
        "common_energy": common,
        "between_energy": between,
        "within_energy": within,
        "rms": np.sqrt(common + between + within),
        "min": low / scale,
        "max": high / scale,
        "nonfinite": nonfinite,
        "zeros": zeros / sizes,
    }
    if prefix == "activation":
        columns["dead"] = dead
    for name, values in columns.items():
        column = np.full(max(places) + 1, np.nan)
        column[places] = values
        row[f"{prefix}_{name}"] = column
