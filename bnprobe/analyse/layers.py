"""Which layers belong together: those of one module, and those that make one depth profile."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.views import RunView
from bnprobe.store.reader import Layer, Run

#: Kinds that carry weights and transform the signal, so that a profile over them shows what the network does to it.
TRANSFORMING = ("convolution", "linear", "recurrent", "attention")

#: Operations that put signals side by side.
_JOINING = ("cat", "stack")

#: Layers that a profile needs.
_FEWEST_OF_A_KIND = 3

_SUFFIX = re.compile(r"(:(input|\d+))+$")


def described(layer: Layer) -> str:
    """Return a layer's name as it reads in a sentence: with its type where it is a bare number, as in nn.Sequential."""
    return f"{layer.name} ({layer.type})" if not any(map(str.isalpha, module_of(layer.name))) else layer.name


def module_of(layer: str) -> str:
    """The module a layer belongs to: ``x:2`` (its second call) and ``x:input`` are signals of module ``x``.

    >>> module_of("stage1.conv:input"), module_of("stage1.conv:2"), module_of("stage1.conv")
    ('stage1.conv', 'stage1.conv', 'stage1.conv')
    """
    return _SUFFIX.sub("", layer)


def counted(run: Run) -> list[Layer]:
    """The layers as one counts them: one for a module that was called, however often, and whose input may have a row of its own."""
    first: dict[tuple[int, str], Layer] = {}
    for layer in run.layers:
        if layer.role != "input":
            first.setdefault((layer.model, module_of(layer.name)), layer)
    return list(first.values())


def signals_before(run: Run, layer: int) -> list[int]:
    """The recorded signals of a layer's model that come before it, in order of depth."""
    here = run.layers[layer]
    before = [(other.depth, i) for i, other in enumerate(run.layers) if other.model == here.model and other.depth < here.depth]
    return [i for _, i in sorted(before)]


def is_joined(run: Run, layer: int) -> bool:
    """Whether a measured input is others put side by side, which makes none of them larger."""
    view = RunView.of(run)
    return str(view.layer_made_by[layer]).startswith(_JOINING)


class MeasuredInput(NamedTuple):
    """What a module was measured to receive.

    Attributes:
        layer: its index.
        outputs: how many outputs of modules came before it, of those whose size is known.
        largest: the largest of their sizes; 0 without one.
    """

    layer: int
    outputs: int
    largest: float


def measured_inputs(run: Run, model: int, size: NDArray[np.floating]) -> Iterator[MeasuredInput]:
    """Go through what modules of a model were measured to receive, in order of depth, in one pass over its signals.

    Args:
        run: the recording.
        model: root module.
        size: size of each signal, (L,).

    Yields:
        Each input, with what came before it.
    """
    outputs, largest = 0, 0.0
    for _, index in sorted((layer.depth, i) for i, layer in enumerate(run.layers) if layer.model == model):
        if run.layers[index].role == "input":
            yield MeasuredInput(index, outputs, largest)
        elif np.isfinite(size[index]):
            outputs, largest = outputs + 1, max(largest, float(size[index]))


def largest_model(run: Run) -> int:
    """The root module with the most recorded layers: the one a verdict speaks of first."""
    counts = Counter(layer.model for layer in run.layers)
    return max(counts, key=lambda model: (counts[model], -model), default=0)


def profile_layers(run: Run, model: int | None = None) -> NDArray[np.int64]:
    """Indices of the layers whose size is followed along depth: the outputs of one kind within one model, in order of depth.

    The kind is the most frequent one among those that carry weights, else the most frequent of all; modules of the script's own that carry
    weights where there are fewer than three of any other kind, and more of these. Only one kind, because sizes of different kinds differ by
    design (a ReLU halves the energy); only the first call, because a reused module is not a deeper one. Of separate networks in one model,
    an actor and a critic say, the longest alone: one is not deeper than the other.
    """
    model = largest_model(run) if model is None else model
    own = [(i, layer) for i, layer in enumerate(run.layers) if (layer.model, layer.call, layer.role) == (model, 0, "output")]
    if not own:
        return np.zeros(0, dtype=np.int64)
    counts = Counter(layer.kind for _, layer in own)
    weighted = {kind: counts[kind] for kind in TRANSFORMING if counts[kind]} or counts
    kind = max(weighted, key=lambda name: weighted[name])
    in_order = sorted(own, key=lambda pair: pair[1].depth)
    chosen = max(separate_networks(run, model, [i for i, layer in in_order if layer.kind == kind]), key=len)
    owners = {parameter.layer for parameter in run.parameters if is_matrix(parameter.shape)}
    written = [i for i, layer in in_order if layer.kind == "other" and module_of(layer.name) in owners]
    return np.array(written if len(chosen) < _FEWEST_OF_A_KIND <= len(written) else chosen, dtype=np.int64)


def separate_networks(run: Run, model: int, layers: list[int]) -> list[list[int]]:
    """Part layers of a model where one of them takes in what the model was given, and cannot take in what came before it.

    A linear layer is known to begin a network of its own by its weight: as many inputs as the model's first signal has channels, and not as
    many as any layer before it in the same network gives out.

    Args:
        run: the recording.
        model: root module.
        layers: outputs of one kind, in order of depth.
    """
    first = min((layer.depth, layer.channels, layer.role) for layer in run.layers if layer.model == model)
    inputs = {parameter.layer: axes[1] for parameter in run.parameters if len(axes := _axes(parameter.shape)) == 2}
    parts, given_out = [list[int]()], set[int]()
    for index in layers:
        layer = run.layers[index]
        taken = inputs.get(module_of(layer.name)) if layer.kind == "linear" and first[2] == "input" else None
        if parts[-1] and taken == first[1] and taken not in given_out:
            parts.append([])
            given_out.clear()
        parts[-1].append(index)
        given_out.add(layer.channels)
    return parts


def heads(run: Run, last: int) -> list[int]:
    """Return the layers that end a model side by side: its deepest with weights, and those before it that are heads of the same signal.

    A layer right before the last one is known as a head by its weight: it takes in as much as the last does, and gives out what that does
    not take in.

    Args:
        run: the recording.
        last: the deepest layer with weights.
    """
    end, found = run.layers[last], [last]
    taken = {parameter.layer: axes[1] for parameter in run.parameters if len(axes := _axes(parameter.shape)) > 1}
    before = [
        (layer.depth, index)
        for index, layer in enumerate(run.layers)
        if (layer.model, layer.role) == (end.model, "output") and layer.depth < end.depth and module_of(layer.name) in taken
    ]
    for _, index in sorted(before, reverse=True):
        layer = run.layers[index]
        if (
            layer.kind != end.kind
            or taken[module_of(layer.name)] != taken.get(module_of(end.name))
            or layer.channels == taken[module_of(layer.name)]
        ):
            break
        found.append(index)
    return found


def _axes(shape: str) -> list[int]:
    return [int(axis) for axis in re.findall("[0-9]+", shape)]


def is_matrix(shape: str) -> bool:
    """Whether a parameter of that shape has more than one axis: a weight, and no bias or gain."""
    return len(_axes(shape)) > 1
