"""Whether one trial did better than another, each cause by what it shows in.

Most causes show in the loss that is trained. Batch norm's own faults show where the model is evaluated, a loss spike in what follows it,
and an optimizer that takes no step in weights that stay where they were.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from bnprobe.experiments.counterfactuals import HELD_OUT, SYMPTOMS, Counterfactual
from bnprobe.numerals import number
from bnprobe.store.confirm_file import Trial

#: A loss is clearly lower than another when it is at most so much of it ...
CLEAR_SHARE = 0.8
#: ... and lower by so many standard errors of both, and so many times what two runs of the same script differ by.
CLEAR_ERRORS = 3.0
CLEAR_SPREADS = 2.0
#: Without a noise that is in the other's it has to be so much of it.
MUCH_LOWER = 0.5
#: Step by step, a loss has to have fallen further by so much of what another one fell, and by so much of that ...
FURTHER, WORTH_A_WORD = 0.2, 0.02
#: ... over the last part of the steps, of which so many blocks say how sure that is.
LAST_PART, BLOCKS = 0.25, 8
#: After a leap of the loss so many steps tell how far it stays up, and a trial has to halve that.
AFTER_A_LEAP, CALMER = 20, 0.5
#: A batch that makes the loss leap does so by this share at least, however far the training has come.
SAME_LEAP = 0.25


def how_it_helps(cause: str, test: Counterfactual, trial: Trial, other: Trial, as_is: Sequence[Trial]) -> str:
    """Say in what a trial without a cause did clearly better than another one.

    Args:
        cause: its id.
        test: what was changed.
        trial: the trial without it.
        other: the script as it is, or at a tenth of its rate.
        as_is: the script as it is, once or twice, which tells how much two runs of it differ.

    Returns:
        A clause with what was seen of both; "" where it did not.
    """
    spread = spread_of(one.late for one in as_is)
    is_no_quieter = test.own_noise != "less" or trial.level != other.level or trial.late <= MUCH_LOWER * other.late
    if is_better(trial, other, spread, test.changes_loss) and is_no_quieter:
        return compared(trial, other)
    if test.helps == "none" and not test.changes_loss and spread == 0 and is_further_step_by_step(trial, other):
        return f"{compared(trial, other)}; on the same batches it is lower step by step"
    if cause == "numerical-fault" and other.outcome == "diverged" and other.steps <= 1 and math.isfinite(trial.late):
        return f"{compared(trial, other)}, before any update"
    if trial.level < max(1, other.level):
        return ""
    if cause in HELD_OUT and (held_out := better_held_out(trial, other, as_is)):
        return held_out
    if cause == "loss-spike" and is_calmer(trial, other):
        rises = [number(_rise(one, other.leap)) for one in (trial, other)]
        return f"{compared(trial, other)}; from step {other.leap} on the loss rose by {rises[0]} on average, and by {rises[1]} without"
    if cause in SYMPTOMS and cause in other.findings and cause not in trial.findings:
        return f"{compared(trial, other)}, and what showed it is gone"
    return ""


def smaller_steps_do_as_well(cause: str, test: Counterfactual, generic: Trial, trial: Trial, as_is: Sequence[Trial]) -> bool:
    """Whether a tenth of the rate does better than the script as it is, beyond errors alone, and the trial not clearly better than that.

    Args:
        cause: its id.
        test: what was changed.
        generic: the script at a tenth of its rate.
        trial: the trial without the cause, which does clearly better than the script as it is.
        as_is: the script as it is, once or twice.

    Returns:
        True where the trial says no more than that smaller steps help.
    """
    if generic.status != "ran":
        return False
    base, spread = as_is[0], spread_of(one.late for one in as_is)
    has_lower_loss = math.isfinite(generic.late) and (not math.isfinite(base.late) or _is_lower(generic, base, spread, 0.0))
    helps = has_lower_loss or bool(how_it_helps(cause, test, generic, base, as_is))
    return helps and not how_it_helps(cause, test, trial, generic, as_is)


def spread_of(measured: Iterable[float]) -> float:
    """By how much runs of the script as it is differ in a figure; 0 where they do not, or where there is one."""
    known = [one for one in measured if math.isfinite(one)]
    return max(known) - min(known) if len(known) > 1 else 0.0


def is_better(one: Trial, other: Trial, spread: float, changes_loss: bool) -> bool:
    """Whether a trial trained clearly better than another: it learned where the other did not, or to a clearly lower loss.

    Args:
        one: a trial with an outcome.
        other: another one.
        spread: by how much two runs of the same script differ.
        changes_loss: whether the losses of ``one`` are of another kind: then each is compared with its own start.

    Returns:
        True where it did.
    """
    if one.level < 1:
        return False
    if other.level < 0 or not math.isfinite(other.late):
        return True
    if changes_loss:
        return _is_further(one, other)
    least = 0.0 if one.level > other.level else 1 - CLEAR_SHARE
    return _is_lower(one, other, spread, least)


def _is_further(one: Trial, other: Trial) -> bool:
    """Whether a loss fell by a clearly larger share of its own start.

    Squared errors, cross entropies and divergences are never negative: one that is does not measure what its name says, however far it
    fell, and a trial in which it is not has only to learn.

    Returns:
        True where it did.
    """
    if other.late < 0 <= one.late:
        return one.late < CLEAR_SHARE * one.start
    if one.level != other.level:
        return one.level > other.level
    return one.start > 0 < other.start and one.late / one.start < CLEAR_SHARE * other.late / other.start


def _is_lower(one: Trial, other: Trial, spread: float, least: float) -> bool:
    """Whether a loss is lower by more than its errors, and by at least so much of the other."""
    errors = CLEAR_ERRORS * math.hypot(one.noise, other.noise)
    return one.late < other.late - max(least * abs(other.late), errors, CLEAR_SPREADS * spread)


def is_further_step_by_step(one: Trial, other: Trial) -> bool:
    """Whether a loss fell clearly further than another one on the same batches.

    Both take the same batches in the same order, so that their losses are compared step by step, and what batches differ by is left out.
    How far a loss fell counts, and not what is left of it, which is no measure for a training that ends early.

    Args:
        one: a trial with an outcome.
        other: another one of the same script, which repeats itself.

    Returns:
        True where it did.
    """
    steps = min(len(one.loss), len(other.loss))
    last = int(LAST_PART * steps)
    mine, others = np.array(one.loss[:steps]), np.array(other.loss[:steps])
    if last < 2 * BLOCKS or "diverged" in (one.outcome, other.outcome) or not (np.isfinite(mine) & np.isfinite(others))[-last:].all():
        return False
    lower = (others - mine)[-last:]
    blocks = np.array([block.mean() for block in np.array_split(lower, BLOCKS)])
    fell = float(np.nanmean(others[:last]) - others[-last:].mean())
    is_sure = blocks.mean() > CLEAR_ERRORS * blocks.std(ddof=1) / BLOCKS**0.5
    return bool(is_sure and lower.mean() > max(FURTHER * fell, WORTH_A_WORD * abs(others[-last:].mean())))


def better_held_out(one: Trial, other: Trial, as_is: Sequence[Trial]) -> str:
    """Say what the script's own evaluations show to be clearly better, the loss or the share of labels missed.

    Args:
        one: a trial with an outcome.
        other: another one.
        as_is: the script as it is, once or twice, which tells how much two runs of it differ.

    Returns:
        A clause with both figures; "" where neither is clearly better, one is clearly worse, or nothing was evaluated.
    """
    loss, labels = _held_out_changes(one, other, as_is)
    if "higher" in (loss, labels):
        return ""
    if loss == "lower":
        return f"held-out loss {number(one.held_out)} with {one.name}, {number(other.held_out)} without"
    if labels == "lower" and min(one.samples, other.samples):
        return f"{one.missed:.1%} of the held-out labels missed with {one.name}, {other.missed:.1%} without"
    return ""


def is_worse_held_out(one: Trial, other: Trial, as_is: Sequence[Trial]) -> bool:
    """Whether the script's own evaluations show loss or labels missed to be clearly more, whatever the other of both does."""
    return "higher" in _held_out_changes(one, other, as_is)


def _held_out_changes(one: Trial, other: Trial, as_is: Sequence[Trial]) -> tuple[str, str]:
    """Whether the held-out loss, and the share of labels missed, are clearly "lower" or "higher" than in another trial.

    A share p of n labels is known but for an error of sqrt(p (1 - p) / n), with p that of both trials together.

    Returns:
        Both; "" where one is neither.
    """
    samples = min(one.samples, other.samples)
    together = (one.missed + other.missed) / 2
    error = math.sqrt(2 * together * (1 - together) / samples) if samples and 0 <= together <= 1 else 0.0
    loss = _clearly(one.held_out, other.held_out, CLEAR_SPREADS * spread_of(trial.held_out for trial in as_is))
    labels = _clearly(one.missed, other.missed, max(CLEAR_ERRORS * error, CLEAR_SPREADS * spread_of(trial.missed for trial in as_is)))
    return loss, labels


def _clearly(mine: float, others: float, least: float) -> str:
    """Whether a figure that is never negative is clearly "lower" or "higher" than another one; "" where neither, or where one is NaN."""
    lower, higher = sorted((mine, others))
    if not (higher - lower > least and lower <= CLEAR_SHARE * higher):
        return ""
    return "lower" if mine < others else "higher"


def is_calmer(one: Trial, other: Trial) -> bool:
    """Whether the loss of a trial stayed down where that of another one leapt: over the steps from there on it rose half as far at most."""
    if other.leap < 0:
        return False
    mine, others = (_rise(trial, other.leap) for trial in (one, other))
    return math.isfinite(mine) and others > 0 and mine <= CALMER * others


def leaps_whatever_is_changed(trials: Sequence[Trial], base: Trial) -> bool:
    """Whether the loss leaps at the same step in trials at other rates: then it is the batch of that step, whatever the weights are."""
    leap = _rise(base, base.leap, 1) if base.leap >= 0 else math.nan
    return leap > 0 and len(trials) > 1 and all(_rise(one, base.leap, 1) > SAME_LEAP * leap for one in trials)


def _rise(trial: Trial, leap: int, steps: int = AFTER_A_LEAP) -> float:
    """By how much the losses from a step on lie above the median of those before it, on average; NaN where they are not known."""
    before, after = trial.loss[max(0, leap - AFTER_A_LEAP) : leap], trial.loss[leap : leap + steps]
    if not (np.isfinite(before).any() and np.isfinite(after).any()):
        return math.nan
    return float(np.nanmean(after) - np.nanmedian(before))


def compared(trial: Trial, base: Trial) -> str:
    """The end of a trial beside that of the script as it is, in words."""
    has_same_steps = trial.steps == base.steps and "diverged" not in (trial.outcome, base.outcome)
    return f"{told(trial)} with {trial.name}, {number(base.late) if has_same_steps else told(base)} without"


def held_out_figures(trial: Trial) -> str:
    """What the script's last evaluation said, in words."""
    loss = f"loss {number(trial.held_out)}" if math.isfinite(trial.held_out) else ""
    labels = f"{trial.missed:.1%} of labels missed" if math.isfinite(trial.missed) else ""
    return ", ".join(filter(None, (loss, labels)))


def told(trial: Trial) -> str:
    """The end of a trial in words."""
    if trial.outcome == "diverged":
        return f"diverged at step {max(0, trial.steps - 1)}"
    if not math.isfinite(trial.late):
        return f"no loss after {trial.steps} steps"
    return f"loss {number(trial.late)} after {trial.steps} steps"
