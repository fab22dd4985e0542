"""Trainings that follow each other in one recording, as a teacher's and then its student's: each has a network and a loss of its own.

Losses of adversaries cannot be compared with where they began, and those of two trainings cannot either, for another reason: the second one
begins anew. Each is a run by itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.views import RunView
from bnprobe.store.reader import Parameter, Run
from bnprobe.store.schema import STEP_OF, VARIABLES

#: Losses that each of them needs: less is a warm-up, a search for a rate, or a trial.
LEAST_STEPS = 20


def trainings(run: Run) -> list[Run]:
    """Return the trainings of a recording, in order: itself where there is one.

    A training begins where an optimizer takes over from another for good, with weights of its own. Optimizers that ever step in turn train
    together; one that is made anew for the same weights goes on with the same training.

    Args:
        run: a recording.
    """
    stretches = _stretches(RunView.of(run))
    owners = {parameter.group for parameter in run.parameters}
    is_split = len(stretches) > 1 and not run.ranks and not run.resumptions
    if not is_split or any(owners.isdisjoint(groups) or last - first < LEAST_STEPS for first, last, groups in stretches):
        return [run]
    return [_part(run, first, last, groups) for first, last, groups in stretches]


def _stretches(view: RunView) -> list[tuple[int, int, list[int]]]:
    """First row, row behind the last one and groups of the optimizers that step in turn, in order of time."""
    names = [group.partition("[")[0] for group in view.groups]
    found: list[tuple[int, int, list[int]]] = []
    for name in dict.fromkeys(names):
        groups = [index for index, other in enumerate(names) if other == name]
        rows = np.flatnonzero(np.isfinite(view.learning_rate[:, groups]).any(axis=1))
        if rows.size:
            found.append((int(rows[0]), int(rows[-1]) + 1, groups))
    merged: list[tuple[int, int, list[int]]] = []
    for first, last, groups in sorted(found):
        if merged and first < merged[-1][1]:
            before = merged.pop()
            first, last, groups = before[0], max(before[1], last), [*before[2], *groups]
        merged.append((first, last, groups))
    return merged


def _part(run: Run, first: int, last: int, groups: list[int]) -> Run:
    """The rows of one training, with the layers that were measured in them and the parameters that no other optimizer has."""
    view = RunView.of(run)
    steps = view.step[first:last]
    signal = view.activation
    measured = (np.isfinite(signal.rms[first:last]) | (signal.nonfinite[first:last] > 0)).any(axis=0)
    layers = np.flatnonzero(measured)
    parameters = [index for index, parameter in enumerate(run.parameters) if parameter.group < 0 or parameter.group in groups]
    kept: dict[str, NDArray[np.int64]] = {
        axis: np.flatnonzero((run[name] >= steps[0]) & (run[name] <= steps[-1])) for axis, name in STEP_OF.items() if axis in run.lengths
    }
    kept |= {"layer": layers, "parameter": np.array(parameters, dtype=np.int64), "group": np.array(groups, dtype=np.int64)}
    kept["channel"] = np.flatnonzero(np.isin(run["channel_layer"], layers))
    kept["bin"] = np.zeros(0, dtype=np.int64)  # histograms count parameters by their place in the whole recording
    variables = {name: _along(array, VARIABLES[name].dims, kept) for name, array in run.variables.items()}
    if "channel_layer" in variables:
        variables["channel_layer"] = np.searchsorted(layers, variables["channel_layer"]).astype(variables["channel_layer"].dtype)
    return replace(
        run,
        layers=[run.layers[index] for index in layers],
        parameters=[_regrouped(run, index, groups) for index in parameters],
        groups=[run.groups[index] for index in groups],
        events=[event for event in run.events if steps[0] <= event.step <= steps[-1]],
        variables=variables,
        lengths={axis: len(kept[axis]) if axis in kept else length for axis, length in run.lengths.items()},
    )


def _along(array: NDArray[Any], axes: tuple[str, ...], kept: dict[str, NDArray[np.int64]]) -> NDArray[Any]:
    for place, axis in enumerate(axes):
        if axis in kept:
            array = np.take(array, kept[axis], axis=place)
    return array


def _regrouped(run: Run, index: int, groups: list[int]) -> Parameter:
    parameter = run.parameters[index]
    return parameter._replace(group=groups.index(parameter.group)) if parameter.group in groups else parameter
