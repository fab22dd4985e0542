"""Causes of a divergence: steps that are too large, and what remains when no cause is found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import stability
from bnprobe.analyse.layers import module_of
from bnprobe.analyse.tolerance import closest, select, tolerances
from bnprobe.analyse.updates import layer_step_size
from bnprobe.analyse.views import RunView
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.units import dead_units
from bnprobe.diagnose.wording import against_weights, loss_summary, lower_rate, module_place, number, with_rate_search

Array = NDArray[np.float64]

_STEP_SIZE = "steps beyond the stable size make the loss rise (Bjorck et al. 2018, arXiv 1806.02375, Figure 3)"


def learning_rate_too_high(run: RunAnalysis) -> Finding | None:
    """Each step moves the weights so far that the loss rises, and the next gradient is larger still.

    Looks for updates of a tenth of the weights and more, from some step on until training diverged, or, in a run that underperforms or
    whose loss was thrown up on its way, at any step, or in any run at a good part of all steps, or right before units fell silent for good.
    Looks like exploding activations; those grow along depth before the first update. Looks like a gradient that explodes; that leaps while
    the updates are small. Looks like a fault of the arithmetic; that comes out of a calm run. The first update of an adaptive optimizer may
    move small weights by many times their size: weights that were started near zero are measured against their usual size, and single
    large updates lose no run unless they are larger than the weights.
    """
    if not run.recorded.layers or _is_undisturbed(run):
        return None
    of_steps = run.recorded.once(_largest_of_steps)
    largest = _before_a_spike(run, of_steps)
    row = _first_large_update(run, largest)
    if not (run.underperforms or run.rose_early or _is_sustained(run, largest)):
        row = _update_that_killed(run, largest)
    if row is None:
        return None
    layer = int(np.where(np.isfinite(run.step_size[row]), run.step_size[row], -1.0).argmax())
    module, moved = module_of(run.name(layer)), float(of_steps[row])
    end = run.divergence.row if run.divergence is not None else run.recorded.steps
    most = float(of_steps[row:end].max())
    limit = run.threshold(thresholds.LARGE_UPDATE_RATIO)
    later = f", and a later one by {against_weights(most)}" if most > 2 * moved else ""
    cause = (
        f"The steps are too large: at step {run.step(row)} one update moved {module_place(run, layer)} by {against_weights(moved)}"
        f"{_rate(run, row)}{later}; {loss_summary(run)}."
    )
    return Finding(
        id="learning-rate-too-high",
        severity="error" if run.has_failed or run.made_no_progress or run.is_collapsed else "warning",
        confidence=0.8 if run.divergence is not None else 0.6,
        layers=(module,),
        step=run.step(row),
        evidence=(
            Evidence(f"update ratio of {module}", moved, limit if moved >= limit else None, "", run.step(row)),
            Evidence("largest update ratio from there on", most, limit),
            *_over_limit(run),
        ),
        cause=cause,
        fix=with_rate_search(run, f"{lower_rate(run)}, or {_other_remedy(run, layer)}"),
        source=_STEP_SIZE,
    )


def _other_remedy(run: RunAnalysis, layer: int) -> str:
    """What else to do about steps of the optimizer that moved a layer too far."""
    module, groups = module_of(run.name(layer)), run.recorded.groups
    owners = {groups[parameter.group] for parameter in run.recorded.parameters if parameter.layer == module and parameter.group >= 0}
    if any(owner.startswith("LBFGS") for owner in owners):
        return 'let LBFGS search along its direction (`line_search_fn="strong_wolfe"`), where it does not already'
    return "warm it up over the first few hundred steps"


def _largest_of_steps(recorded: RunView) -> Array:
    """The largest update of any layer at every step, (S,); -1 where none was measured."""
    sizes = recorded.once(layer_step_size)
    largest: Array = np.where(np.isfinite(sizes), sizes, -1.0).max(axis=1)
    return largest


def _is_undisturbed(run: RunAnalysis) -> bool:
    """Whether the loss creeps down without noise, however large the updates are: no step was too large for it."""
    course = run.course
    if run.divergence is not None or course is None or course.steps < thresholds.COURSE_STEPS or run.rose_early:
        return False
    return course.fallen_p < stability.FALLING_P and course.noise < thresholds.UNDISTURBED_NOISE * abs(course.late)


def _update_that_killed(run: RunAnalysis, largest: Array) -> int | None:
    """The row of a large update right after which units fell silent for good."""
    dead = dead_units(run)
    if dead is None or dead.step is None or dead.step == run.step(run.first_row):
        return None
    death = int(np.searchsorted(run.recorded.step, dead.step))
    before = largest[max(0, death - thresholds.CALM_STEPS) : death]
    return death - before.size + int(before.argmax()) if before.max(initial=0.0) >= thresholds.KILLING_UPDATE else None


def _over_limit(run: RunAnalysis) -> list[Evidence]:
    """How far the rate was over what the network tolerated, where line probes have measured it before training diverged."""
    lost = run.divergence.step if run.divergence is not None else None
    worst = closest(select(tolerances(run.recorded), "rises", before=lost))
    if worst is None or not worst.is_exceeded:
        return []
    return [Evidence("learning rate over what the loss tolerated along the step, at least", worst.over[0], 1.0, "times", worst.step)]


def _before_a_spike(run: RunAnalysis, largest: Array) -> Array:
    """Leave out the first steps and what a spike brought about, where a loss leapt after it had fallen: neither tells why it leapt."""
    course = run.course
    if run.divergence is not None or course is None or not run.spikes or run.spikes[0].level > thresholds.CALM_SHARE * course.first:
        return largest
    rows = np.arange(largest.size)
    is_telling = (rows >= thresholds.CALM_STEPS) & (rows < run.spikes[0].row - thresholds.NEAR_STEPS)
    return np.where(is_telling, largest, -1.0)


def _is_sustained(run: RunAnalysis, largest: Array) -> bool:
    """Whether updates stay large, beyond the first steps, in which adaptive optimizers find their scale."""
    later = largest[largest >= 0][thresholds.CALM_STEPS :]
    return later.size >= thresholds.COURSE_STEPS and bool(
        (later >= run.threshold(thresholds.LARGE_UPDATE_RATIO)).mean() >= run.threshold(thresholds.SUSTAINED_SHARE)
    )


def _first_large_update(run: RunAnalysis, largest: Array) -> int | None:
    """The row from which on the updates stayed large until the divergence; without one, the first that was large."""
    end = run.divergence.row if run.divergence is not None else run.recorded.steps
    rows = np.flatnonzero(largest[:end] >= 0)  # those whose updates were measured
    is_large = largest[rows] >= run.threshold(thresholds.LARGE_UPDATE_RATIO)
    is_single = is_large.sum() < thresholds.LARGE_UPDATES and not (largest[rows] > thresholds.OVERWHELMING_UPDATE).any()
    if not is_large.any() or (run.divergence is None and is_single):
        return None
    start = int(is_large.argmax())
    if run.divergence is not None:
        small = np.flatnonzero(~is_large)
        start = int(small[-1]) + 1 if small.size else 0
    if start == rows.size:
        return None
    # A warm-up reaches the size that harms step by step.
    while start and largest[rows[start - 1]] >= run.threshold(thresholds.LARGE_UPDATE_RATIO) / thresholds.RAMP:
        start -= 1
    return int(rows[start])


def _rate(run: RunAnalysis, row: int) -> str:
    rates = run.recorded.learning_rate[row]
    rates = rates[np.isfinite(rates)]
    return f" at a learning rate of {number(float(rates.max()))}" if rates.size else ""
