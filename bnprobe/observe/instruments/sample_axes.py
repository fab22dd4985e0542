"""Whether the axis of the samples stays theirs, as sizes tell: no sequence layer runs along it, and no view takes another for it.

A recurrent layer and attention take (T, N, C), or (N, T, C) where they are told ``batch_first``. Given the other one they go from sample to
sample, and no shape complains. A view keeps the order of all numbers: an axis of samples that has other numbers before it than it had is no
axis of samples any more; to move it takes a transposition.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from bnprobe.measure.graph import nodes
from bnprobe.observe.instruments.graph import GRAPH_LIMIT, kind, loss_nodes, shape, sources
from bnprobe.observe.instruments.instrument import Backward, Instrument, Reading, Surroundings
from bnprobe.observe.signals.records import OUTPUT, Tap
from bnprobe.observe.steps.open_step import OpenStep

_VIEWS = ("ViewBackward", "UnsafeViewBackward", "ReshapeAliasBackward")
#: Samples from which the size of an axis tells it from others. Practice: heads, directions and channels of two are common.
FEWEST_SAMPLES = 3


class SampleAxes(Instrument):
    """Looks at the graph of the losses and at sequence layers where every channel is stored; of several backwards at the first.

    Args:
        around: what is there to look at.
    """

    def __init__(self, around: Surroundings) -> None:
        self._schedule = around.schedule
        self._compared: list[tuple[int, ...]] = []
        self._views: int | None = None

    def before_backward(self, step: OpenStep, backward: Backward) -> None:
        """Look at the graph while it is whole."""
        if self._schedule.is_snapshot(step.number) and step.micro_steps == 1:
            self._compared = compared_shapes(backward.losses)
            self._views = views_over_samples(backward.losses)

    def close(self, step: OpenStep, taps: Sequence[Tap]) -> list[tuple[str, Reading]]:
        """Return what was found."""
        compared, views = self._compared, self._views
        self._compared, self._views = [], None
        found = [] if views is None else [("views_over_samples", views)]
        across = [runs_across_samples(tap.moments.samples, tap.moments.positions, compared) for tap in taps if _takes_sequences(tap)]
        known = [answer for answer in across if answer is not None]
        if known:
            found.append(("sequences_over_samples", sum(known)))
        return [(name, Reading([float(value)])) for name, value in found]


def runs_across_samples(samples: int, positions: int, compared: Sequence[tuple[int, ...]]) -> bool | None:
    """Whether what a layer took for the sequence is what the loss takes for samples; None where sizes do not tell.

    Args:
        samples: size of the axis that the layer took for the batch.
        positions: size of the one it took for the sequence.
        compared: shapes of what the loss is made of.
    """
    number = _samples(compared)
    if number is None or samples < 2 or samples == number:
        return None if number is None or samples < 2 else False
    if samples % number == 0 and positions == number:
        return None  # samples may be joined with rows or sentences there, and these be as long as samples are many
    return positions == number and not any(samples in axes for axes in compared)


def compared_shapes(losses: Any) -> list[tuple[int, ...]]:
    """Shapes with axes of what a loss is made of, up to what the last layers gave out, the nearest first."""
    found = []
    for node in loss_nodes(losses):
        found += [made for one in (node, *sources(node)) if (made := shape(one))]
    return list(dict.fromkeys(found))


def views_over_samples(losses: Any) -> int | None:
    """How many views of the whole graph take the axis of samples to another place; None where the number of samples is not known.

    The axis is known by its size, that of the first axis of what the loss compares, where one axis alone has it, before and after.

    Args:
        losses: what a backward starts from: a tensor, or several.
    """
    number = _samples(compared_shapes(losses))
    if number is None:
        return None
    return sum(_before(given, number) != _before(made, number) for given, made in _views(losses) if _is_clear(given, made, number))


def _samples(compared: Sequence[tuple[int, ...]]) -> int | None:
    number = compared[0][0] if compared else 0
    return number if number >= FEWEST_SAMPLES else None


def _views(losses: Any) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    for node in nodes(losses, GRAPH_LIMIT):
        made, given = shape(node), getattr(node, "_saved_self_sym_sizes", None)
        if kind(node).startswith(_VIEWS) and made and given:
            yield tuple(map(int, given)), made


def _is_clear(given: tuple[int, ...], made: tuple[int, ...], number: int) -> bool:
    """Whether the one axis of that size is that of the samples: where samples may be joined with others before it, it may be of channels.

    A view that takes it from the front, and only puts the same axes into another order, leaves no doubt.
    """
    if not given.count(number) == made.count(number) == 1:
        return False
    may_be_joined = any(_before(axes, number) % number == 0 for axes in (given, made))
    return not may_be_joined or (given[0] == number and sorted(given) == sorted(made))


def _before(axes: tuple[int, ...], number: int) -> int:
    """Numbers of an index before the axis of samples."""
    return math.prod(axes[: axes.index(number)])


def _takes_sequences(tap: Tap) -> bool:
    return isinstance(tap.key.module(), nn.RNNBase | nn.MultiheadAttention) and tap.key.role == OUTPUT and not tap.is_gradient
