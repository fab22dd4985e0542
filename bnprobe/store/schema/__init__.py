"""The run file's schema: the one place where a variable's name, axes, type, unit, formula and source are written; a file for each kind.

The writer creates exactly these variables, the reader reads exactly these, and the documentation prints this table.
A value that was not observed is NaN (or -1 in an index), never 0. Per-channel vectors of different lengths lie end to end along the
``channel`` axis, with ``channel_layer`` as the index (the "contiguous ragged array" of the CF conventions).
"""

from __future__ import annotations

from bnprobe.store.schema.audits import AUDIT
from bnprobe.store.schema.curvature import CURVATURE
from bnprobe.store.schema.dimensions import DIMENSIONS, PASSED, STEP_OF
from bnprobe.store.schema.figures import FIGURES
from bnprobe.store.schema.names import LAYER, PARAMETER
from bnprobe.store.schema.notes import NOTES
from bnprobe.store.schema.probes import PROBE
from bnprobe.store.schema.snapshots import SNAPSHOT
from bnprobe.store.schema.steps import STEP, STEP_LAYER, STEP_PARAMETER
from bnprobe.store.schema.variable import TEXT, Variable
from bnprobe.store.schema.what_ifs import WHAT_IF

__all__ = [
    "CONVENTIONS",
    "COORDINATES",
    "DIMENSIONS",
    "PASSED",
    "SCHEMA_NAME",
    "SCHEMA_VERSION",
    "STEP_OF",
    "TEXT",
    "VARIABLES",
    "Variable",
    "variables_along",
]

SCHEMA_NAME = "bnprobe"
SCHEMA_VERSION = 1
CONVENTIONS = f"{SCHEMA_NAME}-{SCHEMA_VERSION}"

VARIABLES: dict[str, Variable] = {
    variable.name: variable
    for variable in [
        *STEP,
        *STEP_LAYER,
        *STEP_PARAMETER,
        *SNAPSHOT,
        *CURVATURE,
        *AUDIT,
        *FIGURES,
        *LAYER,
        *PARAMETER,
        *PROBE,
        *WHAT_IF,
        *NOTES,
    ]
}

#: Every axis has a variable of its own name; these become HDF5 dimension scales, which xarray reads as coordinates.
COORDINATES = tuple(DIMENSIONS)


def variables_along(dimension: str) -> list[Variable]:
    """Return the variables whose first axis is ``dimension``, in schema order."""
    return [variable for variable in VARIABLES.values() if variable.dims[0] == dimension]
