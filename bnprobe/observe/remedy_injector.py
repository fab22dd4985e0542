"""Remedies for an unedited script: they act the moment its optimizer is built.

That moment is the last at which nothing has been trained and the first at which it is known what will be. The constructor of every
optimizer runs through ``Optimizer.__init__``; once that has put the parameter groups together, the modules that own the parameters are
looked up among the live objects. No watch on modules being built is needed for that, and so models that were copied or unpickled, which
torch's registration hooks do not see, are found, too.
"""

from __future__ import annotations

import functools
import gc
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

from bnprobe.errors import RemedyError
from bnprobe.identity import OwnReference
from bnprobe.observe.modules.parts import modules
from bnprobe.observe.patches import Patches
from bnprobe.remedies.application import Applied, hand_over
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.specification import parse_all


class RemedyInjector:
    """Applies remedies to whatever the script trains.

    Args:
        remedies: as typed after ``--remedy``, in order.
        on_applied: called with ``record()`` when remedies have been applied to a model.

    Raises:
        RemedyError: one of them is unknown.
    """

    def __init__(self, remedies: Sequence[str], on_applied: Callable[[list[dict[str, Any]]], None] | None = None) -> None:
        self._specifications = parse_all(remedies)
        self._on_applied = on_applied
        self._applied: list[Applied] = []
        self._known: dict[int, weakref.ref[torch.Tensor]] = {}
        self._loaded: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._refusal: RemedyError | None = None
        self._patches = Patches()
        self._handle: Any = None

    def attach(self) -> None:
        """Wait for an optimizer."""
        self._patches.replace(Optimizer, "__init__", self._injecting)
        self._patches.replace(nn.Module, "load_state_dict", self._seeing_loads)
        self._handle = register_optimizer_step_pre_hook(self._check_step)

    def detach(self) -> None:
        """Wait no longer; what was applied stays, for the script still saves or evaluates its model."""
        self._patches.undo()
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def record(self) -> list[dict[str, Any]]:
        """Return what was applied, ready for JSON: every remedy with its settings and what it touched, model by model."""
        return [entry for applied in self._applied for entry in applied.record()]

    # -- inside -------------------------------------------------------------------------------------------------------

    def _injecting(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def __init__(optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
            original(optimizer, *args, **kwargs)
            try:
                self._inject(optimizer)
            except RemedyError as error:
                self._refusal = error
                raise

        return __init__

    def _inject(self, optimizer: Optimizer) -> None:
        trained = [p for group in optimizer.param_groups for p in group["params"] if not self._is_known(p)]
        models = models_of(trained) if trained else []
        if not models:  # a further optimizer for the same model, or one for tensors that belong to no module
            return
        scope = Scope(models, trained)
        self._check_loaded(models)
        try:
            applied = Applied(self._specifications, scope)
        except RemedyError:
            if self._applied:  # the second model of two need not have what the first one had
                return
            raise
        for touched, remedy in zip(applied.touched, applied.remedies, strict=True):
            hand_over(optimizer, touched.added, remedy.name)
        self._applied.append(applied)
        self._known.update((id(p), OwnReference(p)) for p in scope.trained.values())
        if self._on_applied is not None:
            self._on_applied(self.record())

    def _is_known(self, parameter: torch.Tensor) -> bool:
        known = self._known.get(id(parameter))
        return known is not None and known() is parameter

    def _check_loaded(self, models: Iterable[nn.Module]) -> None:
        destructive = [one for one in self._specifications if getattr(one.settings, "keep_weights", True) is False]
        within = {id(module) for model in models for module in modules(model)}
        loaded = [module for module in self._loaded if id(module) in within]
        if destructive and loaded:
            name = destructive[0].entry.name
            raise RemedyError(
                f"remedy {name} sets the weights anew, and weights were loaded into this {type(loaded[0]).__name__}",
                f"to go on from them: --remedy {name}:keep-weights",
            )

    def _check_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Let no training begin without the remedies: a script may have caught the refusal, or its parameters belong to nothing we know."""
        if self._refusal is not None:
            raise self._refusal
        if not self._applied:
            count = sum(len(group["params"]) for group in optimizer.param_groups)
            raise RemedyError(
                f"no remedy was applied: the {count} parameters of {type(optimizer).__name__} belong to no module",
                f'in the script: bnprobe.remedies.apply("{self._specifications[0].text}", model)',
            )

    def _seeing_loads(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_state_dict(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            result = original(module, *args, **kwargs)
            self._loaded.add(module)
            return result

        return load_state_dict


def models_of(parameters: Sequence[torch.Tensor]) -> list[nn.Module]:
    """Return the outermost modules that hold the parameters, wrappers included."""
    wanted = {id(parameter) for parameter in parameters}
    # type(), not isinstance(): that asks lazy proxies for their class, and some then do all their work.
    modules = [thing for thing in gc.get_objects() if issubclass(type(thing), nn.Module) and "_modules" in thing.__dict__]
    parents: dict[int, list[nn.Module]] = {}
    for module in modules:
        for child in module._modules.values():
            if child is not None:
                parents.setdefault(id(child), []).append(module)
    found: dict[int, nn.Module] = {}
    pending = [module for module in modules if any(id(p) in wanted for p in module._parameters.values())]
    seen: set[int] = set()
    while pending:
        module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        if id(module) in parents:
            pending += parents[id(module)]
        else:
            found[id(module)] = module
    return sorted(found.values(), key=lambda model: next(i for i, other in enumerate(modules) if other is model))
