"""One batch norm called several times in a forward: one running mean and variance for signals that differ."""

from __future__ import annotations

from functools import partial

import numpy as np

from bnprobe.analyse import robust
from bnprobe.analyse.layers import module_of
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.audit.row import AuditRow, LayerValue
from bnprobe.diagnose.batch_norm import late_gap, measured_norms, signals_differ
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import number

_ROW = partial(
    AuditRow,
    id="reused",
    title="one norm called several times in a forward",
    units="deviations",
    source="Cooijmans et al. 2017, Recurrent Batch Normalization (1603.09025), section 3",
    formula="rms over the batch of (x - r) / s - (x - m) / d, at each call",
)


def reused(run: RunAnalysis) -> AuditRow:
    """What sharing running statistics costs each call of a batch norm that is called several times in its forward."""
    layers = measured_norms(run)
    modules = {module_of(run.name(int(i))) for i in layers if run.recorded.layer_repeat[i] > 0}
    calls = [int(i) for i in layers if module_of(run.name(int(i))) in modules]
    if not calls:
        return _ROW(verdict="absent", says="Each batch norm is called once in a forward.", advice="")
    gaps = robust.median(late_gap(run.recorded.batch_norm_gap[:, calls]), axis=0)
    limit = float(thresholds.REUSED_GAP)
    differing = {module for module in modules if signals_differ(run, module)}
    costs = np.array([gap > limit and module_of(run.name(i)) in differing for i, gap in zip(calls, gaps, strict=True)])
    worst = int(np.nanargmax(gaps))
    alike = "" if differing else ", whose signals are alike"
    return _ROW(
        verdict="costs" if costs.any() else "fine",
        says=f"{', '.join(sorted(modules))}: {len(calls)} calls{alike}; evaluation would be {number(float(gaps[worst]))} deviations off at "
        f"{run.name(calls[worst])}.",
        advice="a norm of its own for each place, or layer norm, which keeps no statistics" if costs.any() else "",
        value=float(gaps[worst]),
        limit=limit,
        layers=tuple(LayerValue(run.name(i), float(gap), bool(bad)) for i, gap, bad in zip(calls, gaps, costs, strict=True)),
    )
