"""What the audits of a recording measured, at the last step at which they have a number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.views import RunView

Array = NDArray[np.float64]


def last_audit(run: RunView) -> int | None:
    """Return the row of the last audit that has numbers; None without one."""
    rows = np.flatnonzero((run.audit >= 0) & np.isfinite(run.audit_loss))
    return int(rows[-1]) if rows.size else None


def why_not(run: RunView) -> str:
    """Say why there is no audit with numbers, as a sentence."""
    reasons = [str(reason) for reason in run.audit_reason if reason]
    return f"It could not be measured: {reasons[-1]}." if reasons else "It was not measured."


def audited(values: NDArray[np.floating], row: int) -> dict[int, float]:
    """Return the values of an audit by layer, those that there are."""
    return {int(layer): float(values[row, layer]) for layer in np.flatnonzero(np.isfinite(values[row]))} if values.ndim == 2 else {}


def last_layer(run: RunView, values: dict[int, float]) -> int | None:
    """Return the deepest layer that has a value: what the network gives out."""
    return max(values, key=lambda layer: (run.layers[layer].depth, layer), default=None)
