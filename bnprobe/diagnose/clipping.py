"""Causes in the clipping of gradients: at the wrong moment, or so tight that nothing moves."""

from __future__ import annotations

import numpy as np

from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.optimisation import distance_moved
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import loss_summary, number, percent, times

_SOURCE = "torch.nn.utils.clip_grad_norm_ scales the gradient to the norm it is given (Pascanu, Mikolov, Bengio 2013, arXiv 1211.5063)"
_SCALER = "a gradient scaler multiplies gradients until `scaler.unscale_(optimizer)` (PyTorch, Automatic mixed precision examples)"


def clipped_before_unscaling(run: RunAnalysis) -> Finding | None:
    """Gradients are clipped while a gradient scaler still multiplies them, so that after unscaling nearly nothing is left.

    Looks for a scale above one, gradients that were larger than the limit when they were clipped, and, when the optimizer used them, no
    larger than the limit over the scale. Looks like a learning rate that is too low, as every step is smaller by the scale.
    """
    recorded = run.recorded
    with np.errstate(divide="ignore", invalid="ignore"):
        used, scale = run.gradient_norm, recorded.loss_scale.astype(float)
        limit = recorded.clip_limit / scale
        rows = np.flatnonzero((scale > 1) & (recorded.clip_norm > recorded.clip_limit) & np.isfinite(used))
        is_early = used[rows] <= thresholds.CLIPPED_EXACTLY * limit[rows]
    if rows.size < thresholds.CALM_LOSSES or not is_early.mean() >= thresholds.MOSTLY:
        return None
    row = int(rows[is_early][0])
    return Finding(
        id="clipped-before-unscaling",
        severity="error" if run.underperforms else "warning",
        confidence=0.95,
        layers=(),
        step=run.step(row),
        evidence=(
            Evidence("norm of the gradient that the optimizer used", float(used[row]), float(limit[row]), "as the gradient", run.step(row)),
            Evidence("norm when it was clipped", float(recorded.clip_norm[row]), float(recorded.clip_limit[row]), "", run.step(row)),
            Evidence("factor of the gradient scaler", float(scale[row]), None, "", run.step(row)),
        ),
        cause=f"The gradients are clipped before they are unscaled: a norm of {number(float(recorded.clip_norm[row]))}, which holds the "
        f"scaler's factor {number(float(scale[row]))}, is clipped to {number(float(recorded.clip_limit[row]))}, and unscaling leaves "
        f"{number(float(used[row]))} for the optimizer; {loss_summary(run)}.",
        fix="Call `scaler.unscale_(optimizer)` before `clip_grad_norm_`.",
        source=_SCALER,
    )


def clipping_too_tight(run: RunAnalysis) -> Finding | None:
    """Clipping leaves so little of every gradient that nothing moves.

    Looks for weights that hardly leave their start in a run that keeps most of its loss, while nearly every gradient is clipped to a small
    part of what it was. Looks like a learning rate that is too low, which it is, after clipping; that one has been chosen, and this limit
    is what made it so. An optimizer that rescales its gradients does not care.
    """
    recorded = run.recorded
    rows = np.flatnonzero((recorded.clip_norm > 0) & (recorded.clip_limit > 0))
    if rows.size < thresholds.COURSE_STEPS or not run.underperforms or run.divergence is not None:
        return None
    left = float(np.median(np.minimum(recorded.clip_limit[rows] / recorded.clip_norm[rows], 1.0)))
    distance = distance_moved(run)
    if left > thresholds.CLIPPED_AWAY or distance is None or distance >= run.threshold(thresholds.UNMOVED_DISTANCE):
        return None
    usual, limit = float(np.median(recorded.clip_norm[rows])), float(np.median(recorded.clip_limit[rows]))
    return Finding(
        id="clipping-too-tight",
        severity="error" if run.is_stuck else "warning",
        confidence=0.8,
        layers=(),
        step=run.step(int(rows[0])),
        evidence=(
            Evidence("share of a gradient that clipping leaves, median", left, thresholds.CLIPPED_AWAY),
            Evidence("largest distance of a layer, the sum of its update ratios", distance, run.threshold(thresholds.UNMOVED_DISTANCE)),
        ),
        cause=f"Clipping leaves {percent(left)} of the gradient: its norm is {number(usual)} and is clipped to {number(limit)}, so "
        "each step "
        f"is {times(1 / left)} smaller than the learning rate asks for, and the weights hardly move; {loss_summary(run)}.",
        fix="Clip at a few times the usual norm of the gradient, so that only what stands out is clipped.",
        source=_SOURCE,
    )
