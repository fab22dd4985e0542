"""What became of a training, before any cause: it diverged, learns, learns poorly, makes no progress, its output has collapsed, or unclear.

The one definition, for recordings as for the trials of a learning-rate search. It rests on the loss of every step and on what that can be
compared with: its own start, its noise, and chance level where the number of classes is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bnprobe.analyse.stability import MOVED_SHARE, LossCourse, chance_level
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.optimisation import learning_rate_too_low, usual_distance
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import constant_summary, guess_summary, loss_summary, loss_way, number, percent

Word = Literal["diverged", "learns", "learns-poorly", "no-progress", "collapsed-output", "unclear"]
TrialWord = Literal["trains", "stuck", "diverges"]

#: What a headline says of each.
HEADLINES: dict[Word, str] = {
    "diverged": "Diverged",
    "learns": "Learns",
    "learns-poorly": "Learns poorly",
    "no-progress": "No progress",
    "collapsed-output": "Its output has collapsed",
    "unclear": "Outcome unclear",
}


@dataclass(frozen=True)
class Outcome:
    """What became of a training.

    Attributes:
        word: what became of it.
        reason: one clause with the numbers that decided.
        trial: the same for a trial of a learning rate, which has to train or fail; None where it says nothing.
        stuck_by: of a trial that is stuck: slow (its weights hardly moved), risen (its loss rose) or level (neither).
    """

    word: Word
    reason: str
    trial: TrialWord | None
    stuck_by: Literal["", "slow", "risen", "level"] = ""

    @property
    def headline(self) -> str:
        """The word as a headline says it."""
        return HEADLINES[self.word]

    @property
    def is_failure(self) -> bool:
        """Whether nothing of use was learned."""
        return self.word in ("diverged", "no-progress", "collapsed-output")


def outcome(run: RunAnalysis) -> Outcome:
    """Judge a run.

    *Diverged*: the loss is not finite, or rises far above its scale for good (``bnprobe.divergence``).

    *Unclear*: no loss, or too few; a loss without a target that is at its floor while outputs came to be alike; a loss that may stand
    although the training is right (``RunAnalysis.loss_may_stand``) and has not fallen, or that is signed and may have moving targets; a
    cross-entropy whose sign is turned; noise that would hide a fall; or a loss that leapt at first, has fallen since, and is not back at
    its first value.

    *No progress*: the loss ends above its start, at chance level, or has not fallen beyond its noise; or such a leap came of large updates,
    or left a classifier worse than guessing, and the loss falls no more. *Collapsed output*: the same, or
    little better, and the last layer gives one output for all samples.

    *Learns poorly*: the loss has lost most of what it had gained, keeps most of its first value, is a squared error that a constant
    prediction would reach, a cross-entropy that guessing by the shares of the labels would, or fell while outputs came to be alike for
    targets that are all the same, or are one and the same.
    *Learns*: the rest.
    """
    if not run.recorded.steps:
        return Outcome("unclear", "no training step was recorded", None)
    course = run.course
    if run.divergence is not None:
        return Outcome("diverged", loss_summary(run), "diverges")
    if course is None:
        return Outcome("unclear", "no loss was seen", None)
    if course.steps < thresholds.COURSE_STEPS:
        seen = "1 loss was" if course.steps == 1 else f"{course.steps} losses were"
        return Outcome("unclear", f"only {seen} seen, and {thresholds.COURSE_STEPS} are needed to tell", None)
    return _of_comparable(run, course) if not run.loss_may_stand else _of_standing(run, course)


def _of_standing(run: RunAnalysis, course: LossCourse) -> Outcome:
    """Of a loss that may stand or rise: that it fell says something, unless the output is one and the same; all else does not.

    Nor does it say that nothing is learned. Weights that stand do, and they have to stand far stiller than where the loss says so, too.
    """
    if run.ignores_its_input:
        return Outcome("unclear", f"{loss_way(course)}, {_one_output(run)}", "trains")
    if run.share_that_fell is not None:
        return Outcome("unclear", f"{loss_way(course)}, {_alike(run)}", "trains")
    if run.is_signed and run.is_evaluated_in_most_steps:
        reason = "the loss takes negative values, and the network is also evaluated without gradients, as a critic is for its own targets"
        return Outcome("unclear", f"{loss_way(course)}, and {reason}: what fell may be the critic's part alone", "trains")
    if _is_negated(run, course):
        reason = f"it began at the negative of what a guess among {run.classes} classes scores: its sign is most likely wrong"
        return Outcome("unclear", f"{loss_way(course)}, and {reason}, so that it falls as the answers get worse", "trains")
    if course.moved and course.late < course.start - MOVED_SHARE * abs(course.start):
        return Outcome("learns", loss_way(course), "trains")
    if (distance := usual_distance(run)) is not None and distance < thresholds.STANDING_DISTANCE:
        reason = f"{loss_way(course)}, and the weights stand: in {thresholds.USUAL_STEPS} such steps the fastest layer moves by"
        return Outcome("unclear", f"{reason} {percent(distance)} of its size", "stuck", "slow")
    return Outcome("unclear", f"{loss_way(course)}, and {run.loss_may_stand}", "trains")


def _is_negated(run: RunAnalysis, course: LossCourse) -> bool:
    """Whether the loss, which holds a cross-entropy, began at the negative of what a guess scores, and falls from there."""
    guess = chance_level(run.classes) if run.classes > 1 else 0.0
    holds_classes = bool(np.isfinite(run.recorded.target_classes).any())
    return holds_classes and abs(course.first + guess) < thresholds.NEAR_GUESS * guess and course.late < course.first


def _one_output(run: RunAnalysis) -> str:
    """That the loss says nothing, as a clause: what gives the same for every sample may still come closer to the mean of the targets."""
    return f"yet the last layer, {run.place(run.last_layer or 0)}, gives nearly the same output for every sample"


def _alike(run: RunAnalysis) -> str:
    """That an embedding comes to be one point, as a clause."""
    layer, first, late = run.share_that_fell or (0, 0.0, 0.0)
    return (
        f"yet outputs come to be alike: of the energy of {run.place(layer)} {percent(first)} differed between samples at first and "
        f"{percent(late)} in the end, as where an embedding collapses and all distances are small"
    )


def _of_comparable(run: RunAnalysis, course: LossCourse) -> Outcome:
    has_learned = run.has_come_down
    if run.is_collapsed:
        reason = f"the last layer, {run.place(run.last_layer or 0)}, gives nearly the same output for every sample; {loss_summary(run)}"
        return Outcome("collapsed-output", reason, *_trial(run, course))
    if run.has_relapsed:
        reason = f"the loss came down to {number(course.trough)} and is back at {number(course.late)}"
        return Outcome("no-progress" if run.ends_above_its_start else "learns-poorly", reason, *_trial(run, course))
    if run.has_risen or (run.is_at_chance and not has_learned):
        return Outcome("no-progress", loss_summary(run), *_trial(run, course))
    if run.is_stuck and not has_learned:
        if run.is_too_noisy:
            reason = (
                f"{loss_way(course)}, and single losses differ by so much (deviation {number(course.noise)}) that a fall would not show"
            )
            return Outcome("unclear", reason, *_trial(run, course))
        return Outcome("no-progress", loss_summary(run), *_trial(run, course))
    if run.stays_above_its_first:
        return Outcome("unclear", loss_summary(run), *_trial(run, course))
    if run.only_target is not None:
        reason = f"{loss_way(course)}, but every target that was seen is {number(run.only_target)}: there is one answer to all, and no more"
        return Outcome("learns-poorly", reason, *_trial(run, course))
    if run.ignores_its_input:
        return Outcome("learns-poorly", f"{loss_way(course)}, {_one_output(run)}", *_trial(run, course))
    if run.share_that_fell is not None:
        return Outcome("unclear", f"{loss_way(course)}, {_alike(run)}", *_trial(run, course))
    if run.is_no_better_than_a_constant:
        reason = f"{loss_way(course)}, and its squared error is {constant_summary(run)}"
        return Outcome("learns-poorly", reason, *_trial(run, course))
    if run.is_no_better_than_guessing:
        return Outcome("learns-poorly", f"{loss_way(course)}, and its cross-entropy is {guess_summary(run)}", *_trial(run, course))
    if course.late > thresholds.UNDERPERFORMING_SHARE * course.start:
        if run.guess_share is not None and run.guess_share < thresholds.BETTER_THAN_GUESSING:
            reason = f"{loss_way(course)}, and its cross-entropy is {guess_summary(run)}"
            return Outcome("learns", reason, *_trial(run, course))
        kept = percent(round(course.late / course.start, 3))
        return Outcome("learns-poorly", f"{loss_way(course)}, which is still {kept} of where it began", *_trial(run, course))
    return Outcome("learns", loss_way(course), *_trial(run, course))


def _trial(run: RunAnalysis, course: LossCourse) -> tuple[TrialWord, Literal["", "slow", "risen", "level"]]:
    """As a trial, which has to be one or the other: stuck also is a loss that falls, but only back to about its first value.

    One that leapt at first and has come far down since trains: 60 steps may not take it back to its first loss, and 500 do, as the table of
    horizons in docs/what-if.md shows. A loss that ends above its first value by no more than single losses differ has not risen, unless it
    leapt meanwhile; nor has one whose weights hardly moved.
    """
    is_back = course.late > course.first - MOVED_SHARE * abs(course.first)
    if run.has_come_down or run.stays_above_its_first or not (run.is_stuck or is_back):
        return "trains", ""
    if run.has_risen:
        return "stuck", "risen"
    if learning_rate_too_low(run) is not None:
        return "stuck", "slow"
    leapt = course.highest > course.first + MOVED_SHARE * abs(course.first)
    return "stuck", "risen" if course.late > course.first + (0.0 if leapt else course.noise) else "level"
