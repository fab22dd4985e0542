"""What remains when no cause is found: a divergence, a loss that rises, or no progress, and the recording does not show why."""

from __future__ import annotations

import numpy as np

from bnprobe.analyse.layers import module_of
from bnprobe.analyse.outside import changes_outside
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.extinction import extinguishing_layer
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.outcome import Outcome, outcome
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import against_weights, every_step, loss_summary, module_place, number, times, with_rate_search
from bnprobe.divergence import DIVERGENCE_RATIO


def unexplained_divergence(run: RunAnalysis) -> Finding | None:
    """Training diverged, whatever the reason: what remains when no cause is found."""
    end = run.divergence
    if end is None:
        return None
    first = run.first_deviation
    left = ""
    if first is not None:
        what = "activations" if first.signal == "activation" else "gradients"
        left = f"; the {what} of {run.place(first.layer)} deviated from their baseline first, at step {first.step}"
        left += f", by {times(10**first.decades)}" if np.isfinite(first.decades) else ", with values that are not finite"
    unseen = "" if run.measured_rows.size else "; no layer was measured"
    return Finding(
        id="unexplained-divergence",
        severity="error",
        confidence=0.3,
        layers=(run.name(first.layer),) if first is not None else (),
        step=end.step,
        evidence=(Evidence("loss", end.loss, DIVERGENCE_RATIO * end.scale if np.isfinite(end.scale) else None, "as the loss", end.step),),
        cause=f"The training diverged, and the recording does not show why: {loss_summary(run)}{left}{unseen}.",
        fix=every_step(run, "Look at the layers that deviated from their baseline first, and try a tenth of the learning rate"),
        source=f"loss not finite, or above {DIVERGENCE_RATIO:g} times {end.scale_name}",
    )


def grown_from_outside(run: RunAnalysis) -> Finding | None:
    """Training diverged while somebody other than the optimizer made the weights larger, again and again.

    Looks for norms of weights that grew between two measured steps by several times more than updates of the size of those around can have
    added, at least twice before the divergence: a sum over clients or checkpoints that is never cleared or divided, an edit in place. What
    such weights do to activations, gradients and updates follows from it. Once may be meant, as a checkpoint that is read or a layer that
    is drawn anew, and smaller weights are, as of a network that is pruned.
    """
    end = run.divergence
    if end is None:
        return None
    changes = [
        one for one in run.recorded.once(changes_outside) if one.row <= end.row and one.after >= thresholds.GROWN_OUTSIDE * one.before
    ]
    if len(changes) < thresholds.CHANGED_OUTSIDE:
        return None
    first, last = changes[0], changes[-1]
    return Finding(
        id="unexplained-divergence",
        severity="error",
        confidence=0.9,
        layers=(),
        step=first.step,
        evidence=(
            Evidence("norm of all weights", first.after, first.before + first.possible, "as the weight", first.step),
            Evidence("the same before", first.before, None, "as the weight", first.since),
            Evidence("norm of all weights, the last time", last.after, last.before + last.possible, "as the weight", last.step),
            Evidence("times that it grew so", float(len(changes)), float(thresholds.CHANGED_OUTSIDE)),
        ),
        cause=f"The weights were made larger by something other than the optimizer: from step {first.since} to {first.step} their norm "
        f"went from {number(first.before)} to {number(first.after)}, of which updates can have made {number(first.possible)}; so it was "
        f"seen {len(changes)} times up to step {last.step}; {loss_summary(run)}.",
        fix="Look at what writes into the weights between these steps: a sum over clients, checkpoints or averages that is never cleared "
        "or not divided by its number, a state that is read twice, an edit in place.",
        source="a norm changes by no more than the sum of the norms of the updates",
    )


def rising_loss(run: RunAnalysis) -> Finding | None:
    """The loss has gone up: for good, or in a recording that is too short to say whether it will come back.

    Looks for a loss that ends above its start or has lost most of what it had gained, and, in fewer steps than a statement about the course
    of a loss needs, for a last loss well above the first. That looks like the first steps of many healthy trainings: it is a warning, and
    its confidence is low.
    """
    if run.has_risen:
        return _risen(run)
    course, loss = run.course, run.recorded.loss
    loss = loss[np.isfinite(loss)]
    if run.divergence is not None or course is None or course.steps >= thresholds.COURSE_STEPS or loss.size < thresholds.CALM_LOSSES:
        return None
    if not (loss > 0).all() or not min(loss[-2:]) > thresholds.ROSE_TIMES * loss[0]:
        return None
    sizes = np.where(np.isfinite(run.step_size), run.step_size, -1.0)
    evidence = [
        Evidence("last loss", float(loss[-1]), thresholds.ROSE_TIMES * float(loss[0]), "as the loss", run.step(run.recorded.steps - 1))
    ]
    suspect, layers = "", tuple[str, ...]()
    if sizes.size and sizes.max() >= run.threshold(thresholds.LARGE_UPDATE_RATIO):
        row, layer = np.unravel_index(int(sizes.argmax()), sizes.shape)
        layers = (module_of(run.name(int(layer))),)
        suspect = f"; the largest update moved {module_place(run, int(layer))} by {against_weights(float(sizes.max()))}, at step "
        suspect += f"{run.step(int(row))}, which speaks for a learning rate that is too high"
        evidence.append(Evidence(f"largest update ratio, of {layers[0]}", float(sizes.max()), run.threshold(thresholds.LARGE_UPDATE_RATIO)))
    return Finding(
        id="rising-loss",
        severity="warning",
        confidence=0.4,
        layers=layers,
        step=run.step(0),
        evidence=tuple(evidence),
        cause=f"The loss has risen from {number(float(loss[0]))} to {number(float(loss[-1]))} in {course.steps} steps, too few to say "
        f"whether it will come back{suspect}.",
        fix=with_rate_search(
            run, f"Record at least {thresholds.COURSE_STEPS} steps; if the loss stays up, lower the learning rate or warm it up"
        ),
        source="the first and the last loss",
    )


def _risen(run: RunAnalysis) -> Finding | None:
    course = run.course
    if course is None:
        return None
    began = course.first if run.stays_above_its_first else course.start
    below = course.trough if run.has_relapsed else began
    limit = thresholds.RELAPSED_TIMES * course.trough if run.has_relapsed else began
    return Finding(
        id="rising-loss",
        severity="error",
        confidence=0.5,
        layers=(),
        step=run.step(_turning_point(run, below)),
        evidence=(
            Evidence(f"loss, median of the last {course.late_steps} steps", course.late, limit, "as the loss"),
            Evidence(f"loss, median of the first {course.early_steps} steps", course.early, None, "as the loss"),
            Evidence("lowest loss, smoothed", course.trough, None, "as the loss"),
        ),
        cause=f"The training got worse, and the recording does not show why: {loss_summary(run)} in {course.steps} steps.",
        fix=with_rate_search(
            run, "Look at what changes at that step: the learning rate, the data, a term of the loss; and lower the learning rate"
        ),
        source="the loss at its end against its start and its lowest level",
    )


def _turning_point(run: RunAnalysis, level: float) -> int:
    """The row after which the loss stayed above a level."""
    loss = run.recorded.loss.astype(float)
    if run.stays_above_its_first:
        return int(np.argmax(loss > thresholds.RISEN_TIMES * level))
    below = np.flatnonzero(loss <= level)
    return int(below[-1]) if below.size else 0


def stuck(run: RunAnalysis) -> Finding | None:
    """The training makes no progress, or its loss has no gradient, whatever the reason."""
    found = outcome(run)
    is_constant = run.is_no_better_than_a_constant or run.is_no_better_than_guessing or run.only_target is not None
    is_useless = found.word in ("no-progress", "collapsed-output") or (found.word == "learns-poorly" and is_constant)
    return _without_gradient(run) or (_no_progress(run, found) if is_useless else None)


def _without_gradient(run: RunAnalysis) -> Finding | None:
    norm = run.gradient_norm[np.isfinite(run.gradient_norm)]
    if norm.size < thresholds.DEAD_STEPS or norm.any():
        return None
    return Finding(
        id="stuck",
        severity="error",
        confidence=0.4,
        layers=(),
        step=run.step(run.first_row),
        evidence=(Evidence("largest gradient norm of the run", 0.0, 0.0, "as the gradient"),),
        cause=f"No gradient reaches any weight: every one was exactly zero in all {norm.size} measured steps; {loss_summary(run)}.",
        fix="Look at how the loss is computed from the output: a rounding, a comparison, an argmax, an infinite divisor or a sum beyond "
        "the largest float16 leaves no gradient.",
        source="gradient norms of all parameters",
    )


def _what_was_measured(run: RunAnalysis) -> str:
    """What can be said of the known causes: none is shown, and whether some weights that an optimizer has never had a gradient."""
    recorded = run.recorded
    measured = np.isfinite(recorded.weight_norm).sum(axis=0) >= thresholds.DEAD_STEPS
    reached = (np.isfinite(recorded.parameter_gradient_norm) | np.isinf(recorded.parameter_gradient_norm)).any(axis=0)
    is_cut = measured & ~reached & reached.any()
    out_of_reach = [one for one, cut in zip(recorded.parameters, is_cut, strict=True) if cut and one.group >= 0]
    if not out_of_reach:
        return " What was measured of layers, gradients and updates shows none of the known causes."
    layers = list(dict.fromkeys(one.layer for one in out_of_reach))
    more = f" and {len(layers) - 2} more" if len(layers) > 2 else ""
    return (
        f" No gradient ever reached {number(float(sum(one.size for one in out_of_reach)))} parameters that an optimizer has, those of "
        f"{' and '.join(layers[:2])}{more}: look for `detach()`, `.data` or numpy between these and the loss."
    )


def _where_to_look(run: RunAnalysis) -> str:
    """What to do first, from what the loss has come to."""
    overfit = "overfit one small batch first: a network that cannot do that has a fault in its code"
    if run.only_target is not None:
        return "Look at how the targets are made: a mask that was scaled twice, a division of whole numbers, the wrong column of a table."
    if run.is_no_better_than_guessing:
        print_some = "Print a few inputs with their labels"
        return f"{print_some}: where either was shuffled or sorted without the other it looks exactly so. Then {overfit}."
    return f"Check that labels belong to their inputs and that output and target have the same shape, and {overfit}."


def _no_progress(run: RunAnalysis, found: Outcome) -> Finding | None:
    course = run.course
    if course is None or (run.is_at_chance and course.noise > thresholds.NOISY_SHARE * course.late):
        return None
    if run.recorded.status == "running" and found.word != "collapsed-output" and course.steps < thresholds.MEAN_FIRST_STEPS:
        return None  # so young a training may stand where it began
    if run.goes_on and found.word == "learns-poorly" and course.is_falling:
        return None  # it may well come below what a constant scores
    limit = float(np.log(run.classes)) if run.is_at_chance else (1 - thresholds.VISIBLE_FALL) * course.start
    compared = (
        (Evidence("squared error against a constant prediction's", run.constant_share, thresholds.CONSTANT_SHARE),)
        if run.is_no_better_than_a_constant and run.constant_share is not None
        else (Evidence("cross-entropy against that of guessing", run.guess_share, thresholds.GUESS_SHARE),)
        if run.is_no_better_than_guessing and run.guess_share is not None
        else (
            Evidence(f"loss, median of the last {course.late_steps} steps", course.late, limit, "as the loss"),
            Evidence("standard error of its fall", course.uncertainty, None, "as the loss"),
        )
    )
    is_collapsed = found.word == "collapsed-output"
    ends_at = extinguishing_layer(run, run.late_row)
    where = "" if ends_at is None else f" What differs between samples ends at {run.place(ends_at)}, which gives the same for all."
    excluded = "" if not run.measured_rows.size else _what_was_measured(run)
    return Finding(
        id="stuck",
        severity="error" if is_collapsed else "warning",
        confidence=0.4,
        layers=tuple(run.name(layer) for layer in (ends_at, run.last_layer if is_collapsed else None) if layer is not None),
        step=None,
        evidence=compared,
        cause=f"The training does not learn, and the recording does not show why: {found.reason}.{where}{excluded}",
        fix=_where_to_look(run),
        source="the fall of the loss against its noise; cross-entropy of a constant prediction, ln C",
    )
