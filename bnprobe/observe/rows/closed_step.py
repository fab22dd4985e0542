"""How a step becomes a row of the run file.

Measured vectors stay on their device until the step is closed; then one transfer brings them to the host, where the numbers of all
micro-steps of a layer are merged and the energy split is computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from bnprobe.measure.fused import SUMMARY
from bnprobe.measure.transfer import Transfer
from bnprobe.observe.instruments.updates import UpdateMeasurement
from bnprobe.observe.rows.axes import Axes
from bnprobe.observe.rows.layer_moments import LayerMoments, Vector, merge
from bnprobe.observe.rows.open_step import OpenStep, own_row
from bnprobe.observe.signals.records import OUTPUT, Tap

#: A step's single numbers, which may lie on an accelerator.
_SINGLES = ("scale", "fused_scale", "skipped", "clip_norm")


class ChannelRow(NamedTuple):
    """Every channel of one step, taken apart only when it is written: most steps are forgotten."""

    step: int
    signals: list[tuple[str, float, dict[int, LayerMoments]]]
    whole: dict[str, Vector]

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return sum(moments.packed.nbytes for _, _, present in self.signals for moments in present.values())

    def columns(self, axes: Axes) -> dict[str, Any]:
        """Return the row of the run file."""
        row: dict[str, Any] = {"snapshot": self.step, **self.whole}
        for prefix, scale, present in self.signals:
            mean = np.full(axes.channels, np.nan, dtype=np.float32)
            variance = np.full(axes.channels, np.nan, dtype=np.float32)
            with np.errstate(over="ignore", invalid="ignore"):
                for layer, moments in present.items():
                    where, channels = axes.channel_slice(layer), moments.channels
                    mean[where] = moments.packed[:channels] / scale
                    variance[where] = moments.packed[channels : 2 * channels] / scale**2
            row[f"{prefix}_mean"], row[f"{prefix}_variance"] = mean, variance
        return row


class ClosedStep:
    """A step whose numbers are on their way to the host.

    Args:
        step: the step.
        taps: its measured signals.
    """

    def __init__(self, step: OpenStep, taps: Sequence[Tap]) -> None:
        self.step = step
        self._taps = taps
        vectors: list[torch.Tensor | Vector] = [tap.moments.packed for tap in self._taps]
        for update in step.updates:
            vectors += [update.gradient, update.weight]
            if update.update is not None:
                vectors.append(update.update)
            if update.kernels is not None:
                vectors += list(update.kernels)
            if update.rows is not None:
                vectors.append(update.rows)
        vectors += [tap.statistics.gap for tap in taps if tap.statistics is not None]
        vectors += [statistics.gap for statistics in step.evaluation_gaps.values()]
        if step.stale is not None and step.stale.norms is not None:
            vectors.append(step.stale.norms)
        self._losses = [_begin_number(loss, vectors) for loss in step.losses]
        self._rates = [_begin_number(settings.rate, vectors) for settings in step.groups.values()]
        self._singles = [_begin_number(getattr(step, name), vectors) for name in _SINGLES]
        self._transfer = Transfer(vectors) if vectors else None

    @property
    def is_asynchronous(self) -> bool:
        """Whether the numbers still travel."""
        return self._transfer is not None and self._transfer.is_asynchronous

    def row(self, axes: Axes) -> tuple[dict[str, Any], ChannelRow | None]:
        """Return the step's row and, where layers were measured, every channel."""
        vectors = iter(self._transfer.result() if self._transfer is not None else ())
        activations, gradients = self._merge_taps(axes, vectors)
        updates = [self._next_update(update, vectors) for update in self.step.updates]
        gaps = [float(next(vectors)[0]) for tap in self._taps if tap.statistics is not None]
        evaluated = [float(next(vectors)[0]) for _ in self.step.evaluation_gaps]
        stale = self._stale(vectors, updates)
        self._arrive(vectors)
        row = self._own_row(stale)
        if evaluated:
            self._add_evaluation(row, axes, evaluated)
        if not self.step.observed:
            return row, None
        scale: Any = self.step.scale or 1.0
        fused_scale: Any = self.step.fused_scale or 1.0
        self._add_updates(row, axes, updates, fused_scale)
        _add_signals(row, "activation", activations, 1.0)
        _add_signals(row, "activation_gradient", gradients, scale)
        self._add_batch_norms(row, axes, gaps)
        signals = [("channel", 1.0, activations), ("channel_gradient", scale, gradients)]
        whole = {**self._weight_columns(axes, updates), **self._untrained_columns(axes)}
        return row, ChannelRow(self.step.number, signals, whole)

    def _arrive(self, vectors: Iterator[Vector]) -> None:
        """The step's own numbers are on the host."""
        step = self.step
        step.losses = tuple(_end_number(loss, vectors) for loss in self._losses)
        rates = zip(step.groups.items(), self._rates, strict=True)
        step.groups = {place: settings._replace(rate=_end_number(rate, vectors)) for (place, settings), rate in rates}
        for name, number in zip(_SINGLES, self._singles, strict=True):
            setattr(step, name, _end_number(number, vectors))

    def _own_row(self, stale: float | None) -> dict[str, Any]:
        """Return what is known of the step itself."""
        step = self.step
        row = own_row(step)
        row["batch_size"] = step.batch_size or None
        row["stale_gradient_norm"] = stale
        row["half_results"] = step.half_results
        row["softmax_twice"] = None if step.softmax_twice is None else int(step.softmax_twice)
        if step.modes is not None:
            row["modules_training"], row["modules_evaluating"], row["model_training"] = step.modes
        return row

    def _stale(self, vectors: Iterator[Vector], updates: list[_ArrivedUpdate]) -> float | None:
        """Return the norm of the gradients that were in place, over the parameters that were then moved."""
        found = self.step.stale
        if found is None:
            return None
        lengths = next(vectors) if found.norms is not None else ()
        moved = (
            parameter
            for update in updates
            for index, parameter in enumerate(update.parameters)
            if update.moved is None or update.moved[index] != 0
        )
        updated = {id(parameter) for parameter in moved}
        return math.sqrt(sum(length**2 for key, length in zip(found.parameters, lengths, strict=True) if key in updated))

    def _add_batch_norms(self, row: dict[str, Any], axes: Axes, gaps: list[float]) -> None:
        """Add what batch norms made of their batches; over micro-steps the last one counts, which has seen the most."""
        found = zip((tap for tap in self._taps if tap.statistics is not None), gaps, strict=True)
        places = {place: (tap.statistics.values, gap) for tap, gap in found if tap.statistics and (place := axes.layer(tap)) is not None}
        if places:
            columns = np.full((2, max(places) + 1), np.nan)
            columns[:, list(places)] = np.array(list(places.values())).T
            row["batch_norm_values"], row["batch_norm_gap"] = columns

    def _add_evaluation(self, row: dict[str, Any], axes: Axes, gaps: list[float]) -> None:
        found = {place: gap for key, gap in zip(self.step.evaluation_gaps, gaps, strict=True) if (place := axes.place(key)) is not None}
        if found:
            column = np.full(max(found) + 1, np.nan)
            column[list(found)] = list(found.values())
            row["batch_norm_evaluation_gap"], row["evaluation_batch_size"] = column, self.step.evaluation_samples

    def _untrained_columns(self, axes: Axes) -> dict[str, Vector]:
        counts = self.step.untrained
        if not counts:
            return {}
        modules = {axes.layer(tap): tap.key.module() for tap in self._taps if tap.key.role == OUTPUT and not tap.key.call}
        found = {place: counts[id(module)] for place, module in modules.items() if place is not None and id(module) in counts}
        if not found:
            return {}
        columns = np.full((2, max(found) + 1), np.nan)
        columns[:, list(found)] = np.array(list(found.values())).T
        return {"frozen_elements": columns[0], "forgotten_elements": columns[1]}

    def _merge_taps(self, axes: Axes, vectors: Any) -> tuple[dict[int, LayerMoments], dict[int, LayerMoments]]:
        """Return the layers' activations and activation gradients, micro-steps merged."""
        merged: tuple[dict[int, LayerMoments], dict[int, LayerMoments]] = ({}, {})
        axes.introduce_layers(self._taps)
        for tap in self._taps:
            measured = LayerMoments(tap.moments.samples, tap.moments.positions, next(vectors))
            layer = axes.layer(tap)
            if layer is not None:
                present = merged[tap.is_gradient]
                present[layer] = merge(present[layer], measured) if layer in present else measured
        return merged

    @staticmethod
    def _next_update(update: UpdateMeasurement, vectors: Any) -> _ArrivedUpdate:
        gradient, weight = next(vectors), next(vectors)
        moved = next(vectors) if update.update is not None else None
        kernels = (next(vectors), next(vectors)) if update.kernels is not None else None
        rows = next(vectors) if update.rows is not None else None
        return _ArrivedUpdate(update.parameters, gradient, weight, moved, kernels, rows)

    @staticmethod
    def _add_updates(row: dict[str, Any], axes: Axes, updates: list[_ArrivedUpdate], fused_scale: float) -> None:
        places, columns = _parameter_columns(axes, updates, "parameter_gradient_norm", "weight_norm", "update_norm")
        for update, index, place in places:
            columns["parameter_gradient_norm"][place] = update.gradient[index] / fused_scale
            columns["weight_norm"][place] = update.weight[index]
            columns["update_norm"][place] = np.nan if update.moved is None else update.moved[index]
        row.update(columns)

    @staticmethod
    def _weight_columns(axes: Axes, updates: list[_ArrivedUpdate]) -> dict[str, Vector]:
        measured = [update for update in updates if update.kernels is not None or update.rows is not None]
        if not measured:
            return {}
        places, columns = _parameter_columns(axes, measured, "kernel_slice_mean", "kernel_cmrr", "row_difference")
        for update, index, place in places:
            if update.kernels is not None:
                columns["kernel_slice_mean"][place], columns["kernel_cmrr"][place] = (values[index] for values in update.kernels)
            if update.rows is not None:
                columns["row_difference"][place] = update.rows[index]
        return {name: column for name, column in columns.items() if np.isfinite(column).any()}


class _ArrivedUpdate(NamedTuple):
    """An ``UpdateMeasurement`` on the host."""

    parameters: list[torch.Tensor]
    gradient: Vector
    weight: Vector
    moved: Vector | None
    kernels: tuple[Vector, Vector] | None
    rows: Vector | None


def _parameter_columns(
    axes: Axes, updates: list[_ArrivedUpdate], *names: str
) -> tuple[list[tuple[_ArrivedUpdate, int, int]], dict[str, Vector]]:
    """Return where each update's parameters stand on their axis, as (update, index in it, place), and empty columns that hold them."""
    found = [(update, index, axes.parameter(one)) for update in updates for index, one in enumerate(update.parameters)]
    places = [(update, index, place) for update, index, place in found if place is not None]
    width = max((place for *_, place in places), default=-1) + 1
    return places, {name: np.full(width, np.nan) for name in names}


def _begin_number(value: Any, vectors: list[torch.Tensor | Vector]) -> Any:
    """Read a number that is at hand; send one that lies on an accelerator with the others, and return None for it."""
    if not isinstance(value, torch.Tensor):
        return (value,)
    if value.is_cpu:
        return (value.item(),)
    vectors.append(value.detach().reshape(1))
    return None


def _end_number(number: Any, vectors: Iterator[Vector]) -> Any:
    return float(next(vectors)[0]) if number is None else number[0]


def _add_signals(row: dict[str, Any], prefix: str, present: dict[int, LayerMoments], scale: float) -> None:
    """Add a kind of signal, layer by layer; a gradient scaler's factor is taken out."""
    if not present:
        return
    places = list(present)
    low, high, zeros, nonfinite, common, between, variance, dead = np.array([one.packed[-SUMMARY:] for one in present.values()]).T
    sizes = np.array([one.samples * one.positions * one.channels for one in present.values()])
    with np.errstate(over="ignore", invalid="ignore"):
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
