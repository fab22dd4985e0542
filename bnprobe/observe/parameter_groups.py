"""Settings of parameter groups, looked at where they are used, so that every scheduler is seen."""

from __future__ import annotations

import operator
import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from bnprobe.observe.axes import Axes
from bnprobe.observe.open_step import GroupSettings
from bnprobe.observe.optimizers import Optimizer
from bnprobe.observe.privacy import at_hand

_NAMES = ("lr", "momentum", "betas", "weight_decay")


class _Known(NamedTuple):
    sizes: list[int]
    values: list[Any]
    settings: Mapping[int, GroupSettings]


class GroupReader:
    """Reads the groups of optimizers, anew only where a value is another object than it was: most are the same for many steps.

    Args:
        axes: where groups and parameters get their places.
    """

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        self._known: weakref.WeakKeyDictionary[Optimizer, _Known] = weakref.WeakKeyDictionary()

    def read(self, optimizer: Optimizer) -> Mapping[int, GroupSettings]:
        """Return the settings of an optimizer's groups by place; not to be changed."""
        groups = optimizer.param_groups
        sizes = [len(group["params"]) for group in groups]
        values = [group.get(name) for group in groups for name in _NAMES]
        known = self._known.get(optimizer)
        if known is not None and known.sizes == sizes and all(map(operator.is_, known.values, values)):
            return known.settings
        settings = {place: group_settings(group) for place, group in zip(self._axes.introduce(optimizer), groups, strict=True)}
        if any(isinstance(value, torch.Tensor | list) for value in values):  # the same object, and yet another number
            self._known.pop(optimizer, None)
        else:
            self._known[optimizer] = _Known(sizes, values, settings)
        return settings


def group_settings(group: Mapping[str, Any]) -> GroupSettings:
    """Return the settings of a parameter group as they are now."""
    betas = group.get("betas")
    momentum = group.get("momentum", betas[0] if betas else float("nan"))
    rate = group.get("lr", float("nan"))
    rate = at_hand(rate) if isinstance(rate, torch.Tensor) else _number(rate)
    return GroupSettings(rate, _number(momentum), _number(group.get("weight_decay", float("nan"))))


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        return float("nan")
