"""Settings of parameter groups that are others while an optimizer steps: weight decay and learning rates."""

from __future__ import annotations

from typing import Any

from torch.optim.optimizer import Optimizer

from bnprobe.interventions.intervention import Intervention


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
