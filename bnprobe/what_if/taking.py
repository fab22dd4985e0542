"""From the tape of a stretch to a program: what losses and weights depend on, or the reason why there is none."""

from __future__ import annotations

import torch

from bnprobe.observe.attaching.optimizers import Optimizer
from bnprobe.what_if.optimizer_copy import largest_rate
from bnprobe.what_if.program import Backward, Move, Program, hole_of, needed
from bnprobe.what_if.python_numbers import changing_number
from bnprobe.what_if.stretch_tape import StretchTape


def program_of(
    tape: StretchTape, optimizers: dict[int, Optimizer], first_step: int, steps: int, random_states: tuple[torch.Tensor, torch.Tensor]
) -> Program | str:
    """Return the program of a stretch, or why there is none.

    Args:
        tape: what was executed.
        optimizers: copies, as they were where it begins.
        first_step: the optimizer step with which it begins.
        steps: how many.
        random_states: of the default generator where it begins and where it ends.
    """
    end = first_step + steps
    items = [item for item in tape.items if not isinstance(item, Backward | Move) or item.step < end]
    while items and not (isinstance(items[-1], Backward) and items[-1].losses):
        items.pop()
    items = needed(items)
    hole = hole_of(items)
    if hole is not None:
        return hole.reason
    if reason := tape.loaded(items) or changing_number(items):
        return reason
    for place, item in enumerate(items):
        item.place = place
    moves = [item for item in items if isinstance(item, Move)]
    rates = [rate for move in moves if (rate := largest_rate(move.settings)) == rate]
    if not rates:
        return "no learning rate was seen: the script updates its weights without an optimizer"
    used = {move.optimizer for move in moves}
    used_ones = {number: copied for number, copied in optimizers.items() if number in used}
    begins, ends = random_states
    return Program(items, tape.starts, used_ones, first_step, steps, max(rates), begins, torch.equal(begins, ends))
