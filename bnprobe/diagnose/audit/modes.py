"""The same batch in training and in evaluation: how far the network's output is off where its batch norms use running statistics."""

from __future__ import annotations

from functools import partial

import numpy as np

from bnprobe.analyse.audits import audited, last_audit, last_layer, why_not
from bnprobe.analyse.normalisation import norms
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.audit.row import AuditRow, LayerValue
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import number

#: Steps after which little is left of what running statistics were made with: 0.9^30 is 4 per cent, at the usual momentum.
SETTLED = 30
_ROW = partial(
    AuditRow,
    id="train-eval-gap",
    title="the same batch, training against evaluation",
    units="deviations",
    source="Singh, Shrivastava 2019, EvalNorm (1904.06031)",
    formula="rms of y_running - y over the deviation of y, at the network's output; the forward computed again from its tape",
)


def train_eval_gap(run: RunAnalysis) -> AuditRow:
    """How far running statistics in all batch norms move the output of a batch of the training."""
    recorded = run.recorded
    if not any(norm.family == "batch" for norm in norms(recorded)):
        return _ROW(verdict="absent", says="No norm is another in evaluation than in training.", advice="")
    row = last_audit(recorded)
    values = audited(recorded.audit_evaluation_gap, row) if row is not None else {}
    output = last_layer(recorded, values)
    if row is None or output is None:
        return _ROW(verdict="cannot tell", says=why_not(run.recorded), advice="`bnprobe record --audit` measures it")
    gap, limit = values[output], float(thresholds.EVALUATION_GAP)
    loss, running = float(recorded.audit_loss[row]), float(recorded.audit_loss_running[row])
    is_lost = np.isfinite(loss) and not np.isfinite(running)  # the output is not among the values: none of it is a number
    costs, is_early = gap > limit or is_lost, int(recorded.audit[row]) < SETTLED
    moved = f"{run.name(output)} moves {number(gap)} deviations"
    if is_lost:
        moved = f"the signal is beyond what its type holds behind {run.name(output)}"
    shown = [norm.layer for norm in norms(recorded) if norm.layer in values]
    shown += [output] if output not in shown else []
    return _ROW(
        verdict=("cannot tell" if is_early else "costs") if costs else "fine",
        says=f"At step {int(recorded.audit[row])} the batch has loss {number(loss)} in training, {number(running)} on running statistics; "
        f"{moved}{', before running statistics can have settled' if costs and is_early else ''}.",
        advice="larger batches, a momentum that follows the training, or statistics computed anew before evaluating"
        if costs and not is_early
        else f"record at least {SETTLED} steps"
        if costs
        else "",
        value=float("inf") if is_lost else gap,
        limit=limit,
        layers=tuple(LayerValue(run.name(i), values[i], costs and not is_early and i == output) for i in shown),
    )
