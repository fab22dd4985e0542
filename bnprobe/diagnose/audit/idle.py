"""Norms with little to do: what they received hardly moved in size or mean, so that a fixed scale and shift would have served."""

from __future__ import annotations

from functools import partial

import numpy as np

from bnprobe.analyse.normalisation import norms, received
from bnprobe.analyse.remedies import remedies_that_fit
from bnprobe.diagnose.audit.row import AuditRow, LayerValue
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import number

#: Decades that the deviation of what a norm receives may move over the run, and its mean in deviations, for a fixed scale and shift to
#: serve. Practice: a fifth, by which one batch differs from the next.
STEADY = 0.08
SHIFT = 0.2
FEWEST_STEPS = 5
_ROW = partial(
    AuditRow,
    id="idle",
    title="norms with little to do",
    units="decades",
    source="what the norm received, over the run",
    formula="largest - smallest log10 sqrt(B + W) of the input, and the same of sqrt(A / (B + W))",
)


def idle(run: RunAnalysis) -> AuditRow:
    """How far what each norm received moved over the run: where hardly at all, a fixed scale and shift would have served."""
    found = norms(run.recorded)
    if not found:
        return _ROW(verdict="absent", says="No layer normalises.", advice="")
    signal, rows = run.recorded.activation, run.measured_rows
    layers = []
    for norm in found:
        taken = received(run.recorded, norm.layer)
        if taken is None:
            continue
        common = signal.common_energy[rows, taken]
        varying = signal.between_energy[rows, taken] + signal.within_energy[rows, taken]
        known = np.isfinite(common) & (varying > 0) & np.isfinite(varying)
        if known.sum() < FEWEST_STEPS:
            continue
        deviation = 0.5 * np.log10(varying[known])
        moved = float(deviation.max() - deviation.min())
        shift = float(np.ptp(np.sqrt(common[known] / varying[known])))
        layers.append(LayerValue(run.name(norm.layer), moved, moved < STEADY and shift < SHIFT))
    if not layers:
        return _ROW(verdict="cannot tell", says="What the norms received was not measured at enough steps.", advice="record a longer run")
    if not run.has_learned:
        return _ROW(
            verdict="cannot tell",
            says="The loss has not come down yet: what norms are for is still to come.",
            advice="",
            layers=tuple(layers),
        )
    still = [one.layer for one in layers if one.costs]
    least = min(layers, key=lambda one: one.value)
    if not still:
        says = f"Every norm had to follow its input: it moved {number(least.value)} decades at least (at {least.layer})."
        return _ROW(verdict="fine", says=says, advice="", value=least.value, limit=STEADY, layers=tuple(layers))
    return _ROW(
        verdict="could go",
        says=f"{len(still)} of {len(layers)} norms received what hardly moved, {still[0]} first; that is with the norms "
        "in place, and no proof of what follows without them.",
        advice="try it: `bnprobe record --remedy no-norm`" if "no-norm" in remedies_that_fit(run.recorded) else "",
        value=least.value,
        limit=STEADY,
        layers=tuple(layers),
    )
