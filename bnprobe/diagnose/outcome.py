"""How a training ended up, in one word: it trains, is stuck or diverges. The one definition, for trials as for recordings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bnprobe.analyse.stability import MOVED_SHARE, LossCourse, chance_level
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.optimisation import learning_rate_too_low
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import loss_summary, number


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


def outcome(run: RunAnalysis) -> Outcome:
    """Judge a run.

    *Diverges*: the loss is not finite, or rises far above its scale for good (``bnprobe.divergence``).

    *Stuck*: at its end the loss lies at chance level, or has risen, or has not moved (``RunAnalysis.is_stuck``), unless it is far below
    both its first value and chance level, to which it may have leapt. Also stuck is a loss that falls, but only back to about
    its first value.

    *Trains*: neither, after at least as many steps as a statement about the course of the loss needs.
    """
    course = run.course
    if run.divergence is not None:
        return Outcome("diverges", loss_summary(run))
    if course is None or course.steps < thresholds.COURSE_STEPS:
        seen = course.steps if course is not None else 0
        return Outcome(None, f"only {seen} losses were seen, and {thresholds.COURSE_STEPS} are needed to tell")
    if _has_learned(run, course):
        return Outcome("trains", _way(course))
    is_back = course.late > course.first - MOVED_SHARE * abs(course.first)
    if not run.is_stuck and not is_back:
        return Outcome("trains", _way(course))
    reason = loss_summary(run) if run.is_stuck else f"{_way(course)}, about where it began"
    slow = learning_rate_too_low(run) is not None
    return Outcome("stuck", reason, "risen" if run.has_risen or course.late > course.first else "slow" if slow else "level")


def _has_learned(run: RunAnalysis, course: LossCourse) -> bool:
    """Whether the loss has come so far down that no test for a trend is needed."""
    if not course.late < thresholds.FALLEN_SHARE * course.first:
        return False
    return run.classes < 2 or course.late < thresholds.LEARNED_SHARE * chance_level(run.classes)


def _way(course: LossCourse) -> str:
    return f"the loss went from {number(course.first)} to {number(course.late)}"
