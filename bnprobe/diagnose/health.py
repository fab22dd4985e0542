"""What to say when there is no cause to name: a healthy run, or nothing to judge."""

from __future__ import annotations

import numpy as np

from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import decades, number


def nothing_recorded(run: RunAnalysis) -> Finding | None:
    """The file holds no training step."""
    if run.recorded.steps:
        return None
    problems = f" ({run.recorded.problems[0]})" if run.recorded.problems else ""
    return Finding(
        id="nothing-recorded",
        severity="warning",
        confidence=1.0,
        layers=(),
        step=None,
        evidence=(Evidence("recorded steps", 0.0, 1.0),),
        cause=f"The file holds no training step{problems}: the script took none, or ended before its first (it {_ending(run)}).",
        fix="Let the script reach its first optimizer step; `bnprobe inspect` says what could not be seen.",
        source="the step axis of the run file",
    )


def healthy(run: RunAnalysis) -> Finding:
    """Nothing speaks against the training, as far as it was recorded."""
    steps = f"{run.recorded.steps} step{'s' if run.recorded.steps != 1 else ''}"
    loss = f"the loss went from {number(run.course.early)} to {number(run.course.late)}" if run.course else "no loss was seen"
    parts = [f"Nothing speaks against this training: {loss} in {steps}"]
    evidence = []
    span = run.span(run.late_row)
    if span is not None:
        growth, step = "growth of the activations along depth", run.step(span.step)
        parts.append(f"the activations grow {decades(round(span.slope, 3) + 0.0)} a layer along depth")
        evidence.append(Evidence(growth, span.slope, None, "decades per layer", step))
    ratio = run.update_ratio[np.isfinite(run.update_ratio)]
    if ratio.size:
        parts.append(f"a step moves a layer by {number(100 * float(np.median(ratio)))} % of its weights")
        evidence.append(Evidence("median update ratio", float(np.median(ratio))))
    is_short = run.recorded.steps < thresholds.COURSE_STEPS
    if is_short:
        parts.append(f"but {steps} are too few to say much: {thresholds.COURSE_STEPS} and more would")
    if not run.measured_rows.size:
        parts.append("but no layer was measured, so only the loss was judged")
    if run.recorded.problems:
        parts.append(f"but a part of the file could not be read ({run.recorded.problems[0]})")
    if run.recorded.status == "crashed":
        parts.append("the script ended with an error of its own")
    return Finding(
        id="healthy",
        severity="info",
        confidence=0.5 if not run.measured_rows.size or run.recorded.problems or is_short else 0.9,
        layers=(),
        step=None,
        evidence=tuple(evidence),
        cause="; ".join(parts) + ".",
        fix="Nothing needs to be done.",
        source="no cause of this list was found",
    )


def _ending(run: RunAnalysis) -> str:
    return {"running": "was killed or is still running"}.get(run.recorded.status, run.recorded.status)
