"""What to say when there is no cause to name: a healthy run, or nothing to judge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.outcome import Outcome
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.script_error import advice, error_of
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
        fix=_what_to_mend(run),
        source="the step axis of the run file",
    )


def no_cause(run: RunAnalysis, found: Outcome) -> Finding:
    """No cause was found: the training is healthy if it learns, as far as its loss tells, and else nothing is claimed."""
    is_partial = not run.measured_rows.size or bool(run.recorded.problems)
    is_healthy = found.word == "learns"
    parts = [_judgement(run, found), *_quantities(run)]
    if not run.measured_rows.size:
        parts.append("no layer was measured, so only the loss was judged")
    if run.recorded.problems:
        parts.append(f"a part of the file could not be read ({run.recorded.problems[0]})")
    crashed = f"the script ended with an error of its own: {error}" if (error := error_of(run.recorded)) else ""
    parts = [*parts, crashed] if is_healthy else [crashed, *parts]
    return Finding(
        id="healthy" if is_healthy else "inconclusive",
        severity="warning" if error and not is_healthy else "info",
        confidence=0.5 if is_partial or not is_healthy else 0.9,
        layers=(),
        step=None,
        evidence=_evidence(run),
        cause=_sentence(parts),
        fix="Nothing needs to be done. Wrong labels and scrambled inputs do not show in a training loss: validation tells."
        if is_healthy
        else _what_to_mend(run)
        if error
        else _next_step(run, found),
        source="none of the known causes was found",
    )


def _sentence(parts: list[str]) -> str:
    said = "; ".join(filter(None, parts))
    return f"{said[:1].upper()}{said[1:]}."


def _judgement(run: RunAnalysis, found: Outcome) -> str:
    steps = f"{run.recorded.trained_steps} step{'s' if run.recorded.trained_steps != 1 else ''}"
    if found.word == "learns":
        return f"it learns, as far as the training loss tells: {found.reason} in {steps}"
    excluded = "none of the known causes shows" if run.measured_rows.size else "nothing can be excluded"
    if found.word == "learns-poorly":
        return f"it learns little so far, and {excluded}: {found.reason}, after {steps}"
    return f"whether it learns cannot be told, and {excluded}: {found.reason}"


def _next_step(run: RunAnalysis, found: Outcome) -> str:
    if run.recorded.trained_steps < thresholds.COURSE_STEPS:
        return f"Record at least {thresholds.COURSE_STEPS} steps."
    if found.word == "learns-poorly":
        return "Compare with a baseline: what a constant prediction scores, or a smaller model; and record for longer."
    return "Judge it by a measure of its own: a return, a validation score, samples; the loss says little here."


def _quantities(run: RunAnalysis) -> list[str]:
    parts = []
    span, ratio = run.span(run.late_row), _moves(run)
    if span is not None:
        slope = round(span.slope, 3)
        parts.append(f"the activations {'shrink' if slope < 0 else 'grow'} by {decades(abs(slope))} a layer along depth")
    if ratio.size:
        parts.append(f"a step moves a layer by {number(100 * float(np.median(ratio)))} % of its weights")
    return parts


def _evidence(run: RunAnalysis) -> tuple[Evidence, ...]:
    course, span, ratio = run.course, run.span(run.late_row), _moves(run)
    evidence = []
    if course is not None:
        evidence.append(Evidence(f"loss, median of the first {course.early_steps} steps", course.early, None, "as the loss"))
        evidence.append(Evidence(f"loss, median of the last {course.late_steps} steps", course.late, None, "as the loss"))
    if run.guess_share is not None:
        evidence.append(Evidence("cross-entropy against that of guessing by the shares of the labels", run.guess_share))
    if span is not None:
        evidence.append(Evidence("growth of the activations along depth", span.slope, None, "decades per layer", run.step(span.step)))
    if ratio.size:
        evidence.append(Evidence("median update ratio", float(np.median(ratio))))
    return tuple(evidence)


def _moves(run: RunAnalysis) -> NDArray[np.float64]:
    """Update ratios of all layers and measured steps; those of layers that are kept, by a rate of zero say, would hide the others."""
    known = run.update_ratio[np.isfinite(run.update_ratio)]
    return known[known > 0] if (known > 0).any() else known


def _what_to_mend(run: RunAnalysis) -> str:
    if error := error_of(run.recorded):
        return advice(error) or "The error is the script's own: it shows without bnprobe, too."
    return "Let the script reach its first optimizer step; `bnprobe inspect` says what could not be seen."


def _ending(run: RunAnalysis) -> str:
    if error := error_of(run.recorded):
        return f"crashed: {error}"
    detail = str(run.recorded.attributes.get("ending", ""))
    by = f" by {detail}" if detail else ""
    words = {
        "running": "was killed or is still running",
        "interrupted": f"was interrupted{by}",
        "stopped": f"was ended{by}",
        "exited": f"left early{by}",
        "finished": "ran to its end",
    }
    return words.get(run.recorded.status, run.recorded.status)
