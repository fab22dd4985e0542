"""How steps become rows of the run file.

Measured vectors stay on their device until the step is closed; then one transfer brings them to the host. Steps of which the same was
measured become rows together: most of what a row costs is the number of calls, not of figures. Where several micro-steps measured the same
layer, their moments are merged first; the energy split is computed in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure.fused import SUMMARY
from bnprobe.measure.host_memory import copied
from bnprobe.measure.merge import merge
from bnprobe.measure.moments import Moments
from bnprobe.measure.transfer import Transfer
from bnprobe.measure.unchecked import unchecked
from bnprobe.observe.axes.channel_row import ChannelRow, Laid, LaidMoments
from bnprobe.observe.instruments.instrument import Instrument, Reading, overriding
from bnprobe.observe.rows.measured_signals import MeasuredSignals, Signal
from bnprobe.observe.steps.open_step import OpenStep, own_columns, own_row
from bnprobe.store.schema import VARIABLES

Vector = NDArray[np.float64]

#: A step's single numbers, which may lie on an accelerator.
_SINGLES = ("scale", "fused_scale", "skipped", "clip_norm")
#: Types of numbers that are as they will be.
_AT_HAND = frozenset({float, int, bool, type(None)})
#: Types of tensors that are at hand as they are.
_OF_NUMPY = (torch.float32, torch.float64)
#: Figures of the summary, one after another.
_SUMMARY = np.arange(-SUMMARY, 0)


class _Column(NamedTuple):
    """What a reading is: its variable, the places of its values, and how many there are."""

    name: str
    places: tuple[int | None, ...] | None
    length: int


class _Structure(NamedTuple):
    """What was measured of a step. The numbers of steps with the same structure lie in the same places."""

    is_observed: bool
    has_batch_size: bool
    signals: tuple[Signal, ...]
    columns: tuple[_Column, ...]


class ClosedStep:
    """A step whose numbers are on their way to the host.

    Args:
        step: the step.
        measured: its measured signals that have places.
        readings: what instruments found, by name of the schema.
        instruments: those that look at the moments once they have arrived.

    Attributes:
        structure: what was measured of it.
        numbers: (F,) all signals' packed moments, then all readings, once it has arrived.
    """

    structure: _Structure
    numbers: Vector

    def __init__(
        self,
        step: OpenStep,
        measured: MeasuredSignals = MeasuredSignals(),  # noqa: B008 - it cannot be changed
        readings: Sequence[tuple[str, Reading]] = (),
        instruments: Sequence[Instrument] = (),
    ) -> None:
        self.step = step
        self.instruments = instruments
        self._signals, vectors, self._has_several = measured
        self._columns = tuple(
            [_Column(name, None if places is None else tuple(places), len(values)) for name, (values, places) in readings]
        )
        values = _as_vectors([values for _, (values, _) in readings])
        singles = [*step.losses, *(settings.rate for settings in step.groups.values()), *(getattr(step, name) for name in _SINGLES)]
        self._is_at_hand = all([type(number) in _AT_HAND for number in singles])
        self._far = [index for index, number in enumerate(singles) if isinstance(number, torch.Tensor) and not number.is_cpu]
        self._singles = singles
        self._transfer = Transfer([*vectors, *values, *(singles[index].detach().reshape(1) for index in self._far)])

    @property
    def is_asynchronous(self) -> bool:
        """Whether the numbers still travel."""
        return self._transfer.is_asynchronous

    @property
    def nbytes(self) -> int:
        """Memory held by the numbers."""
        return self.numbers.nbytes

    @unchecked
    def arrive(self) -> None:
        """Take the numbers in, waiting for them if need be."""
        self.numbers, step = self._transfer.together(), self.step
        del self._transfer
        if not self._is_at_hand:
            self._settle_singles(step)
        if self._has_several:
            self._merge()
        self.structure = _Structure(step.observed, bool(step.batch_size), self._signals, self._columns)

    def _settle_singles(self, step: OpenStep) -> None:
        """Take in the step's single numbers, which were tensors."""
        numbers = self.numbers
        singles = [number.item() if isinstance(number, torch.Tensor) and number.is_cpu else number for number in self._singles]
        for index, number in zip(self._far, numbers[len(numbers) - len(self._far) :], strict=True):
            singles[index] = float(number)
        losses = len(step.losses)
        step.losses, rest = tuple(singles[:losses]), singles[losses:]
        if any(type(settings.rate) is not float for settings in step.groups.values()):
            step.groups = {place: settings._replace(rate=rate) for (place, settings), rate in zip(step.groups.items(), rest, strict=False)}
        for name, number in zip(_SINGLES, rest[len(step.groups) :], strict=True):
            setattr(step, name, number)

    def _merge(self) -> None:
        """Leave one entry of each layer's activation, and of its gradient."""
        merged: dict[tuple[int, bool], Moments] = {}
        begin = 0
        for one in self._signals:
            measured = Moments(one.samples, one.positions, self.numbers[begin : begin + one.length])
            begin += one.length
            key = (one.place, one.is_gradient)
            merged[key] = merge(merged[key], measured) if key in merged else measured
        rest = self.numbers[begin:]
        self._signals = tuple(Signal(*key, one.samples, one.positions, len(one.packed)) for key, one in merged.items())
        self.numbers = np.concatenate([*(np.asarray(one.packed) for one in merged.values()), rest])


@unchecked
def rows(steps: Sequence[ClosedStep]) -> tuple[dict[str, Any], list[ChannelRow | None]]:
    """Return the rows of steps that have arrived and have one structure.

    Args:
        steps: at least one.

    Returns:
        The columns, as ``RunWriter.append_step`` takes them for one step and ``append_steps`` for several; and for each step every
        channel, where layers were measured.
    """
    structure, opened = steps[0].structure, [one.step for one in steps]
    numbers = np.stack([one.numbers for one in steps])
    found: dict[str, Any] = {}
    if structure.has_batch_size:
        found["batch_size"] = [step.batch_size for step in opened]
    end = sum(one.length for one in structure.signals)
    columns = _columns(structure.columns, numbers[:, end:])
    if (norms := columns.get("parameter_gradient_norm")) is not None:
        whole_norms = np.sqrt(np.nansum(norms**2, axis=1)).tolist()
        found["gradient_norm"] = [
            step.gradient_norm if np.isnan(one).all() else norm for one, norm, step in zip(norms, whole_norms, opened, strict=True)
        ]
    found.update((name, column) for name, column in columns.items() if _axis_of(name) == "step")
    channels: list[ChannelRow | None] = [None] * len(steps)
    if structure.is_observed:
        activations, gradients = _laid(structure.signals, is_gradient=False), _laid(structure.signals, is_gradient=True)
        scales: list[Any] = [step.scale or 1.0 for step in opened]
        _add_signals(found, "activation", activations, numbers, np.ones((len(steps), 1)))
        _add_signals(found, "activation_gradient", gradients, numbers, np.array(scales, dtype=np.float64)[:, None])
        found.update(_from_moments(steps[0].instruments, activations, numbers))
        whole = {name: column for name, column in columns.items() if _axis_of(name) == "snapshot"}
        sizes = [8 * sum(one.end - one.begin for one in layers) for layers in (activations, gradients)]
        for index, (one, scale) in enumerate(zip(steps, scales, strict=True)):
            kinds = [
                ("channel", 1.0, LaidMoments(one.numbers, activations, sizes[0])),
                ("channel_gradient", scale, LaidMoments(one.numbers, gradients, sizes[1])),
            ]
            present = {name: column[index] for name, column in whole.items() if np.isfinite(column[index]).any()}
            channels[index] = ChannelRow(one.step.number, kinds, present)
    if len(steps) == 1:
        return own_row(opened[0]) | {name: column[0] for name, column in found.items()}, channels
    return own_columns(opened) | found, channels


def _as_vectors(readings: Sequence[torch.Tensor | Vector | Sequence[float]]) -> list[torch.Tensor | Vector]:
    """Return readings as vectors, in their order; numbers at hand that follow each other as one."""
    found: list[torch.Tensor | Vector] = []
    at_hand: list[float] = []
    for values in readings:
        if type(values) is list:
            at_hand += values
            continue
        if at_hand:
            found.append(_as_vector(at_hand))
            at_hand = []
        found.append(_as_vector(values))
    return [*found, _as_vector(at_hand)] if at_hand else found


def _as_vector(values: torch.Tensor | Vector | Sequence[float]) -> torch.Tensor | Vector:
    if isinstance(values, torch.Tensor):
        return copied(values) if values.is_cpu and values.dtype in _OF_NUMPY else values
    return values if isinstance(values, np.ndarray) else np.asarray(values, dtype=np.float64)


def _axis_of(name: str) -> str:
    return VARIABLES[name].dims[0]


def _laid(signals: Sequence[Signal], *, is_gradient: bool) -> list[Laid]:
    """Return where the numbers of each layer lie."""
    found, begin = [], 0
    for one in signals:
        if one.is_gradient == is_gradient:
            found.append(Laid(one.place, one.samples, one.positions, begin, begin + one.length))
        begin += one.length
    return found


def _columns(columns: Sequence[_Column], numbers: Vector) -> dict[str, Vector]:
    """Return what instruments found, a row for each step; readings of one variable stand in one column, the last one where they meet."""
    alone: dict[str, Vector] = {}
    placed: dict[str, list[tuple[NDArray[np.intp], Vector]]] = {}
    begin = 0
    for name, places, length in columns:
        values = numbers[:, begin : begin + length]
        begin += length
        if places is None:
            alone[name] = values[:, 0]
            continue
        index = np.array([-1 if place is None else place for place in places], dtype=np.intp)
        placed.setdefault(name, []).append((index[index >= 0], values[:, index >= 0]))
    return {**alone, **{name: _together(parts) for name, parts in placed.items()}}


def _together(parts: Sequence[tuple[NDArray[np.intp], Vector]]) -> Vector:
    """Return one column of several parts, each with its places."""
    width = max((int(index.max()) + 1 for index, _ in parts if index.size), default=0)
    column = np.full((len(parts[0][1]), width), np.nan)
    for index, values in parts:
        column[:, index] = values
    return column


def _from_moments(instruments: Sequence[Instrument], layers: Sequence[Laid], numbers: Vector) -> Iterator[tuple[str, Vector]]:
    """Yield what instruments make of the activations' moments, a row for each step."""
    if not layers:
        return
    moments = {one.place: Moments(one.samples, one.positions, numbers[:, one.begin : one.end]) for one in layers}
    width = max(moments) + 1
    for look in overriding(instruments, "from_moments_of_steps"):
        yield from look(moments, width).items()
    together = {one.__self__ for one in overriding(instruments, "from_moments_of_steps")}
    for look in overriding([one for one in instruments if one not in together], "from_moments"):
        columns: dict[str, Vector] = {}
        for index in range(len(numbers)):
            for name, values in look({place: one._replace(packed=one.packed[index]) for place, one in moments.items()}).items():
                column = columns.setdefault(name, np.full((len(numbers), width), np.nan))
                column[index, list(values)] = list(values.values())
        yield from columns.items()


def _add_signals(found: dict[str, Any], prefix: str, layers: Sequence[Laid], numbers: Vector, scale: Vector) -> None:
    """Add a kind of signal, layer by layer; a gradient scaler's factor is taken out."""
    if not layers:
        return
    places = [one.place for one in layers]
    summary = numbers[:, np.array([one.end for one in layers])[:, None] + _SUMMARY]
    low, high, zeros, nonfinite, common, between, variance, dead = np.moveaxis(summary, -1, 0)
    sizes = np.array([one.size for one in layers])
    is_whole = nonfinite == 0
    common, between, variance = (np.where(is_whole, energy / scale**2, np.inf) for energy in (common, between, variance))
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
        column = np.full((len(numbers), max(places) + 1), np.nan)
        column[:, places] = values
        found[f"{prefix}_{name}"] = column
