"""Remedies in a rerun: the code of ``bnprobe.remedies`` itself, acting on copies of the leaves and around the steps of copied optimizers.

What ``--remedy`` does while the script's optimizer is built is done when a rerun begins, with the random numbers of that moment. Remedies
that edit gradients or weights need no more. Those that change what modules compute are put into the tape (``module_edits``).
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.observe.probes.tape import Operation, Slot
from bnprobe.remedies.application import Applied, hand_over
from bnprobe.remedies.remedy import Added, Changes
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.specification import parse_all, split
from bnprobe.torch_private import TorchFunctionEnabled
from bnprobe.what_if.module_edits import ModuleEdits, Refused, refuse_edited_gradients
from bnprobe.what_if.program import Program
from bnprobe.what_if.skeleton import Skeleton
from bnprobe.what_if.training import Edits, State

NONE = "none"


@dataclass
class Built:
    """The moment at which an optimizer was built.

    Attributes:
        models: what it trains.
        trained: slots of its parameters.
        random_state: of the default generator.
        names: of its parameters in the recording, by slot.
        number: of the optimizer.
        was_loaded: whether weights had been loaded into a model.
        was_changed: whether weights were set afterwards, before the stretch began.
        changed_mode: whether a module trained, or evaluated, where the stretch began and did the other where it ended.
    """

    models: list[Skeleton]
    trained: list[Slot]
    random_state: torch.Tensor
    names: dict[Slot, str] = field(default_factory=dict)
    number: int = -1
    was_loaded: bool = False
    was_changed: bool = False
    changed_mode: bool = False


class RemedyEdits:
    """Makes what remedies change.

    Args:
        built: when optimizers were built, in order.
        program: the stretch.
    """

    def __init__(self, built: list[Built], program: Program) -> None:
        self._built = built
        self._program = program

    @property
    def parameter_names(self) -> dict[Slot, str]:
        """What the recording calls the parameters that are trained, by slot."""
        return {slot: name for built in self._built for slot, name in built.names.items() if slot in self._program.starts}

    def of(self, remedy: str, start: int | None = None) -> Edits:
        """Return the edits of a remedy.

        Args:
            remedy: its specification, or "none".
            start: the step with which it begins; None for the first of the stretch.

        Raises:
            Refused: it cannot be tried.
        """
        if remedy == NONE:
            return Edits()
        if not self._built:
            raise Refused("no module was seen whose parameters an optimizer trains")
        return _Remedied(remedy, self._built, self._program, self._program.first_step if start is None else start)


class _Remedied(Edits):
    """What some remedies change together."""

    def __init__(self, remedy: str, built: list[Built], program: Program, start: int) -> None:
        self._specifications = parse_all(split(remedy))
        self._built = built
        self._program = program
        self._start = start
        self._applied: list[Applied] = []
        self._modules: list[ModuleEdits] = []
        self._added: dict[int, list[torch.Tensor]] = {}

    def begin(self, state: State) -> None:
        """Apply them, as they would have been while each optimizer was built."""
        known: set[int] = set()
        for built in self._built:
            trained = [leaf for slot in built.trained if id(leaf := state.leaves[slot]) not in known]
            if not trained:
                continue
            known.update(map(id, trained))
            is_structural = self._check(built)
            made: dict[int, nn.Module] = {}
            models = [skeleton.build(state.leaves, made) for skeleton in built.models]
            edits = ModuleEdits(self._program, state.leaves, list(made.values())) if is_structural else None
            torch.default_generator.set_state(built.random_state)
            try:
                with TorchFunctionEnabled():  # a remedy may trace what models compute: with stand-ins, which torch's functions must know
                    applied = Applied(self._specifications, Scope(models, trained))  # type: ignore[arg-type]
            except RemedyError as error:
                if self._applied:  # the second model of two need not have what the first one had
                    continue
                raise Refused(str(error)) from error
            self._applied.append(applied)
            if edits is not None:
                edits.find_changes()
                self._modules.append(edits)
            for touched, remedy in zip(applied.touched, applied.remedies, strict=True):
                if touched.added:
                    self._hand_over(state, built.number, touched.added, remedy.name)
        self._refuse_second_owners(state)
        for edits in self._modules:
            edits.refuse_another_order()
        if any(edits.draws for edits in self._modules):
            if not self._program.draws_nothing:
                raise Refused("it draws random numbers, and so does the script: with it, batches or masks would have been others")
            self.draws = True
            torch.default_generator.set_state(self._program.random_state)

    def _refuse_second_owners(self, state: State) -> None:
        """A later optimizer of the same weights would have been built with the added parameters, too."""
        owners = Counter(id(state.leaves[slot]) for built in self._built for slot in set(built.trained))
        if any(owners[beside] > 1 for beside in self._added):
            raise Refused("it adds parameters, and the script builds two optimizers for the same weights: both would have got them")

    def _hand_over(self, state: State, number: int, added: tuple[Added, ...], remedy: str) -> None:
        refuse_edited_gradients(self._program, remedy)
        hand_over(state.optimizers[number], added, remedy)
        for one in added:
            self._added.setdefault(id(one.beside), []).append(one.parameter)

    @property
    def changes_signals(self) -> bool:  # type: ignore[override]
        """Whether modules compute something else."""
        return bool(self._modules)

    def arguments(self, operation: Operation, arguments: list[Any], state: State) -> list[Any]:
        """Return the arguments of an operation, weights being what remedies make of them."""
        for edits in self._modules:
            arguments = edits.arguments(operation, arguments)
        return arguments

    def result(self, operation: Operation, arguments: list[Any], result: Any, state: State) -> Any:
        """Return the result of an operation, as the module around it would have passed it on."""
        for edits in self._modules:
            result = edits.result(operation, arguments, result)
        return result

    def cleared(self, leaf: torch.Tensor) -> None:
        """A gradient was thrown away: so would have been those of parameters beside it."""
        for parameter in self._added.get(id(leaf), ()):
            parameter.grad = None

    def end(self) -> None:
        """Take them off."""
        for applied in self._applied:
            with contextlib.suppress(Exception):
                applied.remove()
        self._applied.clear()

    def _check(self, built: Built) -> bool:
        """Return whether any of them changes what modules compute."""
        is_structural = False
        for one in self._specifications:
            remedy = one.entry.load()(one.settings)
            is_structural |= remedy.needs >= Changes.STRUCTURE
            first = self._start
            if remedy.needs >= Changes.STRUCTURE and first:
                raise Refused(f"{one.entry.name} acts before training, and here it begins at step {first}")
            if remedy.needs == Changes.WEIGHTS:
                if first:
                    raise Refused(f"{one.entry.name} sets the weights anew, and here it begins at step {first}")
                if built.was_loaded:
                    raise Refused(f"{one.entry.name} sets the weights anew, and weights were loaded into this model")
            if remedy.needs >= Changes.STRUCTURE and built.changed_mode:
                raise Refused(f"{one.entry.name} adds modules, and the script switched between training and evaluation meanwhile")
            if remedy.needs >= Changes.WEIGHTS and built.was_changed:
                raise Refused(f"{one.entry.name} acts while the optimizer is built, and the script has set weights after that")
        return is_structural
