"""The part of a run file that a recording which goes on with it has to know: names, lengths, and where the steps stand.

The rest may be many gigabytes, and is not read.
"""

from __future__ import annotations

from bnprobe.store import schema
from bnprobe.store.schema import DIMENSIONS, STEP_OF, Variable

_STEPS = ("wall_time", "skipped", "layers_observed", "weight_norm", "learning_rate")

VARIABLES: dict[str, Variable] = {
    name: variable
    for name, variable in schema.VARIABLES.items()
    if name in DIMENSIONS
    or name in STEP_OF.values()
    or name in _STEPS
    or variable.dims[0] in ("layer", "parameter", "group", "passed", "resumption", "coverage")
}
