"""Copies of optimizers: with their state and settings, on other parameters, without the hooks of anybody.

``copy.deepcopy`` of an optimizer goes through ``__getstate__``, which keeps the groups and the state and loses whatever a subclass has
added. Here its attributes are copied, so that an optimizer of the script's own steps as it did.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch

#: What others have put on an optimizer: a scheduler's count of steps, hooks.
HOOKS = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)


def copy_optimizer(optimizer: torch.optim.Optimizer, leaves: Mapping[int, torch.Tensor]) -> torch.optim.Optimizer:
    """Return a copy that moves other parameters.

    Args:
        optimizer: what to copy; it is left as it is.
        leaves: by ``id`` of the parameter, what stands in its place.

    Raises:
        Exception: what copying an attribute of a subclass raises.
    """
    memo: dict[int, Any] = dict(leaves)
    twin: torch.optim.Optimizer = type(optimizer).__new__(type(optimizer))
    memo[id(optimizer)] = twin
    for name, value in vars(optimizer).items():
        if name in HOOKS:
            twin.__dict__[name] = OrderedDict()
        elif name != "step":  # a scheduler wraps it, on the optimizer itself
            twin.__dict__[name] = copy.deepcopy(value, memo)
    return twin


def settings_of(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Return what the groups say besides their parameters: numbers as they are, tensors copied."""
    return [
        {
            name: value.detach().clone() if isinstance(value, torch.Tensor) else value
            for name, value in group.items()
            if name not in ("params", "param_names")
        }
        for group in optimizer.param_groups
    ]


def set_settings(optimizer: torch.optim.Optimizer, settings: list[dict[str, Any]], factor: float) -> None:
    """Give the groups settings, their rates times a factor: everything proportional to the rate scales with it, decoupled decay, too."""
    for group, own in zip(optimizer.param_groups, settings, strict=True):
        for name, value in own.items():
            group[name] = value.clone() if isinstance(value, torch.Tensor) else value
        if own.get("lr") is not None and factor != 1.0:
            group["lr"] = own["lr"] * factor


def largest_rate(settings: list[dict[str, Any]]) -> float:
    """Return the largest rate of any group; NaN without one."""
    return max((float(own["lr"]) for own in settings if own.get("lr") is not None), default=float("nan"))
