"""What a program asks of a run, answered in plain values that JSON can hold: what it is, its findings, a series, a step, a comparison.

Numbers that are not finite are the texts "nan", "inf" and "-inf", as in the document of a diagnosis; "nan" is a value that is not a number
or was not there. Answers are cut to what a reader of
text can take in; a spike of one step survives the cut of a series.
"""

from __future__ import annotations

import math
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.views import RunView
from bnprobe.diagnose import diagnose
from bnprobe.diagnose.document import to_document
from bnprobe.errors import UsageError
from bnprobe.report.contents import contents
from bnprobe.report.thinning import envelope
from bnprobe.store.schema import VARIABLES

Answer = dict[str, Any]
#: The axes along which a variable has one value a step, a step and layer, or a step and parameter.
SERIES = {("step",): "", ("step", "layer"): "layer", ("step", "parameter"): "parameter", ("step", "group"): "group"}
#: Of these a person reads no more in one answer.
MOST_ROWS = 400
#: Attributes of a file that differ between any two runs and explain nothing.
_OF_NO_INTEREST = {"created", "pid", "command"}


def overview(run: RunView) -> Answer:
    """Return what a run file holds: attributes, layers, parameters, events, what could not be observed, variables with their axes."""
    found = contents(run)
    found["series"] = [
        {"name": name, "of": SERIES[variable.dims] or "step", "units": variable.units, "what": variable.long_name}
        for name, variable in VARIABLES.items()
        if variable.dims in SERIES and name in run.variables
    ]
    del found["variables"]
    for name in ("layers", "parameters", "events"):
        found[name], cut = found[name][:MOST_ROWS], len(found[name])
        if cut > MOST_ROWS:
            found[f"{name}_in_file"] = cut
    return found


def findings(run: RunView) -> Answer:
    """Return the outcome and the findings, the verdict first: the document of ``bnprobe diagnose --json``."""
    return to_document(diagnose(run))


def series(run: RunView, variable: str, of: str = "", most: int = 200) -> Answer:
    """Return a variable over steps.

    Args:
        run: the run.
        variable: its name in the run file, with an axis of steps.
        of: the layer, parameter or group, where the variable has one value of each.
        most: about how many points; smallest, largest and first non-finite value of each stretch are kept.

    Returns:
        units, and the steps that were measured with their values.

    Raises:
        UsageError: no such variable, or no such layer, parameter or group.
    """
    axis = _axis_of(run, variable)
    values = run[variable]
    if axis:
        values = values[:, _place(run, axis, of)]
    elif of:
        raise UsageError(f"{variable} has one value a step and none of {of!r}", "leave that out")
    measured = _measured(run, axis, values)
    steps, values = run.step[measured], values[measured]
    kept = envelope(values.astype(float), max(most, 3))
    return {
        "variable": variable,
        "of": of,
        "units": VARIABLES[variable].units,
        "measured_steps": len(steps),
        "steps": steps[kept].tolist(),
        "values": _plain(values[kept]),
    }


def at_step(run: RunView, variable: str, step: int) -> Answer:
    """Return a variable of every layer, parameter or group at the measured step nearest to one.

    Args:
        run: the run.
        variable: its name in the run file, with axes of steps and layers, parameters or groups.
        step: the step.

    Returns:
        the step that was measured, and names with values in order of depth.

    Raises:
        UsageError: no such variable, it has one value a step, or it was never measured.
    """
    axis = _axis_of(run, variable)
    if not axis:
        raise UsageError(f"{variable} has one value a step", "ask for its series")
    values = run[variable]
    rows = np.flatnonzero(_measured(run, axis, values))
    if not rows.size:
        raise UsageError(f"{variable} was never measured in {run.name}", "the overview says what could not be observed, and why")
    row = rows[np.argmin(np.abs(run.step[rows] - step))]
    names = run[axis][:MOST_ROWS]
    return {
        "variable": variable,
        "step": int(run.step[row]),
        "units": VARIABLES[variable].units,
        "names": [str(name) for name in names],
        "values": _plain(values[row, : len(names)]),
    }


def comparison(first: RunView, second: RunView, most: int = 12) -> Answer:
    """Return how two runs differ: outcome, verdict, attributes, and the layers whose activations differ most.

    Layers are matched by name, and compared by rms at the last step that both runs measured.
    """
    runs = [first, second]
    told = [findings(run) for run in runs]
    names = sorted((set(first.attributes) | set(second.attributes)) - _OF_NO_INTEREST)
    pairs = {name: [_plain_value(run.attributes.get(name)) for run in runs] for name in names}
    return {
        "runs": [run.name for run in runs],
        "outcomes": [one["outcome"] for one in told],
        "verdicts": [one["findings"][0] for one in told],
        "different": {name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
        "layers": _activations_apart(first, second, most),
    }


def _activations_apart(first: RunView, second: RunView, most: int) -> list[Answer]:
    """The layers of both runs by how many times their rms differs, the largest first."""
    sizes = [run.activation.rms for run in (first, second)]
    rows = [run.step[np.isfinite(size).any(axis=1)] for run, size in zip((first, second), sizes, strict=True)]
    shared = np.intersect1d(*rows)
    names = [{layer.name: place for place, layer in enumerate(run.layers)} for run in (first, second)]
    if not shared.size:
        return []
    at = [int(np.flatnonzero(run.step == shared[-1])[0]) for run in (first, second)]
    found = []
    for name in names[0].keys() & names[1].keys():
        one, other = (float(size[row, place[name]]) for size, row, place in zip(sizes, at, names, strict=True))
        if one > 0 and other > 0:
            found.append((abs(math.log(one / other)), name, one, other))
    return [
        {"layer": name, "step": int(shared[-1]), "activation_rms": _plain(np.array([one, other]))}
        for _, name, one, other in sorted(found, reverse=True)[:most]
    ]


def _axis_of(run: RunView, variable: str) -> str:
    known = {name for name, one in VARIABLES.items() if one.dims in SERIES and name in run.variables}
    if variable not in known:
        raise UsageError(f"{run.name} has no series {variable!r}", _hint(variable, sorted(known)))
    return SERIES[VARIABLES[variable].dims]


def _place(run: RunView, axis: str, name: str) -> int:
    places = np.flatnonzero(run[axis].astype(str) == name)
    if not places.size:
        raise UsageError(f"{run.name} has no {axis} {name!r}", _hint(name, list(map(str, run[axis]))))
    return int(places[0])


def _hint(name: str, known: list[str]) -> str:
    nearest = get_close_matches(name, known, n=5, cutoff=0.5)
    return f"nearest are {', '.join(nearest)}" if nearest else f"of {len(known)} names the first are {', '.join(known[:5])}"


def _measured(run: RunView, axis: str, values: NDArray[Any]) -> NDArray[np.bool_]:
    """The steps that have a row: all, where there is one value a step or group; those at which layers and parameters were measured."""
    if axis in ("layer", "parameter"):
        return run.observed()
    return np.ones(len(values), dtype=bool)


def _plain(values: NDArray[Any]) -> list[Any]:
    return [_plain_value(value) for value in values.tolist()]


def _plain_value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
