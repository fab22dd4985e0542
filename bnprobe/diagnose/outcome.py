"""How a training ended up, in one word: it trains, is stuck or diverges. The one definition, for trials as for recordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bnprobe.analyse.stability import chance_level
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.case import Case
from bnprobe.diagnose.optimisation import learning_rate_too_low
from bnprobe.diagnose.wording import loss_fate, number


@dataclass(frozen=True)
class Outcome:
    """What became of a training.

    Attributes:
        word: trains, stuck or diverges; None where the run is too short to tell.
        reason: one clause with the numbers that decided.
        stuck_by: of a stuck training: slow (its weights hardly moved), risen (its loss rose) or level (neither).
    """

    word: Literal["trains", "stuck", "diverges"] | None
    reason: str
    stuck_by: Literal["", "slow", "risen", "level"] = ""


def outcome(case: Case) -> Outcome:
    """Judge a run.

    *Diverges*: the loss is not finite, or above 1000 times the first. *Stuck*: at its end the loss lies at the level of guessing, or has
    risen, or has not moved (``Case.is_stuck``), and is not far below both its first value and the level of guessing, as it is where it
    leapt down, or up and down again. *Trains*: neither, after at least as many steps as a statement about the course of the loss needs.
    """
    if case.divergence is not None:
        return Outcome("diverges", loss_fate(case))
    if case.course is None or case.course.steps < thresholds.COURSE_STEPS:
        seen = case.course.steps if case.course is not None else 0
        return Outcome(None, f"only {seen} losses were seen, and {thresholds.COURSE_STEPS} are needed to tell")
    if case.is_stuck and not _has_learned(case):
        slow = learning_rate_too_low(case) is not None
        return Outcome("stuck", loss_fate(case), "risen" if case.has_risen else "slow" if slow else "level")
    return Outcome("trains", f"the loss went from {number(case.course.first)} to {number(case.course.late)}")


def _has_learned(case: Case) -> bool:
    """Whether the loss has come so far down that no test for a trend is needed."""
    course = case.course
    if course is None or not course.late < thresholds.FALLEN_SHARE * course.first:
        return False
    return case.classes < 2 or course.late < thresholds.LEARNED_SHARE * chance_level(case.classes)
