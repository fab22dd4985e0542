"""The open step: everything seen since the last optimizer step, and how it becomes a row of the run file.

Measured vectors stay on their device until the step is closed; then one transfer brings them to the host, where the numbers of all
micro-steps of a layer are merged and the energy split is computed in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.measure.transfer import Transfer
from bnprobe.observe.axes import Axes
from bnprobe.observe.forward import Tap
from bnprobe.observe.parameters import UpdateMeasurement

Vector = NDArray[np.float64]


@dataclass
class OpenStep:
    """What has been seen of the step that is going on.

    Attributes:
        number: the step, counted from 0.
        observed: whether layers and parameters are measured.
        losses: detached losses of its backward calls, unscaled.
        scale: factor of the gradient scaler, if there is one.
        stepped: optimizers that have stepped, by id.
        skipped: tensor or bool, true where a scaler refused the step.
        groups: place of a parameter group -> (learning rate, momentum, weight decay).
        updates: norms around the updates.
    """

    number: int
    observed: bool
    losses: list[torch.Tensor] = field(default_factory=list)
    scale: torch.Tensor | None = None
    fused_scale: torch.Tensor | None = None
    stepped: set[int] = field(default_factory=set)
    skipped: torch.Tensor | bool = False
    micro_steps: int = 0
    groups: dict[int, tuple[Any, float, float]] = field(default_factory=dict)
    updates: list[UpdateMeasurement] = field(default_factory=list)
    clip_norm: torch.Tensor | None = None
    batch_size: int = 0
    evaluations: int = 0
    seconds: float = 0.0
    observer_seconds: float = 0.0
    wall_time: float = 0.0


class ChannelMoments(NamedTuple):
    """Moments of one layer at one step, on the host, float64; see measure.moments."""

    samples: int
    positions: int
    mean: Vector
    variance: Vector
    between: Vector
    scalars: Vector


class ClosedStep:
    """A step whose numbers are on their way to the host.

    Args:
        step: the step.
        taps: its measured signals.
    """

    def __init__(self, step: OpenStep, taps: Sequence[Tap]) -> None:
        self.step = step
        self._taps = _belonging(taps)
        vectors: list[torch.Tensor] = []
        for tap in self._taps:
            vectors += [tap.moments.mean, tap.moments.variance, tap.moments.between, tap.moments.scalars]
        for update in step.updates:
            vectors += [update.gradient, update.weight]
            if update.update is not None:
                vectors.append(update.update)
        self._plain = [*step.losses, *[rate for rate, _, _ in step.groups.values()]]
        self._plain += [step.scale, step.fused_scale, step.skipped, step.clip_norm]
        vectors += [value.detach().reshape(1) for value in self._plain if isinstance(value, torch.Tensor)]
        self._transfer = Transfer(vectors)

    @property
    def is_asynchronous(self) -> bool:
        """Whether the numbers still travel."""
        return self._transfer.is_asynchronous

    def row(self, axes: Axes) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Return the step's row and, where layers were measured, its row of channels."""
        vectors = iter(self._transfer.result())
        merged = self._merge_taps(axes, vectors)
        updates = [self._next_update(update, vectors) for update in self.step.updates]
        values = [float(next(vectors)[0]) if isinstance(value, torch.Tensor) else value for value in self._plain]
        losses, values = values[: len(self.step.losses)], values[len(self.step.losses) :]
        rates, (scale, fused_scale, skipped, clip_norm) = values[:-4], values[-4:]
        step = self.step
        row: dict[str, Any] = {
            "step": step.number,
            "loss": float(np.mean(losses)) if losses else None,
            "wall_time": step.wall_time,
            "step_seconds": step.seconds,
            "observer_seconds": step.observer_seconds,
            "batch_size": step.batch_size or None,
            "micro_steps": step.micro_steps,
            "skipped": int(bool(skipped)),
            "layers_observed": int(step.observed),
            "evaluations": step.evaluations,
            "clip_norm": clip_norm,
        }
        self._add_groups(row, rates)
        if not step.observed:
            return row, None
        self._add_updates(row, axes, updates, fused_scale or 1.0)
        channels: dict[str, Any] = {"snapshot": step.number}
        with np.errstate(over="ignore", invalid="ignore"):
            for prefix, channel_prefix, is_gradient in (
                ("activation", "channel", False),
                ("activation_gradient", "channel_gradient", True),
            ):
                present = {layer: moments for (layer, gradient), moments in merged.items() if gradient is is_gradient}
                _add_signals(row, prefix, present, (scale or 1.0) if is_gradient else 1.0)
                _add_channels(channels, channel_prefix, axes, present, (scale or 1.0) if is_gradient else 1.0)
        return row, channels

    def _merge_taps(self, axes: Axes, vectors: Any) -> dict[tuple[int, bool], ChannelMoments]:
        merged: dict[tuple[int, bool], ChannelMoments] = {}
        for tap in self._taps:
            measured = ChannelMoments(
                tap.moments.samples, tap.moments.positions, next(vectors), next(vectors), next(vectors), next(vectors)
            )
            layer = axes.layer(tap)
            if layer is None:
                continue
            place = (layer, tap.is_gradient)
            merged[place] = merge(merged[place], measured) if place in merged else measured
        return merged

    @staticmethod
    def _next_update(update: UpdateMeasurement, vectors: Any) -> tuple[list[torch.Tensor], Vector, Vector, Vector | None]:
        return update.parameters, next(vectors), next(vectors), next(vectors) if update.update is not None else None

    def _add_groups(self, row: dict[str, Any], rates: list[Any]) -> None:
        places = list(self.step.groups)
        width = max(places, default=-1) + 1
        columns = {name: np.full(width, np.nan) for name in ("learning_rate", "momentum", "weight_decay")}
        for place, rate in zip(places, rates, strict=True):
            columns["learning_rate"][place] = rate
            columns["momentum"][place] = self.step.groups[place][1]
            columns["weight_decay"][place] = self.step.groups[place][2]
        row.update(columns)

    def _add_updates(self, row: dict[str, Any], axes: Axes, updates: list[Any], fused_scale: float) -> None:
        places = [[axes.parameter(parameter) for parameter in parameters] for parameters, *_ in updates]
        width = max((place for found in places for place in found if place is not None), default=-1) + 1
        columns = {name: np.full(width, np.nan) for name in ("parameter_gradient_norm", "weight_norm", "update_norm")}
        for found, (_, gradient, weight, moved) in zip(places, updates, strict=True):
            for index, place in enumerate(found):
                if place is not None:
                    columns["parameter_gradient_norm"][place] = gradient[index] / fused_scale
                    columns["weight_norm"][place] = weight[index]
                    columns["update_norm"][place] = np.nan if moved is None else moved[index]
        row.update(columns)


def merge(a: ChannelMoments, b: ChannelMoments) -> ChannelMoments:
    """Merge the moments of two batches of one layer (Chan, Golub, LeVeque 1979), channel by channel.

    The batches may differ in samples and positions; samples weigh by their positions.
    """
    weight_a, weight_b = a.samples * a.positions, b.samples * b.positions
    share = weight_b / (weight_a + weight_b)
    with np.errstate(over="ignore", invalid="ignore"):
        delta = b.mean - a.mean
        spread = share * (1.0 - share) * delta * delta
        mean = a.mean + share * delta
        variance = (1.0 - share) * a.variance + share * b.variance + spread
        between = (1.0 - share) * a.between + share * b.between + spread
    scalars = np.array(
        [
            np.fmin(a.scalars[0], b.scalars[0]),
            np.fmax(a.scalars[1], b.scalars[1]),
            a.scalars[2] + b.scalars[2],
            a.scalars[3] + b.scalars[3],
        ]
    )
    samples = a.samples + b.samples
    return ChannelMoments(samples, (weight_a + weight_b) // samples, mean, variance, between, scalars)


def _belonging(taps: Sequence[Tap]) -> list[Tap]:
    """Leave out forwards of models in evaluation mode beside a model that trains: they are no part of the step."""
    if any(tap.in_training for tap in taps):
        return [tap for tap in taps if tap.in_training]
    return list(taps)


def _add_signals(row: dict[str, Any], prefix: str, present: dict[int, ChannelMoments], scale: float) -> None:
    width = max(present, default=-1) + 1
    names = ("common_energy", "between_energy", "within_energy", "rms", "min", "max", "nonfinite", "zeros")
    columns = {name: np.full(width, np.nan) for name in names}
    dead = np.full(width, np.nan)
    for layer, moments in present.items():
        low, high, zeros, nonfinite = moments.scalars
        size = moments.samples * moments.positions * len(moments.mean)
        common = float(np.mean(moments.mean * moments.mean)) / scale**2
        between = float(np.mean(moments.between)) / scale**2
        within = max(0.0, float(np.mean(moments.variance)) / scale**2 - between) if np.isfinite(between) else np.inf
        if nonfinite:
            common = between = within = np.inf
        columns["common_energy"][layer] = common
        columns["between_energy"][layer] = between
        columns["within_energy"][layer] = within
        columns["rms"][layer] = np.sqrt(common + between + within)
        columns["min"][layer] = low / scale
        columns["max"][layer] = high / scale
        columns["nonfinite"][layer] = nonfinite
        columns["zeros"][layer] = zeros / size
        dead[layer] = np.mean((moments.mean == 0.0) & (moments.variance == 0.0))
    row.update({f"{prefix}_{name}": column for name, column in columns.items()})
    if prefix == "activation":
        row["activation_dead"] = dead


def _add_channels(row: dict[str, Any], prefix: str, axes: Axes, present: dict[int, ChannelMoments], scale: float) -> None:
    mean = np.full(axes.channels, np.nan, dtype=np.float32)
    variance = np.full(axes.channels, np.nan, dtype=np.float32)
    for layer, moments in present.items():
        where = axes.channel_slice(layer)
        mean[where] = moments.mean / scale
        variance[where] = moments.variance / scale**2
    row[f"{prefix}_mean"] = mean
    row[f"{prefix}_variance"] = variance
