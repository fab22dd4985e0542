"""How far weights move in a rerun: what tells a training whose rate is too small from one that is stuck for another reason.

A recorded trial has these figures from its recording. Here they are taken at some steps around the steps of the copied optimizers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from bnprobe.observe.probes.tape import Slot
from bnprobe.what_if.program import Backward, Item, Move, Program
from bnprobe.what_if.training import State

#: Updates of each optimizer that are looked at; how far weights move in all is interpolated between them.
LOOKS = 12


class Movement:
    """Watches one rerun.

    Args:
        program: the stretch.
        names: of parameters in the recording, by slot; what it has no name for is not watched.

    Attributes:
        columns: by variable of a run file and by name of the parameter, (S,) each; NaN where it was not looked at.
    """

    def __init__(self, program: Program, names: Mapping[Slot, str]) -> None:
        self.columns: dict[str, dict[str, NDArray[np.float64]]] = {"weight_norm": {}, "update_norm": {}, "parameter_gradient_norm": {}}
        self._program, self._names = program, names
        self._looked_at = _looked_at(program, names)
        self._before: dict[Slot, torch.Tensor] = {}

    def watch(self, item: Item, state: State) -> None:
        """An item has been executed."""
        if isinstance(item, Backward) and item.losses:
            self._begin(item.step, state)
        elif isinstance(item, Move) and self._before:
            self._look(item, item.step - self._program.first_step, state)

    def _begin(self, step: int, state: State) -> None:
        slots = self._looked_at.get(step)
        if slots is None:
            self._before.clear()
            return
        for slot in slots:
            if slot not in self._before:
                self._before[slot] = state.leaves[slot].detach().clone()

    def _look(self, move: Move, step: int, state: State) -> None:
        with torch.no_grad():
            for slot in move.held:
                before, leaf = self._before.pop(slot, None), state.leaves[slot]
                # Without a gradient it is not the step that moves it.
                if before is None or leaf.grad is None or leaf.grad.is_sparse:
                    continue
                self._put("weight_norm", slot, step, before)
                self._put("update_norm", slot, step, leaf.detach() - before)
                self._put("parameter_gradient_norm", slot, step, leaf.grad)

    def _put(self, variable: str, slot: Slot, step: int, value: torch.Tensor) -> None:
        column = self.columns[variable].setdefault(self._names[slot], np.full(self._program.steps, np.nan))
        column[step] = float(torch.linalg.vector_norm(value.float() if not value.is_complex() else value))


def _looked_at(program: Program, names: Mapping[Slot, str]) -> dict[int, list[Slot]]:
    """Return the slots to look at, by step: of optimizers that take turns, each has steps of its own, which strides would pass over."""
    moves: dict[int, list[Move]] = defaultdict(list)
    for move in program.moves:
        moves[move.optimizer].append(move)
    found: dict[int, list[Slot]] = defaultdict(list)
    for own in moves.values():
        for place in np.unique(np.linspace(0, len(own) - 1, LOOKS).round().astype(int)).tolist():
            found[own[place].step] += [slot for slot in own[place].held if slot in names]
    return dict(found)
