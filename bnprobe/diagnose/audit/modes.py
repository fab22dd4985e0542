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
#: Share of what the loss has come down by that running statistics take back again, from which it costs however little the output moves
#: in its own deviations: a classifier that is sure of itself has large ones. Practice: a quarter is more than the last tenth of most
#: trainings brings.
TAKEN_BACK = 0.25
_ANY = partial(
    AuditRow,
    id="train-eval-gap",
    title="the same batch, training against evaluation",
    source="Singh, Shrivastava 2019, EvalNorm (1904.06031)",
)
_ROW = partial(
    _ANY,
    units="deviations",
    formula="rms of y_running - y over the deviation of y, at the network's output; the forward computed again from its tape",
)
_LOSS = partial(
    _ANY,
    units="of what was learned",
    formula="(L_running - L) / (L_start - L), L the loss of the batch; the forward computed again from its tape",
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
    is_early = int(recorded.audit[row]) < SETTLED
    moved = f"{run.name(output)} moves {number(gap)} deviations"
    if is_lost:
        moved = f"the signal is beyond what its type holds behind {run.name(output)}"
    shown = [norm.layer for norm in norms(recorded) if norm.layer in values]
    shown += [output] if output not in shown else []
    taken_back = _taken_back(run, row)
    costs = gap > limit or is_lost or taken_back > TAKEN_BACK
    measured = partial(
        _ROW,
        value=float("inf") if is_lost else gap,
        limit=limit,
        layers=tuple(LayerValue(run.name(i), values[i], costs and not is_early and i == output) for i in shown),
    )
    if costs and not (gap > limit or is_lost):
        measured = partial(_LOSS, value=taken_back, limit=TAKEN_BACK, layers=(LayerValue(run.name(output), taken_back, not is_early),))
        moved += ", which are large, and the loss takes back much of what it had come down by"
    return measured(
        verdict=("cannot tell" if is_early else "costs") if costs else "fine",
        says=f"At step {int(recorded.audit[row])} the batch has loss {number(loss)} in training, {number(running)} on running statistics; "
        f"{moved}{', before running statistics can have settled' if costs and is_early else ''}.",
        advice="larger batches, a momentum that follows the training, or statistics computed anew before evaluating"
        if costs and not is_early
        else f"record at least {SETTLED} steps"
        if costs
        else "",
    )


def _taken_back(run: RunAnalysis, row: int) -> float:
    """The share of what the loss has come down by that running statistics take back, at an audit; 0 where that says nothing.

    It says nothing of a loss that may stand, that has come down by little, as in fine-tuning, or by less than batches differ by.
    """
    recorded, course = run.recorded, run.course
    loss, running = float(recorded.audit_loss[row]), float(recorded.audit_loss_running[row])
    at = np.flatnonzero(recorded.step == recorded.audit[row])
    if course is None or run.loss_may_stand or not at.size or not (loss > 0 and np.isfinite(running)):
        return 0.0
    # The audit sees one backward's loss; a step's is the sum over its micro-steps.
    whole = float(recorded.loss[at[0]])
    risen = (running - loss) * whole / loss
    learned = course.start - min(whole, course.late)
    if not learned > thresholds.VISIBLE_FALL * abs(course.start) or not risen > 2 * course.noise:
        return 0.0
    return risen / learned
