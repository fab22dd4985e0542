"""Weights that a backward reaches and the script moves itself, beside an optimizer or without any module that is called.

They belong to no parameter group and to no model that was seen at work, so they are not recorded. A gap that is named misleads nobody.
A weight that nobody moves is another matter (see ``untrained_parameters``), and so is data that asks for a gradient.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from bnprobe.identity import OwnReference
from bnprobe.module_parts import named_parameters
from bnprobe.observe.attaching.optimizers import trained_parameters
from bnprobe.observe.instruments.instrument import Backward, Instrument, Reading, Surroundings, Update
from bnprobe.observe.instruments.loss_graph import leaves
from bnprobe.observe.signals.records import Tap
from bnprobe.observe.steps.open_step import OpenStep
from bnprobe.torch_private import holds_numbers, plain

#: Numbers of a weight that are compared, and weights that are looked at.
COMPARED = 16
MOST = 1_000


class _Seen(NamedTuple):
    """A weight at an earlier look, held weakly, and its first numbers."""

    tensor: weakref.ref[torch.Tensor]
    numbers: torch.Tensor


class MovedByHand(Instrument):
    """Names what is trained and not recorded. It looks where every channel is stored.

    Args:
        around: what is there to look at.
    """

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._reached: dict[int, weakref.ref[torch.Tensor]] = {}
        self._seen: dict[int, _Seen] = {}
        self._named: set[str] = set()

    def before_backward(self, step: OpenStep, backward: Backward) -> None:
        """Look at what the graph leads to, while it is whole."""
        if self._around.schedule.is_snapshot(step.number):
            self._reached.update((id(leaf), OwnReference(leaf)) for leaf in leaves(backward.losses, MOST))

    def after_update(self, step: OpenStep, update: Update) -> None:
        """Leave out what is freed by now: it was gathered for one forward and its backward, and the optimizer has the shards of it."""
        kept = ((key, reference, reference()) for key, reference in self._reached.items())
        self._reached = {key: reference for key, reference, leaf in kept if leaf is not None and holds_numbers(leaf)}

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Compare what was reached with what it was when it was reached before; nothing goes into the step's row."""
        reached, self._reached = self._reached, {}
        if not reached:
            return []
        parameters = [one for optimizer in self._around.optimizers() for one in trained_parameters(optimizer.param_groups)]
        held = {_memory(one) for one in parameters if holds_numbers(one)}  # a flat buffer holds many weights
        seen: dict[int, _Seen] = {}
        moved: list[torch.Tensor] = []
        for key, reference in reached.items():
            leaf = reference()
            if leaf is None or not holds_numbers(leaf) or _memory(leaf) in held or self._around.axes.parameter(leaf) is not None:
                continue
            numbers = plain(leaf.detach()).reshape(-1)[:COMPARED].clone()
            before = self._seen.get(key)
            if before is not None and before.tensor() is leaf and not torch.equal(before.numbers, numbers):
                moved.append(leaf)
            seen[key] = _Seen(reference, numbers)
        self._seen = seen
        for name in sorted(set(map(self._name, moved)) - self._named):
            self._named.add(name)
            why = "a backward reaches it and the script moves it without an optimizer: its gradient and its updates are not recorded"
            self._around.writer.add_coverage(name, why)
        return []

    def _name(self, leaf: torch.Tensor) -> str:
        return _name_in_script(leaf) or self._name_in_models(leaf) or f"a tensor of shape {tuple(leaf.shape)}"

    def _name_in_models(self, leaf: torch.Tensor) -> str:
        for root in self._around.tree.roots():
            found = next((name for name, parameter in named_parameters(root) if parameter is leaf), "")
            if found:
                return found
        return ""


def _memory(tensor: torch.Tensor) -> int:
    return plain(tensor.detach()).untyped_storage().data_ptr()


def _name_in_script(leaf: torch.Tensor) -> str:
    """Return the name under which a weight, or the module that has it, is a global of the script."""
    variables: dict[str, Any] = {name: value for name, value in list(vars(sys.modules["__main__"]).items()) if not name.startswith("_")}
    for name, value in variables.items():
        if isinstance(value, nn.Module):
            inside = next((inside for inside, parameter in named_parameters(value) if parameter is leaf), "")
            if inside:
                return f"{name}.{inside}"
    return next((name for name, value in variables.items() if value is leaf), "")  # perhaps a loop's variable, so last
