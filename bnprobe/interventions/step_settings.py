"""Settings of parameter groups that are others while an optimizer steps: weight decay and learning rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Handler, Intervention

#: Functions that are given weights by layers, or that say something about them.
_LAYERS = (
    *("linear", "bilinear", "embedding", "embedding_bag", "matmul", "__matmul__", "addmm", "mm", "bmm", "einsum", "prelu", "to", "float"),
    *("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    *("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "multi_head_attention_forward"),
    *("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"),
    *("__get__", "__set__", "size", "dim", "numel", "is_floating_point", "is_complex", "detach", "item", "element_size", "data_ptr"),
    *("t", "backward", "register_hook", "is_contiguous", "__hash__", "__repr__", "__len__"),
)
_NO_WRITING = ("requires_grad_", "retain_grad")


class _StepSetting(Intervention):
    """Changes one setting of each group around a step, and puts it back, for a schedule computes the next value from it."""

    setting: str

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._before: list[tuple[dict[str, Any], Any]] = []
        self._taken: dict[int, int] = {}

    def value(self, group: dict[str, Any], step: int) -> Any:
        """Return what the setting is to be at a step of the group's optimizer, counted from 0."""
        raise NotImplementedError

    def before_step(self, optimizer: Optimizer) -> None:
        """Change it."""
        step = self._taken.get(id(optimizer), 0)
        self._taken[id(optimizer)] = step + 1
        for i, group in enumerate(optimizer.param_groups):
            if self.setting not in group:
                continue
            own, wanted = group[self.setting], self.value(group, step)
            if float(own) != float(wanted):
                self._before.append((group, own))
                group[self.setting] = wanted
                self.touched[f"{type(optimizer).__name__} group {i}"] += 1

    def after_step(self, optimizer: Optimizer) -> None:
        """Put it back."""
        while self._before:
            group, own = self._before.pop()
            group[self.setting] = own


class NoWeightDecay(_StepSetting):
    """The intervention ``no-weight-decay``."""

    setting = "weight_decay"
    what = "steps of parameter groups with weight decay"
    nothing = "no parameter group has weight decay"

    def __init__(self, steps: int) -> None:
        super().__init__(steps)
        self._has_stepped = self._is_stepping = self._has_looked = self._is_by_hand = False

    def is_ruled_out(self) -> bool:
        """Whether weights enter layers alone, and no penalty, and only the optimizer writes to them."""
        return self._has_looked and not self._is_by_hand

    def calls(self) -> Mapping[str, Handler]:
        """Look at what is computed from weights."""
        return {"": self._seen}

    def _seen(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = getattr(func, "__name__", "")
        weights = () if self._is_stepping or not self._has_stepped else (one for one in args if isinstance(one, nn.Parameter))
        if any(one.requires_grad for one in weights):
            is_written_to = name.endswith("_") and not name.startswith("__") and name not in _NO_WRITING
            self._is_by_hand |= is_written_to or (torch.is_grad_enabled() and name not in _LAYERS)
        return func(*args, **kwargs)

    def before_step(self, optimizer: Optimizer) -> None:
        """What the optimizer does to weights is no penalty."""
        self._has_looked |= self._has_stepped
        self._is_stepping = True
        super().before_step(optimizer)

    def after_step(self, optimizer: Optimizer) -> None:
        """The script is at work again."""
        super().after_step(optimizer)
        self._is_stepping, self._has_stepped = False, True

    def value(self, group: dict[str, Any], step: int) -> float:
        """None."""
        return 0.0


class ConstantRate(_StepSetting):
    """The intervention ``constant-rate``: the largest rate of a cycle, or the one that the schedule began from."""

    setting = "lr"
    what = "steps at a rate that a schedule had moved"
    nothing = "no schedule moves the learning rate"
    by_step = None

    def value(self, group: dict[str, Any], step: int) -> Any:
        """The base rate of torch's schedules; without one of them the rate as it is."""
        return group.get("max_lr", group.get("initial_lr", group["lr"]))


class WarmUp(_StepSetting):
    """The intervention ``warm-up``: linear, over a fifth of the steps and at least ten."""

    setting = "lr"
    what = "steps at a smaller rate"
    nothing = "no parameter group has a learning rate"

    def value(self, group: dict[str, Any], step: int) -> Any:
        """The rate, times the share of the warm-up that is over."""
        return group["lr"] * min(1.0, (step + 1) / max(10.0, self.steps / 5))
