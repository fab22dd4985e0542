"""Where the first value that is not finite arose, at whatever step: most steps are not measured, and a NaN is born at one of them.

A loss that is not finite has its graph searched just before its backward (``nonfinite_graph``). A gradient that is not finite is told by
the parameters that have one: backward goes from the loss to the first layer and spoils everything behind it, so the deepest of them is
nearest; the graph of the loss, freed or that of the next step, still tells which operations have an infinite slope somewhere
(``infinite_slope``). Layers are named by the places of their results in the graph, which are noted at the steps of snapshots: a graph that
has as many operations as it had then has them in the same places.
"""

from __future__ import annotations

import json
import math
import weakref
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence

import torch

from bnprobe.identity import OwnReference
from bnprobe.observe.instruments.infinite_slope import MOST_TOLD, infinite_slopes
from bnprobe.observe.instruments.instrument import Backward, Instrument, Reading, Surroundings, Update
from bnprobe.observe.instruments.nonfinite_graph import Origin, bad_leaves, find_origin, nodes_of
from bnprobe.observe.signals.records import OUTPUT, Tap
from bnprobe.observe.steps.open_step import OpenStep
from bnprobe.torch_private import gradient_of, sequence_number

#: The attribute of the run file that says it.
ATTRIBUTE = "nonfinite_origin"
#: Losses that are searched: some scripts leave such batches out, and have many of them.
MOST_SEARCHES = 5
#: Lengths of graphs of which the places are kept: optimizers in turn have one each.
MOST_GRAPHS = 16
#: Losses of one step that are remembered: where more were added up, the last ones.
MOST_LOSSES = 16


class NonfiniteTrace(Instrument):
    """Looks for the place; what is kept is the last origin after a finite loss.

    Args:
        around: what is there to look at.
    """

    every_step = True

    def __init__(self, around: Surroundings) -> None:
        self._axes = around.axes
        self._schedule = around.schedule
        self._writer = around.writer
        self._is_over = False  # until a loss is finite again: what follows an origin is no other
        self._searches = 0
        self._origin: tuple[Origin, int] | None = None  # of the step that is going on, and the length of its graph
        # What the step's backwards began with, as long as the script keeps it: the graph of a loss hangs on it.
        self._losses: deque[weakref.ref[torch.Tensor]] = deque(maxlen=MOST_LOSSES)
        self._graph: tuple[int, int] | None = None  # first operation and last, of the step that is going on
        # By length of a graph: the places of the layers' results in it, and the layers.
        self._places: dict[int, list[tuple[int, int]]] = {}

    def before_backward(self, step: OpenStep, backward: Backward) -> None:
        """Search the graph of a loss that is not finite; note how long that of a snapshot is."""
        loss = step.losses[-1] if step.losses else None
        if type(loss) is float and not math.isfinite(loss):
            if self._is_over or self._searches >= MOST_SEARCHES:
                return
            self._searches += 1
            bad, count = bad_leaves(backward.losses)
            if bad:  # the update before has made them so
                self._note_gradient(max(step.number - 1, 0), bad, count, backward.losses)  # a graph like that of the step before
            elif (origin := find_origin(backward.losses)) is not None:
                self._origin = origin, self._length(backward)
                self._note(step.number, self._described(*self._origin))
            return
        self._is_over = False
        self._graph = None
        self._losses.extend(map(OwnReference, backward.losses))
        if step.observed and step.micro_steps == 1 and self._schedule.is_snapshot(step.number) and (nodes := nodes_of(backward.losses)):
            self._graph = sequence_number(nodes[0]), sequence_number(nodes[-1])

    def before_update(self, step: OpenStep, update: Update) -> None:
        """Look for the gradients that are not finite, where their norm is not."""
        if self._origin is not None:  # in the first step parameters have names only now
            origin, self._origin = self._origin, None
            self._note(step.number, self._described(*origin))
        if self._is_over or step.gradient_norm is None or math.isfinite(step.gradient_norm):
            return
        parameters = [one for one in update.parameters if (gradient := gradient_of(one)) is not None and not _is_finite(gradient)]
        losses = [loss for reference in self._losses if (loss := reference()) is not None]
        self._note_gradient(step.number, parameters, len(update.parameters), losses)

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Note where in the graph the layers' results are."""
        self._losses.clear()
        if self._graph is not None:
            first, last = self._graph
            self._graph = None
            results = [tap for tap in taps if tap.key.role == OUTPUT and not tap.is_gradient and first <= tap.node <= last]
            found = [(tap.node - first, place) for tap in results if (place := self._axes.place(tap.key)) is not None]
            if last - first in self._places or len(self._places) < MOST_GRAPHS:
                self._places[last - first] = sorted(found)
        return []

    def _length(self, backward: Backward) -> int:
        nodes = nodes_of(backward.losses)
        return sequence_number(nodes[-1]) - sequence_number(nodes[0])

    def _described(self, origin: Origin, span: int) -> dict[str, object]:
        """Say what is known of an origin: the layer in which it was, and the one with parameters that is nearest before."""
        layer, is_exact = "", False
        places = self._places.get(span)
        if places:
            # What was computed after one layer's result and up to the next one's belongs to the next.
            index = bisect_left(places, (origin.node, -1))
            is_exact = True
            layer = self._axes.layer_names[places[index][1]] if index < len(places) else ""
        return {
            "kind": origin.kind,
            "layer": layer,
            "after": next((name for one in origin.parameters if (name := self._axes.layer_of(one))), ""),
            "operation": origin.operation,
            "argument": origin.argument,
            "is_exact": is_exact,
            "in_loss": is_exact and not layer,
        }

    def _note_gradient(self, step: int, parameters: Sequence[torch.Tensor], count: int, losses: Sequence[torch.Tensor]) -> None:
        """Note the deepest layer whose gradient was not finite, or whose parameters are not since an update."""
        names = {self._axes.layer_of(one) for one in parameters}
        layers = [name for name in self._axes.layer_names if name in names]
        if layers:
            slopes = [name for loss in losses for name in infinite_slopes([loss], parameters)]
            noted = {"kind": "gradient", "layer": layers[-1], "bad": len(parameters), "of": count}
            self._note(step, noted | {"operations": list(dict.fromkeys(slopes))[:MOST_TOLD]})

    def _note(self, step: int, what: dict[str, object]) -> None:
        self._is_over = True
        self._writer.set_attribute(ATTRIBUTE, json.dumps({"step": step, **what}))


def _is_finite(gradient: torch.Tensor) -> bool:
    """Whether all numbers of a gradient are finite; those of a sparse one are asked once rows that came twice are added up."""
    numbers = gradient.coalesce().values() if gradient.layout is torch.sparse_coo else gradient
    return bool(numbers.isfinite().all())
