"""Remedies in a rerun: the code of ``bnprobe.remedies`` itself, acting on copies of the leaves and around the steps of copied optimizers.

What ``--remedy`` does while the script's optimizer is built is done when a rerun begins, with the random numbers of that moment. Remedies
that edit gradients or weights need no more. Of those that change what a module computes, the tape has the operations: they are edited where
they read the weights of a module that was changed.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch
from torch import nn

from bnprobe.errors import RemedyError
from bnprobe.observe.probes.tape import Slot
from bnprobe.remedies.application import Applied, hand_over
from bnprobe.remedies.remedy import Changes
from bnprobe.remedies.scope import Scope
from bnprobe.remedies.specification import parse_all, split
from bnprobe.what_if.rerun import Edits, State
from bnprobe.what_if.skeleton import Skeleton

NONE = "none"


class Refused(Exception):
    """A remedy cannot be tried in a rerun; the message says why."""


@dataclass
class Built:
    """The moment at which an optimizer was built.

    Attributes:
        number: of the optimizer.
        models: what it trains.
        trained: slots of its parameters.
        random_state: of the default generator.
        was_loaded: whether weights had been loaded into a model.
        was_changed: whether weights were set afterwards, before the stretch began.
    """

    models: list[Skeleton]
    trained: list[Slot]
    random_state: torch.Tensor
    number: int = -1
    was_loaded: bool = False
    was_changed: bool = False


class RemedyEdits:
    """Makes what remedies change.

    Args:
        built: when optimizers were built, in order.
        first_step: where the stretch begins.
    """

    def __init__(self, built: list[Built], first_step: int) -> None:
        self._built = built
        self._first_step = first_step

    def of(self, remedy: str) -> Edits:
        """Return the edits of a remedy.

        Raises:
            Refused: it cannot be tried.
        """
        if remedy == NONE:
            return Edits()
        if not self._built:
            raise Refused("no module was seen whose parameters an optimizer trains")
        return _Remedied(remedy, self._built, self._first_step)


class _Remedied(Edits):
    """What some remedies change together."""

    def __init__(self, remedy: str, built: list[Built], first_step: int) -> None:
        self._specifications = parse_all(split(remedy))
        self._name = remedy
        self._built = built
        self._first_step = first_step
        self._applied: list[Applied] = []

    def begin(self, state: State) -> None:
        """Apply them, as they would have been while each optimizer was built."""
        known: set[int] = set()
        for built in self._built:
            trained = [leaf for slot in built.trained if id(leaf := state.leaves[slot]) not in known]
            if not trained:
                continue
            known.update(map(id, trained))
            self._check(built)
            made: dict[int, nn.Module] = {}
            models = [skeleton.build(state.leaves, made) for skeleton in built.models]
            torch.default_generator.set_state(built.random_state)
            try:
                applied = Applied(self._specifications, Scope(models, trained))  # type: ignore[arg-type]
            except RemedyError as error:
                if self._applied:  # the second model of two need not have what the first one had
                    continue
                raise Refused(str(error)) from error
            self._applied.append(applied)
            for touched, remedy in zip(applied.touched, applied.remedies, strict=True):
                if touched.added:
                    hand_over(state.optimizers[built.number], touched.added, remedy.name)

    def end(self) -> None:
        """Take them off."""
        for applied in self._applied:
            with contextlib.suppress(Exception):
                applied.remove()
        self._applied.clear()

    def _check(self, built: Built) -> None:
        for one in self._specifications:
            remedy = one.entry.load()(one.settings)
            if remedy.needs >= Changes.STRUCTURE:
                raise Refused(f"{one.entry.name} changes what modules compute, which is not put into a tape; lr-limit tries it")
            if remedy.needs >= Changes.WEIGHTS:
                if self._first_step:
                    raise Refused(f"{one.entry.name} sets the weights anew, and the stretch begins at step {self._first_step}")
                if built.was_loaded:
                    raise Refused(f"{one.entry.name} sets the weights anew, and weights were loaded into this model")
                if built.was_changed:
                    raise Refused(f"{one.entry.name} sets the weights while the optimizer is built, and the script has set them after that")
