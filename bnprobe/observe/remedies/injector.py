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
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

from bnprobe.errors import NothingToActOn, RemedyError, TreatedAlready
from bnprobe.identity import IdentitySet, OwnReference
from bnprobe.module_parts import named_parameters
from bnprobe.module_parts import parameters as parameters_of
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.remedies.held_loads import HeldLoads, allow_forwards
from bnprobe.observe.remedies.twins import core_of, twins_of
from bnprobe.remedies.application import Applied, adopt, hand_over_fitting, untrained
from bnprobe.remedies.remedy import Added, Changes
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.specification import Specification, parse_all


class RemedyInjector:
    """Applies remedies to whatever the script trains.

    Args:
        remedies: as typed after ``--remedy``, in order.
        on_applied: called with ``record()`` when remedies have been applied to a model.
        on_passed_over: told what an optimizer trains without them, and why.

    Raises:
        RemedyError: one of them is unknown.
    """

    def __init__(
        self,
        remedies: Sequence[str],
        on_applied: Callable[[list[dict[str, Any]]], None] | None = None,
        on_passed_over: Callable[[str], None] | None = None,
    ) -> None:
        self._specifications = parse_all(remedies)
        self._on_applied = on_applied
        self._on_passed_over = on_passed_over
        self._treatments: list[_Treatment] = []
        self._optimizers: IdentitySet[Optimizer] = IdentitySet()
        self._nothing: dict[str, NothingToActOn] = {}
        self._known: dict[int, weakref.ref[torch.Tensor]] = {}
        self._loaded: IdentitySet[nn.Module] = IdentitySet()
        self._held = HeldLoads()
        self._load: Callable[..., Any] = nn.Module.load_state_dict
        self._refusal: RemedyError | None = None
        self._has_begun = False
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
        return [entry for treatment in self._treatments for entry in treatment.applied.record()]

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
        new = [p for group in optimizer.param_groups for p in group["params"] if not self._is_known(p)]
        models = models_of(new) if new else []
        if models:
            scope = Scope(models, new, self._loaded, self._held.names())
            copies = self._find_copies(models, new)
            treatment = _Treatment(Applied(self._specifications, scope, passing_over=True), models)
            self._treatments.append(treatment)
            self._known.update((id(p), OwnReference(p)) for p in scope.trained.values())
            treatment.applied.check(optimizer)
            treatment.hand_over(optimizer)
            self._held.put_in(models, self._load)
            for copy in copies:
                copy.follow(self._specifications, self._load)
            self._tell(optimizer, treatment)
        elif new:
            self._pass_over(optimizer, f"its {len(new)} parameters belong to no module")
        self._optimizers.add(optimizer)
        for treatment in self._treatments:
            for one in self._optimizers:
                treatment.find_optimizer(one)

    def _tell(self, optimizer: Optimizer, treatment: _Treatment) -> None:
        """Say what was done, and what was not: several optimizers share a script, and a remedy need not fit what each of them trains."""
        acted = {one.text for other in self._treatments if other.shares(treatment) for one in other.applied.specifications}
        for specification, nothing in treatment.applied.passed_over:
            self._nothing.setdefault(specification.text, nothing)
            if not isinstance(nothing, TreatedAlready) and specification.text not in acted:
                self._pass_over(optimizer, str(nothing))
        if self._on_applied is not None and treatment.applied.touched:
            self._on_applied(self.record())

    def _pass_over(self, optimizer: Optimizer, why: str) -> None:
        if self._on_passed_over is not None:
            self._on_passed_over(f"what {type(optimizer).__name__} trains is left as it is: {why}")

    def _find_copies(self, models: Sequence[nn.Module], trained: Sequence[torch.Tensor]) -> list[_Copy]:
        """Find the copies that the script has made of what is about to change; afterwards they would be told by nothing."""
        if all(one.entry.load()(one.settings).needs < Changes.WEIGHTS for one in self._specifications):
            return []
        ids = {id(p) for p in trained}
        cores = [core_of(model, ids) for model in models]
        held = ids | {id(p) for one in self._optimizers for group in one.param_groups for p in group["params"]}
        return [_Copy(core, twin, ids) for core in cores for twin in twins_of(core, held)]

    def _is_known(self, parameter: torch.Tensor) -> bool:
        known = self._known.get(id(parameter))
        return known is not None and known() is parameter

    def _check_step(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Let no training begin without the remedies: a script may have caught the refusal, or its parameters belong to nothing we know."""
        if self._refusal is None and not self._has_begun:
            self._refusal = self._find_refusal(optimizer)
            self._has_begun = True
        if self._refusal is not None:
            raise self._refusal

    def _find_refusal(self, optimizer: Optimizer) -> RemedyError | None:
        """All optimizers of the first step are built: say which remedy has found nothing to act on with any of them."""
        if not self._treatments:
            count = sum(len(group["params"]) for group in optimizer.param_groups)
            return RemedyError(
                f"no remedy was applied: the {count} parameters of {type(optimizer).__name__} belong to no module",
                f'in the script: bnprobe.remedies.apply("{self._specifications[0].text}", model)',
            )
        acted = {entry["specification"] for entry in self.record()}
        for specification in self._specifications:
            if specification.text not in acted:
                return self._nothing[specification.text]
        return next((error for treatment in self._treatments if (error := treatment.untrained()) is not None), None)

    def _seeing_loads(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_state_dict(module: nn.Module, state_dict: Any, *args: Any, **kwargs: Any) -> Any:
            plain = self._held.hold_back(module, state_dict) if isinstance(state_dict, Mapping) else state_dict
            result = original(module, plain, *args, **kwargs)
            self._loaded.add(module)
            return result

        self._load = original

        return load_state_dict


class _Copy:
    """A copy that the script has made of a model before remedies act on that.

    Args:
        core: the model.
        twin: its copy.
        trained: ids of the model's parameters under training.
    """

    def __init__(self, core: nn.Module, twin: nn.Module, trained: Container[int]) -> None:
        self._core, self._twin = core, twin
        own = dict(named_parameters(twin))
        theirs = [own[name] for name, p in named_parameters(core) if id(p) in trained]
        self._trained = [p for p in theirs if isinstance(p, nn.Parameter)]
        self._is_frozen = not any(p.requires_grad for p in own.values())

    def follow(self, specifications: Sequence[Specification], load: Callable[..., Any]) -> None:
        """Make of the copy what has become of the model: the same structure, and the same values."""
        allow_forwards(self._twin)
        structural = [one for one in specifications if one.entry.load()(one.settings).needs >= Changes.STRUCTURE]
        Applied(structural, Scope([self._twin], self._trained), passing_over=True)
        if self._is_frozen:
            self._twin.requires_grad_(False)
        load(self._twin, self._core.state_dict())


class _Treatment:
    """What remedies have made of the models of one optimizer, and who trains what they added.

    Args:
        applied: the remedies at work.
        models: the models.
    """

    def __init__(self, applied: Applied, models: Sequence[nn.Module]) -> None:
        self.applied = applied
        self._models = [weakref.ref(model) for model in models]
        self._left: list[tuple[str, Added]] = []
        self._cannot = ""

    def shares(self, other: _Treatment) -> bool:
        """Whether a model is among those of another optimizer, too."""
        return any(one() is model() for one in self._models for model in other._models)

    def hand_over(self, optimizer: Optimizer) -> None:
        """Give the optimizer what was added beside its parameters, as far as it can train it."""
        for touched, specification in zip(self.applied.touched, self.applied.specifications, strict=True):
            if touched.added:
                self._left += [(specification.text, one) for one in hand_over_fitting(optimizer, touched.added, specification.text)]
        if self._left:
            self._cannot = type(optimizer).__name__

    def find_optimizer(self, optimizer: Optimizer) -> None:
        """A further optimizer was built: it trains what is left, if it trains other parameters of the same models and can."""
        if self._left and not optimizer.state:
            within = {id(p) for model in self._models if (found := model()) is not None for p in parameters_of(found)}
            if any(id(p) in within for group in optimizer.param_groups for p in group["params"]):
                self._left = [(name, one) for name, one in self._left if not adopt(optimizer, one)]

    def untrained(self) -> RemedyError | None:
        """Return why parameters that were added are not trained, if any are not."""
        return untrained([one for _, one in self._left], self._left[0][0], self._cannot) if self._left else None


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
    # Not in the order of the collector's list, which a collection turns round: in that of the parameters.
    places = {id(parameter): place for place, parameter in reversed(list(enumerate(parameters)))}
    return sorted(found.values(), key=lambda model: min(places.get(id(p), len(places)) for p in parameters_of(model)))
