"""Samples that are normalised together: exchange one of the batch, and the outputs of the others move."""

from __future__ import annotations

from functools import partial

from bnprobe.analyse.audits import audited, last_audit, last_layer, why_not
from bnprobe.analyse.normalisation import norms
from bnprobe.diagnose.audit.row import AuditRow, LayerValue
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import number

#: Deviations of the output that a single other sample may decide. Practice: a tenth.
COUPLED = 0.1
_ROW = partial(
    AuditRow,
    id="coupling",
    title="samples that depend on each other",
    units="deviations",
    source="Curse of Batch Normalization (2020); Brock, De, Smith 2021 (2101.08692), section 1",
    formula="rms over other samples of y' - y over the deviation of y, one sample of the batch exchanged; the forward computed again",
)


def coupling(run: RunAnalysis) -> AuditRow:
    """How far the outputs of other samples move when one sample of the batch is exchanged."""
    recorded = run.recorded
    row = last_audit(recorded)
    values = audited(recorded.audit_coupling, row) if row is not None else {}
    output = last_layer(recorded, values)
    if row is None or output is None:
        says = why_not(run.recorded) if row is None else "The batch has no axis of samples that its data share."
        return _ROW(verdict="cannot tell", says=says, advice="`bnprobe record --audit` measures it" if row is None else "")
    moved, costs = values[output], values[output] > COUPLED
    shown = [norm.layer for norm in norms(recorded) if norm.layer in values]
    shown += [output] if output not in shown else []
    return _ROW(
        verdict="costs" if costs else "fine",
        says=f"Of {number(float(recorded.audit_samples[row]))} samples one was exchanged: at {run.name(output)} the others move "
        f"{number(moved)} deviations.",
        advice="larger batches, or a norm of each sample by itself: group norm, layer norm" if costs else "",
        value=moved,
        limit=COUPLED,
        layers=tuple(LayerValue(run.name(i), values[i], costs and values[i] > COUPLED) for i in shown),
    )
