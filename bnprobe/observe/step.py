"""The open step: everything seen since the last optimizer step, and how it becomes a row of the run file.

Measured vectors stay on their device until the step is closed; then one transfer brings them to the host, where the numbers of all
micro-steps of a layer are merged and the energy split is computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure.fused import SUMMARY
from bnprobe.measure.transfer import Transfer
from bnprobe.observe.axes import Axes
from bnprobe.observe.batch_statistics import BatchStatistics
from bnprobe.observe.carried import CarriedGradients
from bnprobe.observe.forward import OUTPUT, Modes, Tap, TapKey
from bnprobe.observe.parameters import UpdateMeasurement
from bnprobe.observe.untrained import Untrained

Vector = NDArray[np.float64]


@dataclass
class OpenStep:
    """What has been seen of the step that is going on.

    Attributes:
        number: the step, counted from 0.
        observed: whether layers and parameters are measured.
        losses: losses of its backward calls, unscaled; None for one that started from no scalar. A closure that an optimizer runs again
            adds none: it is the same loss at other weights.
        scale: factor of the gradient scaler, if there is one.
        stepped: what has moved the weights: optimizers, or the recorder itself where the script does it by hand.
        returned_gradients: gradients that torch.autograd.grad returned, by id of the parameter.
        evaluations_seen: whether evaluations after the update were counted.
        skipped: tensor or bool, true where a scaler refused the step.
        groups: place of a parameter group -> (learning rate, momentum, weight decay).
        updates: norms around the updates.
        probe_seconds: the part of ``observer_seconds`` that was asked for beyond the measuring of layers, which no budget thins.
        carried: gradients that its first backward found in place; None where it was not looked.
        squashed_twice: whether a loss squashed what had been squashed; None where that is not known.
        modes: in which mode its forwards ran.
        evaluation_gaps: what batch norms met in an evaluation after the step, by signal, and its samples.
        untrained: parameters that nobody trains, by id of the module; None where it was not looked.
    """

    number: int
    observed: bool
    losses: list[torch.Tensor | float | None] = field(default_factory=list)
    scale: torch.Tensor | None = None
    fused_scale: torch.Tensor | None = None
    stepped: list[object] = field(default_factory=list)
    skipped: torch.Tensor | bool = False
    micro_steps: int = 0
    groups: dict[int, tuple[Any, float, float]] = field(default_factory=dict)
    updates: list[UpdateMeasurement] = field(default_factory=list)
    clip_norm: torch.Tensor | None = None
    returned_gradients: dict[int, torch.Tensor] | None = None
    carried: CarriedGradients | None = None
    squashed_twice: bool | None = None
    modes: Modes | None = None
    untrained: dict[int, Untrained] | None = None
    evaluation_gaps: dict[TapKey, BatchStatistics] = field(default_factory=dict)
    evaluation_samples: int = 0
    evaluations_seen: bool = True
    batch_size: int = 0
    evaluations: int = 0
    seconds: float = 0.0
    observer_seconds: float = 0.0
    probe_seconds: float = 0.0
    wall_time: float = 0.0


class LayerMoments(NamedTuple):
    """Moments of one layer at one step, on the host; ``packed`` as in ``measure.moments.Moments``."""

    samples: int
    positions: int
    packed: Vector

    @property
    def channels(self) -> int:
        """C."""
        return (len(self.packed) - SUMMARY) // 3


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
        if step.carried is not None and step.carried.norms is not None:
            vectors.append(step.carried.norms)
        self._losses = [_begin_number(loss, vectors) for loss in step.losses]
        self._rates = {place: _begin_number(settings[0], vectors) for place, settings in step.groups.items()}
        single = (step.scale, step.fused_scale, step.skipped, step.clip_norm)
        self._singles = [_begin_number(value, vectors) for value in single]
        self._transfer = Transfer(vectors) if vectors else None

    @property
    def is_bare(self) -> bool:
        """Whether nothing was measured and nothing travels: the numbers of the step itself are all there is."""
        return self._transfer is None and not self._taps

    @property
    def loss(self) -> float | None:
        """The loss of a bare step."""
        losses = [loss[0] for loss in self._losses if loss[0] is not None]
        return sum(losses) if losses else None

    @property
    def was_skipped(self) -> bool:
        """Whether a scaler refused a bare step."""
        return bool(self._singles[2][0])

    @property
    def is_asynchronous(self) -> bool:
        """Whether the numbers still travel."""
        return self._transfer is not None and self._transfer.is_asynchronous

    def row(self, axes: Axes) -> tuple[dict[str, Any], ChannelRow | None]:
        """Return the step's row and, where layers were measured, every channel."""
        if self.is_bare and not self.step.observed:  # most steps, under a budget: nothing of what follows is theirs
            return self._own_columns(self._arrived(iter(())), None), None
        vectors = iter(self._transfer.result() if self._transfer is not None else ())
        activations, gradients = self._merge_taps(axes, vectors)
        updates = [self._next_update(update, vectors) for update in self.step.updates]
        gaps = [float(next(vectors)[0]) for tap in self._taps if tap.statistics is not None]
        evaluated = [float(next(vectors)[0]) for _ in self.step.evaluation_gaps]
        carried = self._carried(vectors)
        numbers = self._arrived(vectors)
        row = self._own_columns(numbers, carried)
        if evaluated:
            self._add_evaluation(row, axes, evaluated)
        if not self.step.observed:
            return row, None
        scale = numbers.scale or 1.0
        self._add_updates(row, axes, updates, numbers.fused_scale or 1.0)
        _add_signals(row, "activation", activations, 1.0)
        _add_signals(row, "activation_gradient", gradients, scale)
        self._add_batch_norms(row, axes, gaps)
        signals = [("channel", 1.0, activations), ("channel_gradient", scale, gradients)]
        whole = {**self._weight_columns(axes, updates), **self._untrained_columns(axes)}
        return row, ChannelRow(self.step.number, signals, whole)

    def _arrived(self, vectors: Iterator[Vector]) -> _Numbers:
        losses = [loss for loss in (_end_number(loss, vectors) for loss in self._losses) if loss is not None]
        rates = {place: _end_number(rate, vectors) for place, rate in self._rates.items()}
        return _Numbers(sum(losses) if losses else None, rates, *(_end_number(value, vectors) for value in self._singles))

    def _own_columns(self, numbers: _Numbers, carried: float | None) -> dict[str, Any]:
        """Return the columns that every step has, whether or not its layers were measured."""
        step = self.step
        row: dict[str, Any] = {
            "step": step.number,
            "loss": numbers.loss,
            "wall_time": step.wall_time,
            "step_seconds": step.seconds,
            "observer_seconds": step.observer_seconds,
            "batch_size": step.batch_size or None,
            "micro_steps": step.micro_steps,
            "skipped": int(bool(numbers.skipped)),
            "layers_observed": int(step.observed),
            "evaluations": step.evaluations if step.evaluations_seen else None,
            "clip_norm": numbers.clip_norm,
            "loss_scale": numbers.scale if numbers.scale is not None else numbers.fused_scale,
            "carried_gradient_norm": carried,
            "squashed_twice": None if step.squashed_twice is None else int(step.squashed_twice),
        }
        if step.modes is not None:
            row["modules_training"], row["modules_evaluating"], row["model_training"] = step.modes
        if numbers.rates:
            self._add_groups(row, numbers.rates)
        return row

    def _carried(self, vectors: Iterator[Vector]) -> float | None:
        """Return the norm of the gradients that were in place, over the parameters that were then updated."""
        found = self.step.carried
        if found is None:
            return None
        lengths = next(vectors) if found.norms is not None else ()
        updated = {id(parameter) for update in self.step.updates for parameter in update.parameters}
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

    def _add_groups(self, row: dict[str, Any], rates: dict[int, float]) -> None:
        missing = [math.nan] * (max(rates) + 1)
        row["learning_rate"], row["momentum"], row["weight_decay"] = missing.copy(), missing.copy(), missing
        for place, rate in rates.items():
            row["learning_rate"][place] = rate
            _, row["momentum"][place], row["weight_decay"][place] = self.step.groups[place]

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


class _Numbers(NamedTuple):
    """The step's own numbers on the host; what it does not have is None."""

    loss: float | None
    rates: dict[int, float]
    scale: float | None
    fused_scale: float | None
    skipped: float | bool | None
    clip_norm: float | None


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


def merge(a: LayerMoments, b: LayerMoments) -> LayerMoments:
    """Merge the moments of two batches of one layer (Chan, Golub, LeVeque 1979), channel by channel.

    The batches may differ in samples and positions; samples weigh by their positions.
    """
    weight_a, weight_b = a.samples * a.positions, b.samples * b.positions
    share = weight_b / (weight_a + weight_b)
    parts = [moments.packed[:-SUMMARY].reshape(3, -1) for moments in (a, b)]
    with np.errstate(over="ignore", invalid="ignore"):
        merged = (1.0 - share) * parts[0] + share * parts[1]
        delta = parts[1][0] - parts[0][0]
        merged[1:] += share * (1.0 - share) * delta * delta
        energies = [np.mean(merged[0] ** 2), np.mean(merged[2]), np.mean(merged[1]), np.mean((merged[0] == 0) & (merged[1] == 0))]
    first, second = a.packed[-SUMMARY:], b.packed[-SUMMARY:]
    extremes = [np.fmin(first[0], second[0]), np.fmax(first[1], second[1]), first[2] + second[2], first[3] + second[3]]
    samples = a.samples + b.samples
    return LayerMoments(samples, (weight_a + weight_b) // samples, np.concatenate([merged.ravel(), extremes, energies]))


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
