"""Dropout before a batch norm: training adds a variance that evaluation lacks, and the running variance is that of training."""

from __future__ import annotations

from functools import partial

import numpy as np

from bnprobe.analyse import robust
from bnprobe.analyse.normalisation import norms
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.audit.row import AuditRow, LayerValue
from bnprobe.diagnose.batch_norm import late_gap
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import number

_ROW = partial(
    AuditRow,
    id="dropout-before",
    title="dropout before a batch norm",
    units="deviations",
    source="Li, Chen, Hu, Yang 2019, Understanding the Disharmony between Dropout and Batch Normalization (1801.05134)",
    formula="gap of a batch of the script's evaluation, beyond that of the training's",
)


def dropout_before(run: RunAnalysis) -> AuditRow:
    """How far the script's evaluations, without dropout, are from the running statistics that were gathered with it."""
    recorded = run.recorded
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
        return _ROW(verdict="cannot tell", says=says, advice="evaluate in the script, after model.eval()")
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
