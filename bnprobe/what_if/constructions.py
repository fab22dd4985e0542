"""The moments at which a script built its optimizers: what a remedy would have found, had it acted then.

Models are kept as skeletons, parameters by weak reference until the stretch gives them slots.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from bnprobe.identity import OwnReference
from bnprobe.module_parts import modules
from bnprobe.observe.attaching.optimizers import Optimizer, trained_parameters, trains_nothing
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.probes.tape import Slot
from bnprobe.observe.remedies.injector import models_of
from bnprobe.torch_private import user_modes_disabled, version
from bnprobe.what_if.remedy_edits import Built
from bnprobe.what_if.skeleton import Skeleton
from bnprobe.what_if.stretch_tape import StretchTape


class Constructions:
    """Notes them, and which weights were loaded.

    Args:
        is_over: whether nothing more is to be noted.
        guarded: a context in which a fault ends the stretch, and not the training.
        name_of: tells the name of a parameter in the recording, empty as long as it has none.

    Attributes:
        built: the moments of the optimizers that the stretch has met, in order.
    """

    def __init__(self, is_over: Callable[[], bool], guarded: Callable[[], Any], name_of: Callable[[torch.Tensor], str]) -> None:
        self.built: list[Built] = []
        self._is_over, self._guarded, self._name_of = is_over, guarded, name_of
        #: Trained parameters that the recording has not named yet, with the moment and the slot of each.
        self._unnamed: list[tuple[weakref.ref[torch.Tensor], Built, Slot]] = []
        self._noted: list[tuple[weakref.ref[Optimizer], Built, list[tuple[weakref.ref[torch.Tensor], int]]]] = []
        self._loaded: weakref.WeakSet[nn.Module] = weakref.WeakSet()

    def attach(self, patches: Patches) -> None:
        """Watch."""
        patches.replace(Optimizer, "__init__", self._seeing_construction)
        patches.replace(nn.Module, "load_state_dict", self._seeing_loads)

    def expect(self, optimizers: Sequence[Optimizer]) -> None:
        """Note optimizers that were built before the recording."""
        for optimizer in optimizers:
            if not trains_nothing(optimizer):
                with self._guarded(), torch.no_grad():
                    self._note(optimizer)

    def forget(self) -> None:
        """There will be no program."""
        self._noted.clear()
        self._unnamed.clear()
        self.built.clear()

    def begin_anew(self) -> None:
        """Another stretch begins: it will give the parameters other slots."""
        self.built, self._unnamed = [], []
        self._noted = [
            (optimizer, replace(built, models=twins(built.models), trained=[], names={}, number=-1), parameters)
            for optimizer, built, parameters in self._noted
        ]

    def end_step(self) -> None:
        """Note which modules have changed between training and evaluation, and what the recording calls the parameters."""
        waiting, self._unnamed = self._unnamed, []
        for each, built, slot in waiting:
            if (parameter := each()) is not None:
                if name := self._name_of(parameter):
                    built.names[slot] = name
                else:
                    self._unnamed.append((each, built, slot))
        for built in self.built:
            built.changed_mode = not all(skeleton.has_kept_its_mode() for skeleton in built.models)

    def _seeing_construction(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def __init__(optimizer: Optimizer, *args: Any, **kwargs: Any) -> None:
            original(optimizer, *args, **kwargs)
            if not self._is_over() and not trains_nothing(optimizer):
                with self._guarded(), user_modes_disabled(), torch.no_grad():
                    self._note(optimizer)

        return __init__

    def _note(self, optimizer: Optimizer) -> None:
        """Remember what a remedy would have found, had it acted now."""
        parameters = trained_parameters(optimizer.param_groups)
        models = models_of(parameters)
        if not models:
            return
        loaded = {id(module) for module in self._loaded}
        built = Built(
            models=[Skeleton(model) for model in models],
            trained=[],
            random_state=torch.default_generator.get_state(),
            was_loaded=any(id(module) in loaded for model in models for module in modules(model)),
        )
        self._noted.append((OwnReference(optimizer), built, [(OwnReference(p), version(p)) for p in parameters]))

    def resolve(self, optimizer: Optimizer, number: int, tape: StretchTape) -> None:
        """The stretch has met an optimizer: its leaves have slots now."""
        for reference, built, parameters in self._noted:
            if reference() is not optimizer or built.number >= 0:
                continue
            alive = [(parameter, before) for each, before in parameters if (parameter := each()) is not None]
            built.number = number
            built.trained = [tape.leaf(parameter) for parameter, _ in alive]
            built.was_changed = any(version(parameter) != before for parameter, before in alive)
            slots = {id(parameter): slot for parameter, slot in zip((p for p, _ in alive), built.trained, strict=True)}
            self._unnamed += [(OwnReference(p), built, slot) for (p, _), slot in zip(alive, built.trained, strict=True)]
            for skeleton in built.models:
                skeleton.resolve(slots)
            self.built.append(built)

    def _seeing_loads(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def load_state_dict(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            result = original(module, *args, **kwargs)
            if not self._is_over():
                self._loaded.add(module)
            return result

        return load_state_dict


def twins(models: Sequence[Skeleton]) -> list[Skeleton]:
    """Return skeletons of the same models, which share what they shared."""
    seen: dict[int, Skeleton] = {}
    return [model.twin(seen) for model in models]
