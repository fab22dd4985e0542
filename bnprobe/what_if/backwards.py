"""Backwards on the tape of a stretch: where each starts, what it leaves, and which of its outputs are losses that the training descends.

A gradient scaler multiplies the loss first. What the rerun is compared with is the loss before that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch

from bnprobe.measure.graph import MOST_NODES, nodes
from bnprobe.observe.attaching.autograd_patch import trained_leaves
from bnprobe.observe.attaching.patches import Patches
from bnprobe.observe.probes.tape import UNSEEN, Constant, Hole, Slot
from bnprobe.torch_private import backward_call, functorch_wraps, is_imaginary, user_modes_disabled, version
from bnprobe.what_if.program import Backward
from bnprobe.what_if.stretch_tape import StretchTape


class Backwards:
    """Notes the backwards of one stretch.

    Args:
        tape: the open tape; None where there is none.
        guarded: a context in which a fault ends the stretch, and not the training.
        refuse: gives the stretch up.
    """

    def __init__(self, tape: Callable[[], StretchTape | None], guarded: Callable[[], Any], refuse: Callable[[str], None]) -> None:
        self._tape, self._guarded, self._refuse = tape, guarded, refuse
        self._unscaled: dict[Slot, tuple[Slot, torch.Tensor]] = {}
        self._scale: torch.Tensor | None = None
        self._hidden: str | None = None

    def attach(self, patches: Patches) -> None:
        """Watch gradient scalers."""
        patches.replace(torch.amp.GradScaler, "scale", self._seeing_scale)

    def end_step(self) -> None:
        """What was scaled has been descended."""
        self._scale = None
        self._unscaled.clear()

    def begin_anew(self) -> None:
        """Another stretch begins."""
        self._hidden = None

    @property
    def hidden(self) -> str:
        """Why backwards of its first loss may not be on the tape: autograd functions of the script's own; "" where all are."""
        return self._hidden or ""

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any], tape: StretchTape) -> Backward | None:
        """A backward is about to run; return it, or None where the stretch has been given up."""
        with user_modes_disabled(), torch.no_grad():
            call = backward_call(args, kwargs)
            if not all(isinstance(output, torch.Tensor) for output in call.outputs) or any(map(is_imaginary, call.outputs)):
                self._refuse("a backward starts from what is no tensor")
                return None
            if any(isinstance(one, torch.Tensor) and functorch_wraps(one) for one in (*call.outputs, *call.gradients)):
                self._refuse("a gradient is batched or transformed (torch.func)")
                return None
            if self._hidden is None and call.outputs:
                self._hidden = hidden_backwards(call.outputs)
            tape.note_gradients()
            outputs = [tape.given(output) for output in call.outputs]
            gradients = [None if gradient is None else tape.given(gradient) for gradient in call.gradients]
            inputs = [tape.given(each) for each in call.inputs] if call.inputs else None
            wrong = [found for found in (*outputs, *gradients, *(inputs or ())) if isinstance(found, Hole)]
            if wrong or not all(isinstance(found, Slot) for found in (*outputs, *(inputs or ()))):
                self._refuse(tape.broken or (wrong[0].reason if wrong else UNSEEN))
                return None
            item = Backward(outputs, gradients, inputs, call.accumulates, call.keeps_graph, bool(_creates_graph(args, kwargs)))  # type: ignore[arg-type]
            if trained_leaves(call) is not None and all(output.numel() == 1 for output in call.outputs):
                item.losses = [self._unscaled[output][0] if output in self._unscaled else output for output in item.outputs]
                item.recorded = [
                    self._unscaled[slot][1] if slot in self._unscaled else output.detach().clone()
                    for slot, output in zip(item.outputs, call.outputs, strict=True)
                ]
                if self._scale is not None and not any(output in self._unscaled for output in item.outputs):
                    item.scale = at_hand(self._scale, tape)
                    item.recorded = [value / self._scale for value in item.recorded]
            tape.note(item)
            return item

    def end(self, item: Backward, result: Any, step: int, tape: StretchTape) -> None:
        """It has run, in a step, and returned a result."""
        with user_modes_disabled(), torch.no_grad():
            item.step = step
            if item.accumulates:
                item.results = tape.take_gradients()
            else:
                given = result if isinstance(result, Sequence) else (result,)
                slots = [tape.define(gradient) if gradient is not None else None for gradient in given]
                item.results = list(zip(item.inputs or (), slots, strict=True))

    def _seeing_scale(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def scale(scaler: Any, outputs: Any) -> Any:
            result = original(scaler, outputs)
            factor = getattr(scaler, "_scale", None)
            tape = self._tape()
            if tape is not None and scaler.is_enabled() and isinstance(factor, torch.Tensor):
                with self._guarded(), user_modes_disabled():
                    self._scale = factor
                    for one, scaled in zip(_sequence(outputs), _sequence(result), strict=False):
                        if isinstance(one, torch.Tensor) and isinstance(scaled, torch.Tensor):
                            before, after = tape.find(one), tape.find(scaled)
                            if before is not None and after is not None:
                                self._unscaled[after] = before, one.detach().clone()
            return result

        return scale


def at_hand(value: torch.Tensor, tape: StretchTape) -> Slot | Constant:
    """Return what a number in a tensor is for the tape; one that no parameter has a part in is copied."""
    slot = tape.find(value)
    if slot is not None:
        return slot
    copy = value.detach().clone()
    return Constant(copy, version(copy))


def hidden_backwards(outputs: Sequence[torch.Tensor]) -> str:
    """Say which backwards behind some signals may not be on the tape: of autograd functions written in python; "" where there are none."""
    found = list(nodes(outputs, MOST_NODES + 1))
    if len(found) > MOST_NODES:
        return f"the graph of the loss has more than {MOST_NODES} operations, too many to be searched for autograd functions of the script"
    own = {type(node).__name__.removesuffix("Backward") for node in found if isinstance(node, torch.autograd.function.BackwardCFunction)}
    return f"the loss goes through autograd functions whose backward is not on the tape: {', '.join(sorted(own))}" if own else ""


def _sequence(tensors: Any) -> Sequence[Any]:
    return tensors if isinstance(tensors, list | tuple) else (tensors,)


def _creates_graph(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return kwargs.get("create_graph", args[3] if len(args) > 3 else False)
