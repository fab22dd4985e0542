"""Interventions at work in the process of a trial: one place that listens to the training and passes on what each wants to know."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode

from bnprobe.interventions.catalogue import entry
from bnprobe.interventions.intervention import Handler, Intervention
from bnprobe.observe.attaching.patches import Patches
from bnprobe.torch_private import is_inner_step

#: Places that a record names, at most.
_MOST_NAMED = 20


class AtWork:
    """The interventions of one trial.

    Args:
        names: of the catalogue.
        steps: optimizer steps that the trial will take.
    """

    def __init__(self, names: Sequence[str], steps: int) -> None:
        self._interventions: list[Intervention] = [entry(name).load()(steps) for name in names]
        self._patches = Patches()
        self._handles: list[Any] = []
        self._mode: _Calls | None = None
        self._steps = 0
        self._is_going_backward = False

    def attach(self) -> None:
        """Listen to the training; torch has just been imported."""
        self._patches.replace(Optimizer, "__init__", self._telling_of_optimizers)
        self._patches.replace(torch.autograd, "backward", self._telling_of_backwards)
        for one in self._interventions:
            one.attach(self._patches)
        if self._overrides("before_forward"):
            self._handles.append(register_module_forward_pre_hook(self._before_forward))  # type: ignore[arg-type]
        if self._overrides("after_forward"):
            self._handles.append(register_module_forward_hook(self._after_forward, always_call=True))
        self._handles.append(register_optimizer_step_pre_hook(self._before_step))
        self._handles.append(register_optimizer_step_post_hook(self._after_step))
        handlers = {name: handler for one in self._interventions for name, handler in one.calls().items()}
        if handlers:
            self._mode = _Calls(handlers)
            self._mode.__enter__()  # type: ignore[no-untyped-call]

    def detach(self) -> None:
        """Change nothing any more."""
        self._patches.undo()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        if self._mode is not None:
            self._mode.is_on = False

    def __enter__(self) -> AtWork:
        self.attach()
        return self

    def __exit__(self, *error: object) -> None:
        self.detach()
        if self._mode is not None:
            self._mode.__exit__(*error)  # type: ignore[no-untyped-call]

    def record(self) -> list[dict[str, Any]]:
        """Return, ready for JSON, what each intervention changed, or why it changed nothing."""
        return [
            {
                "name": one.entry.name,
                "what": one.what,
                "count": sum(one.touched.values()),
                "touched": list(one.touched)[:_MOST_NAMED],
                "refusal": one.refusal(),
                "is_ruled_out": bool(one.refusal()) and one.is_ruled_out(),
                "is_no_choice": one.is_no_choice(),
            }
            for one in self._interventions
        ]

    def is_in_vain(self) -> bool:
        """Whether one has found nothing to change, and will not any more."""
        return any(one.by_step is not None and self._steps >= one.by_step and one.refusal() for one in self._interventions)

    # -- what the training does ---------------------------------------------------------------------------------------

    def _overrides(self, method: str) -> bool:
        return any(getattr(type(one), method) is not getattr(Intervention, method) for one in self._interventions)

    def _telling_of_optimizers(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def __init__(optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
            original(optimizer, *args, **kwargs)
            for one in self._interventions:
                one.optimizer_built(optimizer)

        return __init__

    def _telling_of_backwards(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def backward(*args: Any, **kwargs: Any) -> Any:
            if self._is_going_backward:  # a checkpoint goes backward in the middle of one
                return original(*args, **kwargs)
            self._is_going_backward = True
            try:
                for one in self._interventions:
                    one.before_backward()
                result = original(*args, **kwargs)
            finally:
                self._is_going_backward = False
            for one in self._interventions:
                one.after_backward()
            return result

        return backward

    def _before_forward(self, module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        changed: tuple[Any, ...] | None = None
        for one in self._interventions:
            changed = one.before_forward(module, args if changed is None else changed) or changed
        return changed

    def _after_forward(self, module: nn.Module, args: Any, output: Any) -> None:
        for one in self._interventions:
            one.after_forward(module)

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not is_inner_step(optimizer):
            for one in self._interventions:
                one.before_step(optimizer)

    def _after_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not is_inner_step(optimizer):
            self._steps += 1
            for one in self._interventions:
                one.after_step(optimizer)


class _Calls(TorchFunctionMode):
    """Stands between the script and the functions of torch.

    Args:
        handlers: who stands in for a function, by its name; "" for all others.
    """

    def __init__(self, handlers: dict[str, Handler]) -> None:
        super().__init__()
        self._handlers = handlers
        self._others = handlers.get("")
        self.is_on = True

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        handler = self._handlers.get(getattr(func, "__name__", ""), self._others) if self.is_on else None
        return func(*args, **kwargs) if handler is None else handler(func, args, kwargs)
