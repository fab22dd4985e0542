"""How a training ended up, in one word: it trains, is stuck or diverges. The one definition, for trials as for recordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bnprobe.analyse.stability import MOVED_SHARE, LossCourse, chance_level
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

    *Diverges*: the loss is not finite, or above 1000 times the first for good (``divergence``).

    *Stuck*: at its end the loss lies at the level of guessing, or has risen, or has not moved (``Case.is_stuck``), unless it is far below
    both its first value and the level of guessing, to which it may have leapt. Also stuck is a loss that falls, but only back to about
    its first value.

    *Trains*: neither, after at least as many steps as a statement about the course of the loss needs.
    """
    course = case.course
    if case.divergence is not None:
        return Outcome("diverges", loss_fate(case))
    if course is None or course.steps < thresholds.COURSE_STEPS:
        seen = course.steps if course is not None else 0
        return Outcome(None, f"only {seen} losses were seen, and {thresholds.COURSE_STEPS} are needed to tell")
    if _has_learned(case, course):
        return Outcome("trains", _way(course))
    is_back = course.late > course.first - MOVED_SHARE * abs(course.first)
    if not case.is_stuck and not is_back:
        return Outcome("trains", _way(course))
    reason = loss_fate(case) if case.is_stuck else f"{_way(course)}, about where it began"
    slow = learning_rate_too_low(case) is not None
    return Outcome("stuck", reason, "risen" if case.has_risen or course.late > course.first else "slow" if slow else "level")


def _has_learned(case: Case, course: LossCourse) -> bool:
    """Whether the loss has come so far down that no test for a trend is needed."""
    if not course.late < thresholds.FALLEN_SHARE * course.first:
        return False
    return case.classes < 2 or course.late < thresholds.LEARNED_SHARE * chance_level(case.classes)


def _way(course: LossCourse) -> str:
    return f"the loss went from {number(course.first)} to {number(course.late)}"
