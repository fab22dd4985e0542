"""Causes of a loss that was lost: steps that are too large, and arithmetic that failed out of the blue."""

from __future__ import annotations

import numpy as np

from bnprobe.analyse import robust, stability
from bnprobe.analyse.layers import module_of
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.case import Case
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.wording import loss_fate, number, percent, times, with_rate_search

_STEP_SIZE = "steps beyond the stable size make the loss rise (Bjorck et al. 2018, arXiv 1806.02375, Figure 3)"


def learning_rate_too_high(case: Case) -> Finding | None:
    """Each step moves the weights so far that the loss rises, and the next gradient is larger still.

    Looks for updates that are large against the weights at or before the moment the run left its course, in a run that
    diverged. Looks like exploding activations; those grow along depth before the first update. Looks like a fault of the
    arithmetic; that comes out of a calm run.
    """
    end = case.divergence
    if end is None:
        return None
    ratio = case.update_ratio[: end.row + 1]
    with np.errstate(invalid="ignore"):
        large = np.argwhere(
            np.isfinite(ratio) & (ratio >= thresholds.LARGE_UPDATE_RATIO) & (case.run["step"][: end.row + 1, None] >= 0)
        )
    if not large.size:
        return None
    row = int(large[0, 0])
    layer = int(np.nanargmax(np.where(np.isfinite(ratio[row]), ratio[row], -1.0)))
    rate = _rate(case, row)
    usual = float(robust.median(ratio[case.baseline_rows].ravel()))
    cause = (
        f"The steps are too large: at step {case.step(row)} one update moved {module_of(case.name(layer))} by "
        f"{percent(float(ratio[row, layer]))} of its weights' size{rate}; {loss_fate(case)}."
    )
    return Finding(
        id="learning-rate-too-high",
        severity="error",
        confidence=0.8 if row <= max(1, end.row - 1) else 0.5,
        layers=(module_of(case.name(layer)),),
        step=case.step(row),
        evidence=(
            Evidence(
                f"update ratio of {module_of(case.name(layer))}",
                float(ratio[row, layer]),
                thresholds.LARGE_UPDATE_RATIO,
                "",
                case.step(row),
            ),
            Evidence("median update ratio of the early steps", usual),
        ),
        cause=cause,
        fix=with_rate_search("Lower the learning rate to a tenth, or warm it up over the first few hundred steps"),
        source=_STEP_SIZE,
    )


def numerical_fault(case: Case) -> Finding | None:
    """A value that is not finite is born in one module while everything was small: a division, a root, a logarithm, or the data.

    Looks for the first value that is not finite, in a run whose sizes and loss were near their baseline up to then, and names the
    module: the first in depth whose output is not finite, or, where only gradients are not, the last one that the backward pass had
    not yet spoiled. Looks like any divergence; but an instability grows for steps before it overflows.
    """
    faulty = stability.nonfinite_signal(case.run)
    lost = case.divergence.row if case.divergence is not None and case.divergence.reason == "non-finite loss" else None
    rows = np.flatnonzero(faulty)
    row = int(rows[0]) if rows.size else lost
    if row is None or lost is None or row > lost or not _is_calm(case, row):
        return None
    place, where, layer = _birthplace(case, row)
    before = case.run["loss"][row - 1] if row else float("nan")
    calm = (
        f"the loss had been {number(float(before))} and no layer had left its course"
        if np.isfinite(before)
        else "it was the first step"
    )
    excess, count = _excess(case, row), _count(case, row, layer)
    calmness = Evidence(
        "largest finite activation against its baseline", excess, thresholds.CALM_DECADES, "decades", case.step(row)
    )
    return Finding(
        id="numerical-fault",
        severity="error",
        confidence=0.9 if layer is not None else 0.6,
        layers=(case.name(layer),) if layer is not None else (),
        step=case.step(row),
        evidence=(
            calmness,
            *((Evidence(f"values that are not finite in {where}", count, 0.0, "", case.step(row)),) if layer is not None else ()),
        ),
        cause=f"Out of a calm run, the first value that is not finite was born {place} at step {case.step(row)}: {calm}.",
        fix="Look there for a division by something that can be zero, a root or logarithm of zero, or bad values in that batch.",
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
        left = f"; the {what} of {case.name(first.layer)} left their course first, at step {first.step}"
        left += f", by {times(10**first.decades)}" if np.isfinite(first.decades) else ", with values that are not finite"
    unseen = "" if case.observed_rows.size else "; no layer was measured"
    return Finding(
        id="unexplained-divergence",
        severity="error",
        confidence=0.3,
        layers=(case.name(first.layer),) if first is not None else (),
        step=end.step,
        evidence=(Evidence("loss", end.loss, stability.DIVERGED_TIMES * end.first_loss, "as the loss", end.step),),
        cause=f"The training diverged, and the recording does not show why: {loss_fate(case)}{left}{unseen}.",
        fix="Look at the layers that left their course first, record every step, and try a tenth of the learning rate.",
        source="loss not finite, or above 1000 times the first",
    )


def _rate(case: Case, row: int) -> str:
    rates = case.run["learning_rate"][row]
    rates = rates[np.isfinite(rates)]
    return f" at a learning rate of {number(float(rates.max()))}" if rates.size else ""


def _is_calm(case: Case, row: int) -> bool:
    loss = case.run["loss"][:row]
    loss = np.abs(loss[np.isfinite(loss)])
    quiet_loss = not loss.size or loss[-1] <= thresholds.CALM_LOSS_TIMES * max(float(loss[0]), float(np.median(loss)))
    return bool(quiet_loss and _excess(case, row) < thresholds.CALM_DECADES)


def _excess(case: Case, row: int) -> float:
    """How far the largest finite activation, of the row and the observed row before it, is above its baseline, decades."""
    rows = case.observed_rows[case.observed_rows <= row][-2:]
    above = case.size[rows] - case.baseline_of(case.size)
    above = above[np.isfinite(above)]
    return float(above.max()) if above.size else 0.0


def _birthplace(case: Case, row: int) -> tuple[str, str, int | None]:
    """Say where the first value that is not finite was born: a phrase, the signal, and the layer."""
    forward = np.flatnonzero(case.run["activation_nonfinite"][row] > 0)
    backward = np.flatnonzero(case.run["activation_gradient_nonfinite"][row] > 0)
    depth = np.array([layer.depth for layer in case.run.layers])
    if forward.size:
        layer = int(forward[np.argmin(depth[forward])])
        described = case.run.layers[layer]
        if described.role == "input":
            return f"in what {module_of(described.name)} was given", "the signal", layer
        return f"in the forward pass of {described.name} ({described.type})", "the activations", layer
    if backward.size:
        layer = int(backward[np.argmax(depth[backward])])
        return f"in the backward pass, between the loss and {case.name(layer)}", "the activation gradients", layer
    if case.observed_rows.size and row in case.observed_rows:
        return "in the loss itself, all activations being finite", "the loss", None
    return "at a step whose layers were not measured", "the loss", None


def _count(case: Case, row: int, layer: int | None) -> float:
    if layer is None:
        return float("nan")
    forward = float(case.run["activation_nonfinite"][row, layer])
    return forward if forward > 0 else float(case.run["activation_gradient_nonfinite"][row, layer])
