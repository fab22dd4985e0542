"""Weight decay on weights whose scale a norm takes out again: it regularises nothing, it raises their learning rate."""

from __future__ import annotations

from functools import partial

import numpy as np

from bnprobe.analyse.normalisation import effective_rate, norms, scale_free_weights
from bnprobe.diagnose.audit.row import AuditRow, LayerValue
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import number

#: Factor on the effective rate, made by the decay alone over the run, that a person would have put into the schedule. Practice.
RAISED = 1.5
_ROW = partial(
    AuditRow,
    id="decay-on-scale-free",
    title="weight decay on scale-invariant weights",
    units="times",
    source="van Laarhoven 2017, L2 Regularization versus Batch and Weight Normalization (1706.05350)",
    formula="rate lr / ||w||^2; decay alone raises it by exp(2 sum lr wd / (1 - m))",
)


def decay_on_scale_free(run: RunAnalysis) -> AuditRow:
    """By which factor weight decay alone has raised the effective rate of each weight whose scale a norm takes out again."""
    if not norms(run.recorded):
        return _ROW(verdict="absent", says="No layer normalises.", advice="")
    weights = scale_free_weights(run.recorded)
    courses = {weight: course for weight in weights if (course := effective_rate(run.recorded, weight)) is not None}
    if not courses:
        says = "No weight was seen whose output a norm takes in at once, with norm and rate known."
        return _ROW(verdict="absent" if not weights else "cannot tell", says=says, advice="")
    name = {weight: run.recorded.parameters[weight].name for weight in courses}
    decayed = {weight: course for weight, course in courses.items() if course.decay > 0}
    furthest = max(courses, key=lambda weight: abs(np.log(max(courses[weight].by_weight, 1e-300))))
    moved = (
        f"lr / ||w||^2 of {name[furthest]} went from {number(courses[furthest].first)} to {number(courses[furthest].last)}, "
        f"{number(courses[furthest].by_weight)} times by the weight's norm"
    )
    values = {weight: course.by_decay if course.decay > 0 else 1.0 for weight, course in courses.items()}
    layers = tuple(LayerValue(name[weight], value, bool(value > RAISED)) for weight, value in values.items())
    if not decayed:
        says = f"{len(courses)} scale-invariant weights, none decayed; {moved}."
        return _ROW(verdict="fine", says=says, advice="", value=1.0, limit=RAISED, layers=layers)
    known = [values[weight] for weight in decayed if np.isfinite(values[weight])]
    if not known:
        says = f"{len(decayed)} scale-invariant weights are decayed, by an optimizer that divides the decay by past gradients; {moved}."
        return _ROW(verdict="cannot tell", says=says, advice="AdamW keeps decay and gradient apart", limit=RAISED)
    worst = max(known)
    return _ROW(
        verdict="costs" if worst > RAISED else "fine",
        says=f"{len(decayed)} scale-invariant weights are decayed: that alone raised their rate {number(worst)} times; {moved}.",
        advice="read it as a rate schedule: tune decay and rate together, or take these weights out of the decay" if worst > RAISED else "",
        value=worst,
        limit=RAISED,
        layers=layers,
    )
