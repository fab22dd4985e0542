"""Trainings that follow each other in one recording, as a teacher's and then its student's: each has a network and a loss of its own.

Losses of adversaries cannot be compared with where they began, and those of two trainings cannot either, for another reason: the second one
begins anew. Each is a run by itself. A probe and then the unfrozen network, or a network and then the temperature of its answers, are not:
there the second optimizer goes on where the first has come to.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.stability import divergence
from bnprobe.analyse.views import RunView
from bnprobe.store.reader import Parameter, Run
from bnprobe.store.schema import STEP_OF, VARIABLES

#: Losses that each of them needs: less is a warm-up, a search for a rate, or a trial.
LEAST_LOSSES = 20
#: A loss goes on where its first values are those that the training before had come to, up to this factor.
ANEW_TIMES = 2.0
#: Losses at the end of one and at the beginning of the other of which the medians are compared.
COMPARED_LOSSES = 5


class _Stretch(NamedTuple):
    """Rows in which some optimizers step, in turn or one after the other.

    Attributes:
        first: first row.
        end: row behind the last one.
        groups: their parameter groups.
        beside: groups of the training before, where the loss begins below what that one had come to, or the network was trained by it
            already: where such a loss is to go cannot be told, so that it may stand.
    """

    first: int
    end: int
    groups: list[int]
    beside: list[int] = []  # noqa: RUF012 - never changed

    def joined(self, other: _Stretch) -> _Stretch:
        """Both, and what lies between."""
        return self._replace(end=max(self.end, other.end), groups=[*self.groups, *other.groups])


def trainings(run: Run) -> list[Run]:
    """Return the trainings of a recording, in order: itself where there is one.

    A training begins where an optimizer takes over from another for good, with layers of its own and a loss that is not the one that the
    training before had come to, unless that one was lost. Where it has other layers in common with that one, as after a pretraining, its
    loss has to be above from its first value on, before any of its updates. Optimizers that ever step in turn train together. One that is
    too short to be judged is left out; the status of all but the last is that they ended.

    Args:
        run: a recording.
    """
    view = RunView.of(run)
    stretches = [] if run.ranks or run.resumptions else _stretches(view)
    found: list[_Stretch] = []
    for stretch in stretches:
        before = found[-1] if found else None
        level = _level_after(view, before, stretch) if before is not None else "anew"
        if before is not None and level == "same":
            stretch = found.pop().joined(stretch)
        elif before is not None and level == "other":
            stretch = stretch._replace(beside=before.groups)
        found.append(stretch)
    if len(found) < 2:
        return [run]
    parts = [_part(view, stretch, has_ended=stretch is not found[-1]) for stretch in found]
    return [part for part in parts if np.isfinite(part.every_loss[1]).sum() >= LEAST_LOSSES or divergence(part) is not None] or [run]


def _stretches(view: RunView) -> list[_Stretch]:
    """Those of optimizers that step in turn, in order of time."""
    names = [group.partition("[")[0] for group in view.groups]
    found: list[_Stretch] = []
    for name in dict.fromkeys(names):
        groups = [index for index, other in enumerate(names) if other == name]
        rows = np.flatnonzero(np.isfinite(view.learning_rate[:, groups]).any(axis=1))
        if rows.size:
            found.append(_Stretch(int(rows[0]), int(rows[-1]) + 1, groups))
    merged: list[_Stretch] = []
    for stretch in sorted(found):
        merged.append(merged.pop().joined(stretch) if merged and stretch.first < merged[-1].end else stretch)
    return merged


def _level_after(view: RunView, before: _Stretch, after: _Stretch) -> Literal["anew", "same", "other"]:
    """Where the loss of a stretch begins, beside what was before: it goes on without layers of its own."""
    layers, known = _layers(view, after), _layers(view, before)
    if not np.setdiff1d(layers, known).size:
        return "same"
    first, second = _part(view, before, has_ended=True), _part(view, after, has_ended=False)
    last, losses = (one.every_loss[1][np.isfinite(one.every_loss[1])] for one in (first, second))
    if not losses.size:
        return "same"
    if np.intersect1d(layers, known).size:
        return "other" if last.size and losses[0] > ANEW_TIMES * np.abs(last[-COMPARED_LOSSES:]).max() else "same"
    if not last.size or divergence(first) is not None:
        return "anew"
    end, begin = float(np.median(last[-COMPARED_LOSSES:])), float(np.median(losses[:COMPARED_LOSSES]))
    if begin > end + (ANEW_TIMES - 1) * abs(end):
        return "anew"
    return "same" if begin >= end - (1 - 1 / ANEW_TIMES) * abs(end) else "other"


def _layers(view: RunView, stretch: _Stretch) -> NDArray[np.int64]:
    """The layers that were measured in a stretch."""
    rows, signal = slice(stretch.first, stretch.end), view.activation
    return np.flatnonzero((np.isfinite(signal.rms[rows]) | (signal.nonfinite[rows] > 0)).any(axis=0))


def _parameters(view: RunView, stretch: _Stretch) -> NDArray[np.int64]:
    """The parameters that were measured in a stretch, whichever optimizer had them first, and those that no optimizer has."""
    rows = slice(stretch.first, stretch.end)
    measured = (np.isfinite(view.update_norm[rows]) | np.isfinite(view.weight_norm[rows])).any(axis=0)
    owned = [parameter.group in stretch.groups or parameter.group < 0 for parameter in view.parameters]
    return np.flatnonzero(measured | np.array(owned, dtype=bool))


def _part(view: RunView, stretch: _Stretch, *, has_ended: bool) -> Run:
    """One training by itself: its rows, its layers, its parameters."""
    steps = view.step[stretch.first : stretch.end]
    layers, parameters = _layers(view, stretch), _parameters(view, stretch)
    groups = [*stretch.groups, *stretch.beside]
    kept: dict[str, NDArray[np.int64]] = {
        axis: np.flatnonzero((view[name] >= steps[0]) & (view[name] <= steps[-1])) for axis, name in STEP_OF.items() if axis in view.lengths
    }
    kept |= {"layer": layers, "parameter": parameters, "group": np.array(groups, dtype=np.int64)}
    kept["channel"] = np.flatnonzero(np.isin(view["channel_layer"], layers))
    kept["bin"] = np.zeros(0, dtype=np.int64)  # histograms count parameters by their place in the whole recording
    if "probe" in kept:
        kept["probe_point"] = np.flatnonzero(np.isin(view["probe_point_probe"], kept["probe"]))
    variables = {name: _along(array, VARIABLES[name].dims, kept) for name, array in view.variables.items()}
    for name, axis in {"channel_layer": "layer", "probe_point_probe": "probe"}.items():
        if name in variables and axis in kept:
            variables[name] = np.searchsorted(kept[axis], variables[name]).astype(variables[name].dtype)
    return Run(
        path=view.path,
        attributes=view.attributes | ({"status": "finished"} if has_ended else {}),
        layers=[view.layers[index] for index in layers],
        parameters=[_regrouped(view.parameters[index], groups) for index in parameters],
        groups=[view.groups[index] for index in groups],
        events=[event for event in view.events if steps[0] <= event.step <= steps[-1]],
        gaps=view.gaps,
        variables=variables,
        problems=view.problems,
        lengths={axis: len(kept[axis]) if axis in kept else length for axis, length in view.lengths.items()},
    )


def _along(array: NDArray[Any], axes: tuple[str, ...], kept: dict[str, NDArray[np.int64]]) -> NDArray[Any]:
    for place, axis in enumerate(axes):
        if axis in kept:
            array = np.take(array, kept[axis], axis=place)
    return array


def _regrouped(parameter: Parameter, groups: list[int]) -> Parameter:
    """A parameter with the place of its group in this training; of one that another optimizer had before, which group is not known."""
    if parameter.group < 0:
        return parameter
    return parameter._replace(group=groups.index(parameter.group) if parameter.group in groups else 0)
