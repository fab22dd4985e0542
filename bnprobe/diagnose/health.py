"""What to say when there is no cause to name: a healthy run, or nothing to judge."""

from __future__ import annotations

import numpy as np

from bnprobe.diagnose import thresholds
from bnprobe.diagnose.case import Case
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.wording import decades, number


def nothing_recorded(case: Case) -> Finding | None:
    """The file holds no training step."""
    if case.run.steps:
        return None
    problems = f" ({case.run.problems[0]})" if case.run.problems else ""
    return Finding(
        id="nothing-recorded",
        severity="warning",
        confidence=1.0,
        layers=(),
        step=None,
        evidence=(Evidence("recorded steps", 0.0, 1.0),),
        cause=f"The file holds no training step{problems}: the script took none, or ended before its first (it {_ending(case)}).",
        fix="Let the script reach its first optimizer step; `bnprobe inspect` says what could not be seen.",
        source="the step axis of the run file",
    )


def healthy(case: Case) -> Finding:
    """Nothing speaks against the training, as far as it was recorded."""
    steps = f"{case.run.steps} step{'s' if case.run.steps != 1 else ''}"
    loss = f"the loss went from {number(case.course.early)} to {number(case.course.late)}" if case.course else "no loss was seen"
    parts = [f"Nothing speaks against this training: {loss} in {steps}"]
    evidence = []
    span = case.span(case.late_row)
    if span is not None:
        growth, step = "growth of the activations along depth", case.step(span.step)
        parts.append(f"the activations grow {decades(round(span.slope, 3) + 0.0)} a layer along depth")
        evidence.append(Evidence(growth, span.slope, None, "decades per layer", step))
    ratio = case.update_ratio[np.isfinite(case.update_ratio)]
    if ratio.size:
        parts.append(f"a step moves a layer by {number(100 * float(np.median(ratio)))} % of its weights")
        evidence.append(Evidence("median update ratio", float(np.median(ratio))))
    is_short = case.run.steps < thresholds.COURSE_STEPS
    if is_short:
        parts.append(f"but {steps} are too few to say much: {thresholds.COURSE_STEPS} and more would")
    if not case.measured_rows.size:
        parts.append("but no layer was measured, so only the loss was judged")
    if case.run.problems:
        parts.append(f"but a part of the file could not be read ({case.run.problems[0]})")
    if case.run.status == "crashed":
        parts.append("the script ended with an error of its own")
    return Finding(
        id="healthy",
        severity="info",
        confidence=0.5 if not case.measured_rows.size or case.run.problems or is_short else 0.9,
        layers=(),
        step=None,
        evidence=tuple(evidence),
        cause="; ".join(parts) + ".",
        fix="Nothing needs to be done.",
        source="no cause of this list was found",
    )


def _ending(case: Case) -> str:
    return {"running": "was killed or is still running"}.get(case.run.status, case.run.status)
