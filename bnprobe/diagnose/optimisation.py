"""Causes in the optimisation: a training that goes nowhere."""

from __future__ import annotations

import numpy as np

from bnprobe.analyse import robust
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.case import Case
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.wording import loss_fate, percent, with_rate_search


def learning_rate_too_low(case: Case) -> Finding | None:
    """The weights hardly leave their start.

    Looks for a loss that has not moved while the update ratio times the number of steps stays far below one. Looks like vanishing
    gradients; there the last layers still move. Looks like a collapse; there the weights have moved far.
    """
    course = case.course
    if not case.is_stuck or course is None:
        return None
    ratio = case.update_ratio[case.measured_rows]
    moving = robust.median(ratio, axis=0)
    moving = moving[np.isfinite(moving)]
    if not moving.size:
        return None
    distance = float(moving.max()) * case.run.steps
    if distance >= thresholds.UNMOVED_DISTANCE:
        return None
    return Finding(
        id="learning-rate-too-low",
        severity="error",
        confidence=0.7,
        layers=(),
        step=case.step(case.first_row),
        evidence=(Evidence("largest update ratio times steps", distance, thresholds.UNMOVED_DISTANCE),),
        cause=f"The weights hardly move: in {case.run.steps} steps the fastest layer moved by {percent(distance)} of its size; "
        f"{loss_fate(case)}.",
        fix=with_rate_search("Raise the learning rate by factors of ten"),
        source="update ratio ||dw|| / ||w||, of which 1e-3 a step is usual",
    )


def stuck(case: Case) -> Finding | None:
    """The loss sits at the level of guessing, whatever the reason: what remains when no cause is found."""
    course = case.course
    if not case.is_at_chance or course is None or course.noise > thresholds.NOISY_SHARE * course.late:
        return None
    return Finding(
        id="stuck",
        severity="warning",
        confidence=0.4,
        layers=(),
        step=None,
        evidence=(Evidence("loss", course.late, float(np.log(case.classes)), "as the loss"),),
        cause=f"The training does not learn, and the recording does not show why: {loss_fate(case)}.",
        fix="Check that the labels belong to the inputs, and train on one small batch until it is learned by heart.",
        source="cross-entropy of guessing, ln C",
    )
