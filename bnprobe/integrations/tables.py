"""A run as tidy tables: one row an observation, one column a variable, what it was observed of beside it.

The tables follow the schema: variables with the same axes stand in one table, under their own names. A new variable appears in its
table without a change here. Rows in which nothing was observed are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.common_mode import common_mode_fraction, spatial_common_mode_fraction
from bnprobe.analyse.views import RunView
from bnprobe.errors import UsageError
from bnprobe.store.reader import Run
from bnprobe.store.schema import VARIABLES

#: Columns of equal length by name, in the order in which they are shown.
Table = dict[str, NDArray[Any]]

#: The tables: the axes whose variables stand in them, and what is in a row.
AXES: dict[str, tuple[str, ...]] = {
    "steps": ("step",),
    "groups": ("step", "group"),
    "layers": ("step", "layer"),
    "parameters": ("step", "parameter"),
    "channels": ("snapshot", "channel"),
    "kernels": ("snapshot", "parameter"),
    "elements": ("snapshot", "layer"),
    "curvature": ("curvature",),
    "line_probes": ("probe",),
    "line_points": ("probe_point",),
    "what_if": ("what_if",),
    "what_if_points": ("what_if_point",),
    "what_if_activations": ("what_if_point", "what_if_layer"),
    "audits": ("audit",),
    "audit_layers": ("audit", "layer"),
    "gradient_tails": ("figure", "parameter"),
    "gradient_bins": ("bin",),
    "logits": ("logit",),
    "singular_values": ("singular",),
    "layer_list": ("layer",),
    "parameter_list": ("parameter",),
    "passed_steps": ("passed",),
    "events": ("event",),
    "resumptions": ("resumption",),
    "coverage": ("coverage",),
}
#: What says which row it is, by axis: the column, and the variable that has its values.
_KEYS = {
    "step": "step",
    "snapshot": "snapshot",
    "layer": "layer",
    "parameter": "parameter",
    "group": "group",
    "audit": "audit",
    "figure": "figure",
    "what_if_point": "what_if_point",
    "what_if_layer": "what_if_layer",
}
#: An index along these axes and nothing else: it says what the row number says.
_BARE_INDICES = {"probe", "probe_point", "event", "resumption", "coverage", "what_if", "what_if_point", "bin", "logit", "singular"}


def table(run: Run, name: str) -> Table:
    """Return one table of a run.

    Args:
        run: the run.
        name: a key of ``AXES``.

    Raises:
        UsageError: there is no table of that name.
    """
    if name not in AXES:
        raise UsageError(f"there is no table {name!r}", f"the tables are {', '.join(AXES)}")
    axes = AXES[name]
    return _flat(run, axes[0]) if len(axes) == 1 else _crossed(run, name, axes)


def tables(run: Run) -> dict[str, Table]:
    """Return every table that has a row."""
    found = {name: table(run, name) for name in AXES}
    return {name: columns for name, columns in found.items() if rows(columns)}


def rows(columns: Mapping[str, NDArray[Any]]) -> int:
    """Number of rows of a table."""
    return len(next(iter(columns.values()))) if columns else 0


def _flat(run: Run, axis: str) -> Table:
    """Variables along one axis: a column each."""
    names = [name for name, variable in VARIABLES.items() if variable.dims == (axis,) and name not in _BARE_INDICES]
    return {name: run[name] for name in names}


def _crossed(run: Run, name: str, axes: tuple[str, ...]) -> Table:
    """Variables along two axes: a row for each pair that was observed."""
    values = {variable.name: run[variable.name] for variable in VARIABLES.values() if variable.dims == axes}
    if name == "layers":
        view = RunView.of(run)
        values = {
            "common_mode_fraction": common_mode_fraction(view, "activation"),
            "spatial_common_mode_fraction": spatial_common_mode_fraction(view, "activation"),
            **values,
        }
    observed = np.logical_or.reduce([_is_known(column) for column in values.values()])
    first, second = np.nonzero(observed)
    return {**_keys(run, axes[0], first), **_keys(run, axes[1], second), **{key: column[observed] for key, column in values.items()}}


def _keys(run: Run, axis: str, chosen: NDArray[np.intp]) -> Table:
    if axis == "channel":
        layers = run["channel_layer"][chosen]
        return {"layer": _taken(run["layer"], layers), "channel": run["channel"][chosen]}
    if axis == "snapshot":
        return {"step": run["snapshot"][chosen]}
    keys = {axis: run[_KEYS[axis]][chosen]}
    if axis == "layer":
        keys |= {"depth": run["layer_depth"][chosen], "kind": run["layer_kind"][chosen]}
    return keys


def _taken(values: NDArray[Any], places: NDArray[Any]) -> NDArray[Any]:
    """The values at some places; a damaged file may point past the end."""
    known = (places >= 0) & (places < len(values))
    taken = np.full(len(places), "", dtype=object)
    taken[known] = values[places[known]]
    return taken


def _is_known(values: NDArray[Any]) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = ~np.isnan(values) if values.dtype.kind == "f" else values != -1
    return known
