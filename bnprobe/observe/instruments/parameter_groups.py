"""Settings of parameter groups, looked at where they are used, so that every scheduler is seen."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from bnprobe.identity import IdentityMap
from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.observe.instruments.instrument import Instrument, Surroundings, Update
from bnprobe.observe.steps.open_step import GroupSettings, OpenStep
from bnprobe.torch_private import at_hand, user_modes_disabled

_NAMES = ("lr", "momentum", "betas", "weight_decay")


class _Known(NamedTuple):
    """What was read of an optimizer: of each group the number of parameters and the objects, kept so that none takes their place."""

    groups: list[tuple[Any, ...]]
    settings: Mapping[int, GroupSettings]


class ParameterGroups(Instrument):
    """Reads the groups of optimizers, anew only where a value is another object than it was: most are the same for many steps.

    Args:
        around: what is there to look at.
    """

    every_step = True

    def __init__(self, around: Surroundings) -> None:
        self._axes = around.axes
        self._known: IdentityMap[Optimizer, _Known] = IdentityMap()

    def before_update(self, step: OpenStep, update: Update) -> None:
        """Note the settings with which the weights are about to be moved."""
        if update.optimizer is not None:
            groups = self.read(update.optimizer)
            step.groups = {**step.groups, **groups} if step.groups else groups

    def skipped_update(self, step: OpenStep, update: Update) -> None:
        """Note the settings all the same."""
        self.before_update(step, update)

    def read(self, optimizer: Optimizer) -> Mapping[int, GroupSettings]:
        """Return the settings of an optimizer's groups by place; not to be changed."""
        groups, known = optimizer.param_groups, self._known.get(optimizer)
        if known is not None and len(groups) == len(known.groups) and all(map(_is_known, groups, known.groups)):
            return known.settings
        with user_modes_disabled():
            return self._read_anew(optimizer)

    def known(self, optimizer: Optimizer) -> _Known | None:
        """Return what was read of an optimizer last, unless that has to be read anew each time."""
        return self._known.get(optimizer)

    def _read_anew(self, optimizer: Optimizer) -> Mapping[int, GroupSettings]:
        groups = optimizer.param_groups
        places = self._axes.introduce(optimizer)
        if not places:
            return {}
        settings = {place: group_settings(group) for place, group in zip(places, groups, strict=True)}
        values = [(len(group["params"]), *(group.get(name) for name in _NAMES)) for group in groups]
        if all(map(_is_fixed, itertools.chain(*values))):
            self._known[optimizer] = _Known(values, settings)
        else:
            self._known.pop(optimizer)
        return settings


def _is_fixed(value: Any) -> bool:
    """Whether the same object will always hold the same number, as no tensor, array or list does."""
    return value is None or isinstance(value, int | float) or (isinstance(value, tuple) and all(map(_is_fixed, value)))


def _is_known(group: Mapping[str, Any], known: tuple[Any, ...]) -> bool:
    size, rate, momentum, betas, decay = known
    get = group.get
    return (
        get("lr") is rate
        and get("momentum") is momentum
        and get("betas") is betas
        and get("weight_decay") is decay
        and len(group["params"]) == size
    )


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
