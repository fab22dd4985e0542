"""The share of norms in the time of a forward, and in what it writes."""

from __future__ import annotations

from functools import partial

import numpy as np

from bnprobe.analyse.audits import audited, last_audit, why_not
from bnprobe.diagnose.audit.row import AuditRow, LayerValue
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import percent

#: Share of the forward's time from which it is worth a thought. Practice: a fifth.
DEAR = 0.2
_ROW = partial(
    AuditRow,
    id="cost",
    title="share of the forward's time",
    units="of the time",
    source="Curse of Batch Normalization (2020)",
    formula="seconds of the norms' operations over those of all operations of the forward, computed one by one; the least of several; "
    "the middle one of all audits",
)


def cost(run: RunAnalysis) -> AuditRow:
    """Which share of the forward's time, and of what it writes, norms take."""
    recorded = run.recorded
    row = _middle(run) if last_audit(recorded) is not None else None
    time = audited(recorded.audit_time, row) if row is not None else {}
    if row is None or not time:
        says = why_not(run.recorded) if row is None else "No operation of torch's own normalises: the script writes its norms out."
        return _ROW(verdict="cannot tell", says=says, advice="`bnprobe record --audit` measures it" if row is None else "")
    memory = audited(recorded.audit_memory, row)
    total, costs = sum(time.values()), sum(time.values()) > DEAR
    return _ROW(
        verdict="costs" if costs else "fine",
        says=f"{len(time)} norms take {percent(total)} of the forward's time and {percent(sum(memory.values()))} of what its operations "
        "write; the backward was not timed.",
        advice="larger layers between them, channels-last, a compiled model, or fewer norms" if costs else "",
        value=total,
        limit=DEAR,
        layers=tuple(LayerValue(run.name(i), time[i], False) for i in sorted(time, key=lambda i: recorded.layers[i].depth)),
    )


def _middle(run: RunAnalysis) -> int | None:
    """The audit whose share is the middle one: what else the machine does falls on norms in one, and between them in another."""
    recorded = run.recorded
    share = np.nansum(recorded.audit_time, axis=1)
    rows = np.flatnonzero((recorded.audit >= 0) & np.isfinite(recorded.audit_loss) & (share > 0))
    return int(rows[np.argsort(share[rows])[(len(rows) - 1) // 2]]) if rows.size else last_audit(recorded)
