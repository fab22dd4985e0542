"""The open step: everything seen since the last optimizer step, and the columns that every step has, measured or not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from bnprobe.observe.steps.modes import Modes
from bnprobe.observe.steps.update_measurement import UpdateMeasurement

#: A number at hand, or one that lies on an accelerator.
Number = torch.Tensor | float
_AT_HAND = frozenset({float, bool, type(None)})
#: Modes that are not known.
_UNKNOWN = Modes(-1, -1, -1)


class GroupSettings(NamedTuple):
    """Settings of a parameter group at one step; what is absent is NaN."""

    rate: Number
    momentum: float
    weight_decay: float


class OpenStep:
    """What has been seen of the step that is going on. A step of which nothing was measured is little more than its number.

    Attributes:
        number: the step, counted from 0.
        observed: whether layers and parameters are measured.
        losses: losses of its backward calls, unscaled; None for one that started from no scalar. A closure that an optimizer runs again
            adds none: it is the same loss at other weights.
        scale: factor of the gradient scaler, if there is one.
        fused_scale: the factor that an optimizer takes out of its gradients itself.
        skipped: true where a scaler refused the step.
        is_heard: whether the schedule has been told its loss.
        has_row: whether it was taken for the last one, and written before its end.
        micro_steps: backward calls.
        repeated_backwards: those that an optimizer asked for again within its step.
        groups: place of a parameter group -> its settings. Steps at which they are the same share it: it is replaced, never changed.
        updates: norms around the updates, for instruments that ask which parameters have moved.
        clip_norm: norm of the gradients that the script clipped.
        gradient_norm: norm of all gradients together, where it was looked at although layers are not measured.
        loss_rows: first axis of what its losses are made of, see ``loss_rows``.
        clip_limit: the norm it clipped them to, where that is a plain number.
        has_readings: an instrument has found something although layers are not measured.
        modes: in which mode its forwards ran.
        evaluations_seen: whether evaluations after the update were counted.
        evaluations: forwards of whole models without gradient.
        batch_size: samples of its forwards.
        seconds: its duration.
        observer_seconds: the recorder's part of that.
        was_interrupted: whether another program was given the processor meanwhile.
        probe_seconds: the part of ``observer_seconds`` that was asked for beyond the measuring of layers, which no budget thins.
        wall_time: seconds from the beginning of the recording to the end of the step.
    """

    losses: tuple[Number | None, ...] = ()
    scale: Number | None = None
    fused_scale: Number | None = None
    skipped: Number | bool = False
    is_heard: bool = False
    has_row: bool = False
    micro_steps: int = 0
    repeated_backwards: int = 0
    groups: Mapping[int, GroupSettings] = MappingProxyType({})
    updates: tuple[UpdateMeasurement, ...] = ()
    clip_norm: Number | None = None
    gradient_norm: float | None = None
    loss_rows: int = 0
    clip_limit: float | None = None
    has_readings: bool = False
    modes: Modes | None = None
    evaluations_seen: bool = True
    evaluations: int = 0
    batch_size: int = 0
    seconds: float = 0.0
    observer_seconds: float = 0.0
    was_interrupted: bool = False
    probe_seconds: float = 0.0
    wall_time: float = 0.0

    def __init__(self, number: int, *, observed: bool) -> None:
        self.number = number
        self.observed = observed

    @property
    def is_bare(self) -> bool:
        """Whether nothing was measured and nothing is on its way: its own numbers are all there is, and they are at hand."""
        if self.observed or self.has_readings:
            return False
        for number in (*self.losses, self.scale, self.fused_scale, self.skipped, self.clip_norm):
            if type(number) not in _AT_HAND:
                return False
        for settings in self.groups.values():
            if type(settings.rate) is not float:
                return False
        return True

    @property
    def loss_at_hand(self) -> float | None:
        """The loss, if it is known without waiting for an accelerator."""
        losses = self.losses
        if len(losses) == 1:  # as most steps have it
            return losses[0] if type(losses[0]) is float else None
        if not losses or any(type(loss) is not float for loss in losses):
            return None
        return float(sum(self.losses))  # type: ignore[arg-type]

    @property
    def loss(self) -> Any:
        """The loss; None where no backward started from a scalar. To be asked for when its parts are at hand."""
        if len(self.losses) == 1:
            return self.losses[0]
        losses: list[Any] = [loss for loss in self.losses if loss is not None]
        return sum(losses) if losses else None


def own_numbers(steps: Sequence[OpenStep]) -> dict[str, Any]:
    """Return the numbers that every step has, measured or not, by variable: one for each step. They are at hand."""
    all_modes = [step.modes or _UNKNOWN for step in steps]
    return {
        "step": [step.number for step in steps],
        "loss": [step.loss for step in steps],
        "wall_time": [step.wall_time for step in steps],
        "step_seconds": [step.seconds for step in steps],
        "observer_seconds": [step.observer_seconds for step in steps],
        "micro_steps": [step.micro_steps for step in steps],
        "repeated_backwards": [step.repeated_backwards for step in steps],
        "skipped": [int(bool(step.skipped)) for step in steps],
        "layers_observed": [int(step.observed) for step in steps],
        "evaluations": [step.evaluations if step.evaluations_seen else -1 for step in steps],
        "clip_norm": [step.clip_norm for step in steps],
        "gradient_norm": [step.gradient_norm for step in steps],
        "loss_rows": [step.loss_rows or -1 for step in steps],
        "modules_training": [modes.training for modes in all_modes],
        "modules_evaluating": [modes.evaluating for modes in all_modes],
        "model_training": [modes.model for modes in all_modes],
        "clip_limit": [step.clip_limit for step in steps],
        "loss_scale": [step.scale if step.scale is not None else step.fused_scale for step in steps],
    }


def group_columns(groups: Mapping[int, GroupSettings], width: int = 0) -> dict[str, list[Any]]:
    """Return the settings of parameter groups, by variable, along the axis of groups; without any, nothing."""
    width = max(width, *(place + 1 for place in groups)) if groups else width
    columns: dict[str, list[Any]] = {name: [math.nan] * width for name in ("learning_rate", "momentum", "weight_decay") if width}
    for place, settings in groups.items():
        for column, value in zip(columns.values(), settings, strict=True):
            column[place] = value
    return columns


def own_row(step: OpenStep) -> dict[str, Any]:
    """Return what there is of every step, measured or not, as one row."""
    return {name: numbers[0] for name, numbers in own_numbers([step]).items()} | group_columns(step.groups)


def own_columns(steps: Sequence[OpenStep]) -> dict[str, Any]:
    """Return what there is of every step, measured or not, as the run file's writer takes several rows."""
    groups = steps[0].groups
    if all(step.groups is groups for step in steps):
        return own_numbers(steps) | group_columns(groups)
    width = max(max(step.groups, default=-1) for step in steps) + 1
    rows = [group_columns(step.groups, width) for step in steps]
    return own_numbers(steps) | {name: [row[name] for row in rows] for name in rows[0]}
