"""Which remedies could act on the recorded training: advice names no other.

Asked is the remedy itself, at the moment at which ``--remedy`` would act: when an optimizer is built. What the script does to its weights
between that and the first step counts, too. Nothing is changed, and nothing of the script is run but the forward of a normalisation's
twin.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

from bnprobe.errors import NothingToActOn, RemedyError
from bnprobe.identity import IdentitySet, OwnReference
from bnprobe.observe.attaching.optimizers import trains_nothing
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.companion import Companion
from bnprobe.observe.faults import Faults
from bnprobe.observe.remedies.injector import models_of
from bnprobe.remedies.application import check_wrapping
from bnprobe.remedies.remedy import Changes, Remedy
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.specification import parse
from bnprobe.torch_private import answers_itself, shard_of, user_modes_disabled, version

#: Those that a finding, or a row of the audit, may advise.
ADVISED = ("msr", "batch-norm", "layer-norm", "no-norm", "clip-norm")
#: A script that builds an optimizer for every task is asked of the first few: to find the models of one takes milliseconds.
MOST_OPTIMIZERS = 8


class RemedyFits(Companion):
    """Asks each remedy that advice may name whether it could act.

    Args:
        on_known: called with a JSON object of reasons against each remedy, "" where there is none, whenever more is known.
        faults: where a fault goes.
    """

    def __init__(self, on_known: Callable[[str], None], faults: Faults) -> None:
        self._on_known = on_known
        self._faults = faults
        self._remedies: list[Remedy[Any]] = [one.entry.load()(one.settings) for one in map(parse, ADVISED)]
        self._nothing: dict[str, str] = {}
        self._acts: set[str] = set()
        self._refused: dict[str, str] = {}
        self._loaded: IdentitySet[nn.Module] = IdentitySet()
        self._kernels: list[tuple[OwnReference[torch.Tensor], int]] = []
        self._asked = 0

    def attach(self, patches: Patches) -> None:
        """Wait for optimizers."""
        patches.replace(Optimizer, "__init__", self._seeing_construction)
        patches.replace(nn.Module, "load_state_dict", self._seeing_loads)
        patches.hook(register_optimizer_step_pre_hook, self._begin)

    def expect(self, optimizers: Sequence[Optimizer]) -> None:
        """Ask for optimizers that were built before the recording; what was loaded before that is not known."""
        for optimizer in optimizers:
            self._ask(optimizer)
        for remedy in self._remedies:
            if remedy.needs == Changes.WEIGHTS:
                self._refused[remedy.name] = "the optimizer was built before the recording"
        self._tell()

    def _seeing_construction(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def __init__(optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
            original(optimizer, *args, **kwargs)
            self._ask(optimizer)
            self._tell()

        return __init__

    def _ask(self, optimizer: Optimizer) -> None:
        if self._asked == MOST_OPTIMIZERS:
            return
        with self._faults.guard("asking which remedies could act"), user_modes_disabled(), torch.no_grad():
            if trains_nothing(optimizer):
                return
            self._asked += 1
            trained = [p for group in optimizer.param_groups for p in group["params"]]
            models = models_of(trained) if trained else []
            if not models:
                return
            if reason := next(filter(None, map(_reason_not_to_ask, trained)), ""):
                self._refused |= {remedy.name: reason for remedy in self._remedies}
                return
            scope = Scope(models, trained, self._loaded)
            for remedy in self._remedies:
                self._ask_one(remedy, scope)

    def _ask_one(self, remedy: Remedy[Any], scope: Scope) -> None:
        try:
            for model in scope.models:
                check_wrapping(remedy, model)
            found = remedy.look(scope)
        except NothingToActOn as nothing:
            self._nothing.setdefault(remedy.name, str(nothing))
        except RemedyError as error:
            self._refused.setdefault(remedy.name, str(error))
        else:
            self._acts.add(remedy.name)
            if remedy.name == "msr":
                self._kernels += [(OwnReference(kernel.weight), version(kernel.weight)) for kernel in found]

    def _begin(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The first step: kernels that the script has set since the optimizer was built are not those that a remedy would have set."""
        if not self._kernels:
            return
        kernels, self._kernels = self._kernels, []
        if any((weight := reference()) is not None and version(weight) != before for reference, before in kernels):
            self._refused.setdefault("msr", "the script sets weights after the optimizer is built")
            self._tell()

    def _tell(self) -> None:
        self._on_known(json.dumps({name: self._reason_against(name) for name in ADVISED}))

    def _reason_against(self, name: str) -> str:
        return self._refused.get(name) or ("" if name in self._acts else self._nothing.get(name, "no model was seen"))

    def _seeing_loads(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_state_dict(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            result = original(module, *args, **kwargs)
            self._loaded.add(module)
            return result

        return load_state_dict


def _reason_not_to_ask(parameter: torch.Tensor) -> str:
    """Why nothing may be asked of a weight: the script's own code would answer, or the other ranks would have to."""
    if answers_itself(parameter):
        return "a weight computes by code of the script's own"
    return "its weights lie on several ranks" if shard_of(parameter) else ""
