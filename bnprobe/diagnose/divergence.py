"""Causes of a loss that was lost: steps that are too large, and arithmetic that failed out of the blue."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import robust, stability
from bnprobe.analyse.layers import module_of
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.case import Case
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.wording import against_weights, every_step, loss_fate, number, times, with_rate_search

Array = NDArray[np.float64]

_STEP_SIZE = "steps beyond the stable size make the loss rise (Bjorck et al. 2018, arXiv 1806.02375, Figure 3)"


def learning_rate_too_high(case: Case) -> Finding | None:
    """Each step moves the weights so far that the loss rises, and the next gradient is larger still.

    Looks for updates of a tenth of the weights and more, from some step on until the loss was lost, or, in a run that fell to
    the level of guessing or rose, at any step. Looks like exploding activations; those grow along depth before the first
    update. Looks like a gradient that explodes; that leaps while the updates are small. Looks like a fault of the arithmetic;
    that comes out of a calm run.
    """
    if not case.is_harmed:
        return None
    ratio = np.where(np.isfinite(case.update_ratio), case.update_ratio, -1.0)
    if not ratio.shape[1]:
        return None
    row = _first_large_update(case, ratio.max(axis=1))
    if row is None:
        return None
    layer = int(ratio[row].argmax())
    module, moved = module_of(case.name(layer)), float(ratio[row, layer])
    end = case.divergence.row if case.divergence is not None else case.run.steps
    most = float(ratio[row:end].max())
    later = f", and a later one by {against_weights(most)}" if most > 2 * moved else ""
    cause = (
        f"The steps are too large: at step {case.step(row)} one update moved {_module(case, layer)} by {against_weights(moved)}"
        f"{_rate(case, row)}{later}; {loss_fate(case)}."
    )
    return Finding(
        id="learning-rate-too-high",
        severity="error",
        confidence=0.8 if case.divergence is not None else 0.6,
        layers=(module,),
        step=case.step(row),
        evidence=(
            Evidence(f"update ratio of {module}", moved, thresholds.LARGE_UPDATE_RATIO, "", case.step(row)),
            Evidence("largest update ratio before the loss was lost", most),
        ),
        cause=cause,
        fix=with_rate_search("Lower the learning rate to a tenth, or warm it up over the first few hundred steps"),
        source=_STEP_SIZE,
    )


def _first_large_update(case: Case, largest: Array) -> int | None:
    """The row from which on the updates stayed large until the divergence; without one, the first that was large."""
    end = case.divergence.row if case.divergence is not None else case.run.steps
    rows = np.flatnonzero(largest[:end] >= 0)  # those whose updates were measured
    is_large = largest[rows] >= thresholds.LARGE_UPDATE_RATIO
    if not is_large.any():
        return None
    if case.divergence is None:
        return int(rows[is_large.argmax()])
    small = np.flatnonzero(~is_large)
    start = int(small[-1]) + 1 if small.size else 0
    return int(rows[start]) if start < rows.size else None


def numerical_fault(case: Case) -> Finding | None:
    """A value that is not finite is born in one module while everything was small: a division, a root, a logarithm, or the data.

    Looks for the first value that is not finite, in a run whose sizes and loss were near their baseline up to then, and names the
    module: the first in depth whose output is not finite, or, where only gradients are not, the last one that the backward pass had
    not yet spoiled. Looks like any divergence; but an instability grows for steps before it overflows.
    """
    end = case.divergence
    if end is None or end.reason != "non-finite loss":
        return None
    row = int(min([end.row, *np.flatnonzero(stability.nonfinite_signal(case.run))[:1]]))
    if not _is_calm(case, row):
        return None
    birth, step = _birth(case, row), case.step(row)
    before = float(case.run["loss"][row - 1]) if row else float("nan")
    calm = f": the loss had been {number(before)}, no layer had left its course" if np.isfinite(before) else ""
    excess = _excess(case, row)
    evidence = [Evidence("largest finite activation against its course", excess, thresholds.CALM_DECADES, "decades", step)]
    if birth.layer is not None:
        evidence.append(Evidence(f"values that are not finite in the {birth.signal}", _count(case, row, birth.layer), 0.0, "", step))
    return Finding(
        id="numerical-fault",
        severity="error",
        confidence=0.9 if birth.layer is not None else 0.6,
        layers=(case.name(birth.layer),) if birth.layer is not None else (),
        step=step,
        evidence=tuple(evidence),
        cause=f"Out of a calm run, the first value that is not finite was born {birth.place} at step {step}{calm}.",
        fix=birth.advice,
        source="the first non-finite count in order of depth",
    )


def unexplained_divergence(case: Case) -> Finding | None:
    """The loss was lost, whatever the reason: what remains when no cause is found."""
    end = case.divergence
    if end is None:
        return None
    gone = sorted([*case.activation_departures, *case.gradient_departures], key=lambda one: one.row)
    first = gone[0] if gone else None
    left = ""
    if first is not None:
        what = "activations" if first.signal == "activation" else "gradients"
        left = f"; the {what} of {case.place(first.layer)} left their course first, at step {first.step}"
        left += f", by {times(10**first.decades)}" if np.isfinite(first.decades) else ", with values that are not finite"
    unseen = "" if case.measured_rows.size else "; no layer was measured"
    return Finding(
        id="unexplained-divergence",
        severity="error",
        confidence=0.3,
        layers=(case.name(first.layer),) if first is not None else (),
        step=end.step,
        evidence=(Evidence("loss", end.loss, stability.DIVERGED_TIMES * end.first_loss, "as the loss", end.step),),
        cause=f"The training diverged, and the recording does not show why: {loss_fate(case)}{left}{unseen}.",
        fix=every_step("Look at the layers that left their course first, and try a tenth of the learning rate"),
        source="loss not finite, or above 1000 times the first",
    )


def _rate(case: Case, row: int) -> str:
    rates = case.run["learning_rate"][row]
    rates = rates[np.isfinite(rates)]
    return f" at a learning rate of {number(float(rates.max()))}" if rates.size else ""


def _is_calm(case: Case, row: int) -> bool:
    """Whether loss and sizes were near their course up to a row. Activations that grow while the loss falls are training."""
    loss = case.run["loss"][:row]
    loss = np.abs(loss[np.isfinite(loss)][-thresholds.CALM_STEPS :])
    if not loss.size:
        return _excess(case, row) < thresholds.CALM_DECADES
    last, usual = float(loss[-1]), float(np.median(loss))
    learns = loss.size >= thresholds.CALM_LOSSES and last < usual
    return learns or (last <= thresholds.CALM_LOSS_TIMES * usual and _excess(case, row) < thresholds.CALM_DECADES)


def _excess(case: Case, row: int) -> float:
    """How far the largest finite activation, of the row and the one before it, is above the course of its layer, decades."""
    rows = case.measured_rows[case.measured_rows <= row]
    recent, before = rows[-2:], rows[-2 - thresholds.CALM_STEPS : -2]
    if not before.size:
        recent, before = rows[-1:], rows[:-1]
    above = case.size[recent] - robust.median(case.size[before], axis=0)
    above = above[np.isfinite(above)]
    return float(above.max()) if above.size else 0.0


class _Birth(NamedTuple):
    """Where the first value that is not finite was born: in words, in which signal and layer, and what to do there."""

    place: str
    signal: str
    layer: int | None
    advice: str


def _birth(case: Case, row: int) -> _Birth:
    forward = np.flatnonzero(case.run["activation_nonfinite"][row] > 0)
    backward = np.flatnonzero(case.run["activation_gradient_nonfinite"][row] > 0)
    depth = np.array([layer.depth for layer in case.run.layers])
    if forward.size:
        layer = int(forward[np.argmin(depth[forward])])
        described, module = case.run.layers[layer], _module(case, layer)
        if described.role == "input":
            return _Birth(f"in the input of {module}", "input", layer, "Look at the data of that step, and leave such samples out.")
        place = f"in the forward pass of {module_of(described.name)} ({described.type})"
        return _Birth(place, "activations", layer, "Look there for a division by zero, or the root or logarithm of zero or less.")
    if backward.size:
        layer = int(backward[np.argmax(depth[backward])])
        place = f"in the backward pass, between the loss and {_module(case, layer)}"
        advice = "Look there for the gradient of a root, norm or logarithm at zero, which is infinite; add a small number inside."
        return _Birth(place, "activation gradients", layer, advice)
    if row in case.measured_rows:
        advice = "Look at how the loss is computed: the logarithm of zero, a division by zero, an exponential that overflows."
        return _Birth("in the loss itself, all activations being finite,", "loss", None, advice)
    advice = every_step("Record again to learn in which module; there will be a division, root or logarithm of zero")
    return _Birth("out of sight, where layers were not measured,", "loss", None, advice)


def _module(case: Case, layer: int) -> str:
    """The module of a layer as it reads in a sentence."""
    return case.place(layer).replace(case.name(layer), module_of(case.name(layer)), 1)


def _count(case: Case, row: int, layer: int) -> float:
    forward = float(case.run["activation_nonfinite"][row, layer])
    return forward if forward > 0 else float(case.run["activation_gradient_nonfinite"][row, layer])
