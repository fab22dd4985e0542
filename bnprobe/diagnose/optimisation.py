"""Causes in the optimisation: a training that goes nowhere."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import decay, updates
from bnprobe.analyse.layers import is_matrix, module_of
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.schedule import schedule_keeps_low
from bnprobe.diagnose.wording import loss_summary, number, percent, times, with_rate_search

Array = NDArray[np.float64]


def learning_rate_too_low(run: RunAnalysis) -> Finding | None:
    """The weights hardly leave their start.

    Looks for a loss that keeps most of its first value, or half of it and falls as steadily at the end as before, while the update ratio
    times the number of steps stays far below one. Looks like vanishing gradients; there the last layers still move. Looks like a loss
    without a gradient, which no rate helps. Looks like a collapse; there the weights have moved far. Looks like fine-tuning; there the loss
    comes down all the same. Looks like the beginning of a training, whose loss falls while the weights are on their way. Of a schedule the
    rates themselves tell (``schedule.py``).
    """
    course = run.course
    if run.divergence is not None or course is None or course.steps < thresholds.COURSE_STEPS:
        return None
    if not (run.gradient_norm[np.isfinite(run.gradient_norm)] > 0).any():
        return None
    if (kept_low := schedule_keeps_low(run)) is not None:
        return kept_low
    is_on_its_way = course.is_falling and course.late > thresholds.FALLEN_SHARE * abs(course.first)
    if not (run.underperforms or is_on_its_way):
        return None
    if run.was_cut and _is_warming_up(run):
        return None
    distance = distance_moved(run)
    limit = run.threshold(thresholds.UNMOVED_WHILE_FALLING if course.is_falling else thresholds.UNMOVED_DISTANCE)
    if distance is None or distance >= limit:
        return None
    is_under_way = course.is_falling and course.late < (1 - thresholds.UNDER_WAY_SHARE) * course.early
    is_short = run.was_cut or is_under_way
    if is_short and distance * thresholds.USUAL_STEPS / run.steps_spanned >= limit:
        return None
    return Finding(
        id="learning-rate-too-low",
        severity="error" if run.is_stuck else "warning",
        confidence=0.7,
        layers=(),
        step=run.step(run.first_row),
        evidence=(Evidence("largest distance of a layer, the sum of its update ratios", distance, limit),),
        cause=f"The weights hardly move: in {run.steps_spanned} steps the fastest layer moved by {percent(distance)} of its size; "
        f"{loss_summary(run)}.",
        fix=with_rate_search(run, "Raise the learning rate by factors of ten"),
        source="update ratio ||dw|| / ||w||, of which 1e-3 a step is usual",
    )


def _is_warming_up(run: RunAnalysis) -> bool:
    """Whether the learning rate was still rising when the recording ended."""
    rate = np.fmax.reduce(run.recorded.learning_rate, axis=1, initial=0.0)
    evenly = np.interp(np.linspace(0, run.elapsed[-1], len(rate)), run.elapsed, rate)
    return bool(rate[-1] >= rate.max() > thresholds.WARM_UP * np.median(evenly))


def usual_distance(run: RunAnalysis) -> float | None:
    """How far the fastest layer moves in as many steps as are usual, at the pace of those that were recorded; or in these, if more."""
    distance = distance_moved(run)
    return None if distance is None else distance * max(1.0, thresholds.USUAL_STEPS / run.steps_spanned)


def distance_moved(run: RunAnalysis) -> float | None:
    """How far the fastest layer moved: the sum of its step sizes, interpolated between the steps at which they were measured.

    That is done in closed form, as a long run has more steps than rows: over the steps from a to b, both included, a straight line adds up
    to the trapezoid between them and half of either end. Before the first measurement and after the last one these hold.
    """
    moved = []
    for size in updates.module_step_size(run.recorded).values():
        rows = np.flatnonzero(np.isfinite(size))
        if rows.size:
            steps, sizes = run.elapsed[rows], size[rows].astype(float)
            within = np.trapezoid(sizes, steps) + (sizes[0] + sizes[-1]) / 2
            moved.append(float(steps[0] * sizes[0] + within + (run.steps_spanned - 1 - steps[-1]) * sizes[-1]))
    return max(moved, default=None)


def weight_decay_too_strong(run: RunAnalysis) -> Finding | None:
    """The decay takes more from the weights than the gradient gives them: they shrink, and with them what the network can say.

    Looks for weights that had lost a third of their norm at some step, or some of it in a run that underperforms, while the decay alone
    takes a noticeable share of them in every step, or, where an adaptive optimizer divides it with the gradient, is a noticeable part of
    the gradient of every layer; and for weights that shrink as far although the optimizer decays nothing to speak of: then the loss itself
    asks for it, by a penalty. Looks like a learning rate that is too low, for the loss stays; there the weights stay, too. Looks like a
    mean shift, for the biases are what is left; it follows. Weights in front of a normalisation may shrink without harm, as it takes their
    size away: they count only where there are no others.
    """
    recorded = run.recorded
    every = [i for i, parameter in enumerate(recorded.parameters) if is_matrix(parameter.shape)]
    spared_ones = _layers_before_normalisation(run)
    weights = [i for i in every if recorded.parameters[i].layer not in spared_ones] or every
    rows = np.flatnonzero(np.isfinite(recorded.weight_norm[:, weights]).any(axis=1)) if weights else np.zeros(0, dtype=np.int64)
    rows = rows[rows < run.divergence.row] if run.divergence is not None else rows
    if rows.size < thresholds.DEAD_STEPS or run.has_fitted:
        return None
    total = updates.total_norm(decay.norms_held(recorded, weights))
    lowest = int(rows[np.argmin(total[rows])])
    left = _left(total, rows[0], lowest)
    if decayed := _decayed(run, weights, rows, left, lowest):
        return decayed
    spared = _left(updates.total_norm(decay.norms_held(recorded, every)), rows[0], lowest)
    # A single matrix may be all of a linear model, whose solution is smaller than its start.
    return _penalised(run, weights, rows, left, lowest) if spared < thresholds.ALL_SHRUNK and len(every) > 1 else None


def _left(total: Array, first: int, row: int) -> float:
    """A norm against that of the first row."""
    return float(total[row] / total[first]) if 0 < total[first] < np.inf else 1.0


def _layers_before_normalisation(run: RunAnalysis) -> set[str]:
    """Modules whose output goes straight into a normalisation."""
    outputs = sorted((layer.model, layer.depth, i) for i, layer in enumerate(run.recorded.layers) if layer.role == "output")
    pairs = [(run.recorded.layers[first], run.recorded.layers[second]) for (*_, first), (*_, second) in pairwise(outputs)]
    return {module_of(one.name) for one, other in pairs if other.kind == "normalisation" and one.model == other.model}


def _decayed(run: RunAnalysis, weights: list[int], rows: NDArray[np.int64], left: float, lowest: int) -> Finding | None:
    """By the optimizer's weight decay: `left` is the norm of the weights against their first, at the row `lowest`."""
    recorded, has_shrunk = run.recorded, left < run.threshold(thresholds.SHRUNK)
    if not (has_shrunk or (run.underperforms and left < 1)):
        return None
    pulls = [(decay.pull(recorded, index, rows), index) for index in weights]
    pulls = [(pull, index) for pull, index in pulls if np.isfinite(pull.each_step)]
    if not pulls:
        return None
    strongest, index = max(pulls, key=lambda one: one[0].each_step)
    against = min((pull.against_gradient for pull, _ in pulls if np.isfinite(pull.against_gradient)), default=float("nan"))
    is_fast = strongest.each_step >= run.threshold(thresholds.DECAY_PER_STEP) and not strongest.is_adapted
    is_ruling = strongest.is_adapted and against > run.threshold(thresholds.DECAY_AGAINST_GRADIENT)
    if not (is_fast or (is_ruling and has_shrunk)):
        return None
    parameter, step = recorded.parameters[index], run.step(int(rows[0]))
    evidence = [
        Evidence(
            "norm of the weights against their first", left, run.threshold(thresholds.SHRUNK) if has_shrunk else 1.0, "", run.step(lowest)
        ),
        Evidence("weight decay", strongest.decay, None, "", step),
        Evidence(
            "share of a weight that the decay takes in one step", strongest.each_step, run.threshold(thresholds.DECAY_PER_STEP), "", step
        ),
    ]
    compared = ""
    if np.isfinite(against):
        evidence.append(
            Evidence("decay against the gradient, where it is the least", against, run.threshold(thresholds.DECAY_AGAINST_GRADIENT))
        )
        compared = f", and the decay of every layer is at least {times(against)} its gradient"
    return Finding(
        id="weight-decay-too-strong",
        severity="error" if run.underperforms else "warning",
        confidence=0.9 if is_fast else 0.7,
        layers=(parameter.layer,),
        step=step,
        evidence=tuple(evidence),
        cause=f"A weight decay of {number(strongest.decay)} pulls the weights to zero: their norm fell to {percent(left)} of the "
        f"first{compared}; {loss_summary(run)}.",
        fix="Lower the weight decay; 1e-4 to 1e-2 is usual for SGD, and up to 0.1 for AdamW.",
        source="decay per step lr * wd (SGD: / (1 - momentum)), Loshchilov, Hutter 2019 (arXiv 1711.05101)",
    )


def _penalised(run: RunAnalysis, weights: list[int], rows: NDArray[np.int64], left: float, lowest: int) -> Finding | None:
    """By a penalty that is part of the loss, which no setting of the optimizer tells."""
    if not left < run.threshold(thresholds.PENALISED):
        return None
    recorded, step = run.recorded, run.step(int(rows[0]))
    held = decay.norms_held(recorded, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = held[lowest] / held[rows[0]]
    shrunk = dict(zip(weights, np.where(np.isfinite(ratio), ratio, np.inf).tolist(), strict=True))
    most = min(weights, key=lambda index: shrunk[index])
    return Finding(
        id="weight-decay-too-strong",
        severity="error" if run.has_failed or run.is_stuck else "warning",
        confidence=0.6,
        layers=(recorded.parameters[most].layer,),
        step=step,
        evidence=(
            Evidence("norm of the weights against their first", left, run.threshold(thresholds.PENALISED), "", run.step(lowest)),
            Evidence(f"the same of {recorded.parameters[most].name}", shrunk[most], None, "", run.step(lowest)),
        ),
        cause=f"The weights shrink, and no decay of the optimizer does it: their norm fell to {percent(left)} of the first by step "
        f"{run.step(lowest)}, most in {recorded.parameters[most].name}: the loss itself pulls them to zero, most likely by a penalty; "
        f"{loss_summary(run)}.",
        fix="Lower the weight of the penalty in the loss, and compare the loss without it: the data's part is what counts.",
        source="healthy trainings kept three quarters of their weights' norm and more (docs/diagnosis.md)",
    )
