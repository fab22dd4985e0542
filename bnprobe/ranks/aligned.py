"""Several runs on common axes: where each step, layer, channel and parameter of a rank stands in the merged run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.store.reader import Layer, Parameter, Run
from bnprobe.store.schema import VARIABLES

Array = NDArray[Any]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Aligned:
    """Ranks on common axes.

    Attributes:
        runs: the ranks, by number.
        steps: (S,) steps that any of them has in detail, and none without, in order.
        layers: the layers of all, the first rank's first; a layer is known by its name and its number of channels.
        parameters: the same of parameters, by name and shape.
        layer_places, parameter_places, step_places, channel_places: of each rank, where its entries stand in the merged axis.
        step_rows: of each rank, which of its rows those of ``step_places`` are.
        channel_layer: (C,) layer of each channel.
        problems: what could not be put together, a sentence each.
        has_layers: (S,) steps at which layers and parameters count; None for all.
        first: where these steps begin among those of all, where they are a part of them.
    """

    runs: Sequence[Run]
    steps: NDArray[np.int64]
    layers: list[Layer]
    parameters: list[Parameter]
    step_places: list[Index]
    step_rows: list[Index]
    layer_places: list[Index]
    parameter_places: list[Index]
    channel_places: list[Index]
    channel_layer: NDArray[np.int32]
    problems: list[str]
    has_layers: NDArray[np.bool_] | None = None
    first: int = 0

    def part(self, first: int, stop: int) -> Aligned:
        """The same of the steps from one place to before another: all that is laid out or stacked is of those alone."""
        has_layers = self.has_layers[first:stop] if self.has_layers is not None else None
        return replace(self, steps=self.steps[first:stop], has_layers=has_layers, first=first)

    def only(self, has_layers: NDArray[np.bool_]) -> Aligned:
        """The same, with layers and parameters at some steps alone: those at which all ranks that were still there measured them."""
        return replace(self, has_layers=has_layers)

    def laid(self, rank: int, name: str) -> Array:
        """Return a rank's variable along step, or step and layer or parameter, on the common axes; missing where it has nothing."""
        variable, run = VARIABLES[name], self.runs[rank]
        lengths = {"step": len(self.steps), "layer": len(self.layers), "parameter": len(self.parameters)}
        places = {"layer": self.layer_places, "parameter": self.parameter_places}
        found = np.full([lengths[dimension] for dimension in variable.dims], variable.missing, dtype=variable.dtype)
        own = self._own(rank)
        where = [self.step_places[rank][own] - self.first, *(places[dimension][rank] for dimension in variable.dims[1:])]
        found[np.ix_(*where)] = run[name][self.step_rows[rank][own]]
        if self.has_layers is not None and len(variable.dims) == 2 and variable.dims[0] == "step":
            found[~self.has_layers] = variable.missing
        return found

    def _own(self, rank: int) -> slice:
        """Which of a rank's merged rows are of these steps."""
        low, high = np.searchsorted(self.step_places[rank], (self.first, self.first + len(self.steps)))
        return slice(int(low), int(high))

    def columns(self, name: str, layers: Sequence[int]) -> list[Array]:
        """Return a variable of a few layers, of each rank (S, layers); missing where it has nothing."""
        found = []
        for rank, run in enumerate(self.runs):
            values = np.full((len(self.steps), len(layers)), VARIABLES[name].missing, dtype=VARIABLES[name].dtype)
            own = {int(place): column for column, place in enumerate(self.layer_places[rank])}
            for column, layer in enumerate(layers):
                if layer in own:
                    values[self.step_places[rank], column] = run[name][self.step_rows[rank], own[layer]]
            found.append(values)
        return found

    def stacked(self, name: str) -> Array:
        """Return the same of all ranks, the axis of ranks first; whole numbers as they are, the rest in float64."""
        values = np.stack([self.laid(rank, name) for rank in range(len(self.runs))])
        return values.astype(np.float64) if values.dtype.kind == "f" else values


def align(runs: Sequence[Run]) -> Aligned:
    """Put ranks on common axes."""
    problems: list[str] = []
    steps = detailed_steps(runs)
    rows = [np.flatnonzero(np.isin(run["step"], steps)) for run in runs]
    layers, layer_places = _joined(runs, [[(layer.name, layer.channels) for layer in run.layers] for run in runs], "layer", problems)
    parameters, parameter_places = _joined(runs, [[(one.name, one.shape) for one in run.parameters] for run in runs], "parameter", problems)
    chosen_layers = [runs[rank].layers[place] for rank, place in layers]
    starts = np.concatenate([[0], np.cumsum([layer.channels for layer in chosen_layers])]).astype(np.intp)
    channel_places = []
    for run, places in zip(runs, layer_places, strict=True):
        own = run["channel_layer"]
        within = run["channel"].astype(np.intp)
        channel_places.append(starts[places[own]] + within if len(own) else np.zeros(0, dtype=np.intp))
    return Aligned(
        runs=runs,
        steps=steps,
        layers=[layer._replace(depth=depth) for depth, layer in enumerate(chosen_layers)],
        parameters=[runs[rank].parameters[place] for rank, place in parameters],
        step_places=[np.searchsorted(steps, run["step"][own]) for run, own in zip(runs, rows, strict=True)],
        step_rows=rows,
        layer_places=layer_places,
        parameter_places=parameter_places,
        channel_places=channel_places,
        channel_layer=np.repeat(np.arange(len(chosen_layers), dtype=np.int32), [layer.channels for layer in chosen_layers]),
        problems=problems,
    )


def detailed_steps(runs: Sequence[Run]) -> NDArray[np.int64]:
    """Return the steps that every rank which took them still has in detail, in order: each thins its file at moments of its own."""
    steps = np.unique(np.concatenate([run["step"] for run in runs])).astype(np.int64)
    return np.setdiff1d(steps, np.concatenate([run["passed"] for run in runs]))


def _joined(
    runs: Sequence[Run], keys: list[list[tuple[str, Any]]], what: str, problems: list[str]
) -> tuple[list[tuple[int, int]], list[Index]]:
    """Join the entries of an axis: which rank's entry each merged one is, and where those of each rank stand."""
    order: dict[tuple[str, Any], int] = {}
    chosen: list[tuple[int, int]] = []
    places = []
    for rank, own in enumerate(keys):
        for place, key in enumerate(own):
            if key not in order:
                order[key] = len(order)
                chosen.append((rank, place))
        places.append(np.array([order[key] for key in own], dtype=np.intp))
    names = [name for name, _ in order]
    unlike = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if unlike:
        problems.append(f"{what} {unlike[0]} is of another size on some ranks and is told of each size apart ({len(unlike)} such)")
    return chosen, places
