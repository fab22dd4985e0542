"""Dropout before a batch norm: training adds a variance that evaluation lacks, and the running variance is that of training."""

from __future__ import annotations

from functools import partial

import numpy as np

from bnprobe.analyse import robust
from bnprobe.analyse.audits import audited, last_audit
from bnprobe.analyse.normalisation import norms
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.audit.row import AuditRow, LayerValue
from bnprobe.diagnose.batch_norm import late_gap
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import number

#: Deviations of the normalised signal that are worth a thought. Practice: dropout of 0.1 behind ReLU makes 0.07, of 0.5 makes 0.36.
SHIFTED = 0.2
_ROW = partial(
    AuditRow,
    id="dropout-before",
    title="dropout before a batch norm",
    units="deviations",
    source="Li, Chen, Hu, Yang 2019, Understanding the Disharmony between Dropout and Batch Normalization (1801.05134)",
    formula="statistics of the norm's input without dropout against those with it; else the gap of the script's own evaluation",
)


def dropout_before(run: RunAnalysis) -> AuditRow:
    """How far the script's evaluations, without dropout, are from the running statistics that were gathered with it."""
    recorded = run.recorded
    if (measured := _from_audit(run)) is not None:
        return measured
    batch = [norm.layer for norm in norms(recorded) if norm.family == "batch"]
    drops = [(layer.model, layer.depth) for layer in recorded.layers if layer.kind == "dropout" and layer.role == "output"]
    behind = [i for i in batch if any(m == recorded.layers[i].model and d < recorded.layers[i].depth for m, d in drops)]
    if not behind:
        says = "No module drops values before a batch norm." if batch else "No norm takes statistics of a batch."
        return _ROW(verdict="absent", says=says, advice="")
    met = recorded.batch_norm_evaluation_gap[:, behind].astype(float)
    seen = np.flatnonzero(np.isfinite(met).any(axis=1))
    if not seen.size:
        says = f"{len(behind)} batch norms come after dropout, and no evaluation of the script was seen."
        return _ROW(verdict="cannot tell", says=says, advice="`bnprobe record --audit` measures it, or evaluate in the script")
    late = met[seen[-max(1, seen.size // 4) :]]
    samples = float(robust.median(recorded.evaluation_batch_size[seen]))
    usual = robust.median(late_gap(recorded.batch_norm_gap[:, behind]), axis=0)
    level = robust.median(late, axis=0)
    limit = max(float(thresholds.EVALUATION_GAP), thresholds.GAP_TIMES * float(np.sqrt(1.5 / max(samples, 1.0))))
    costs = (level > limit) & (level > thresholds.GAP_TIMES * usual)
    worst = int(np.nanargmax(level))
    return _ROW(
        verdict="costs" if costs.any() else "fine",
        says=f"{len(behind)} batch norms come after dropout; at {run.name(behind[worst])} an evaluation is {number(float(level[worst]))} "
        f"deviations off the running statistics, a batch of the training {number(float(usual[worst]))}.",
        advice="dropout behind the last batch norm, or none" if costs.any() else "",
        value=float(level[worst]),
        limit=limit,
        layers=tuple(LayerValue(run.name(i), float(v), bool(c)) for i, v, c in zip(behind, level, costs, strict=True)),
    )


def _from_audit(run: RunAnalysis) -> AuditRow | None:
    """The row as an audit measured it: on the same batch, with and without dropout."""
    row = last_audit(run.recorded)
    gaps = audited(run.recorded.audit_dropout_gap, row) if row is not None else {}
    if row is None or not gaps:
        return None
    worst = max(gaps, key=lambda layer: gaps[layer])
    costs = gaps[worst] > SHIFTED
    return _ROW(
        verdict="costs" if costs else "fine",
        says=f"At step {int(run.recorded.audit[row])} the statistics of what {run.name(worst)} receives are "
        f"{number(gaps[worst])} deviations apart with dropout and without.",
        advice="dropout behind the last batch norm, or none" if costs else "",
        value=gaps[worst],
        limit=SHIFTED,
        layers=tuple(LayerValue(run.name(i), gaps[i], gaps[i] > SHIFTED) for i in sorted(gaps, key=lambda i: run.recorded.layers[i].depth)),
    )
