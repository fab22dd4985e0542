"""Numbers too large for float16, wherever they show: in a signal, in an update, in a gradient scaler, or only in what became of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from bnprobe.analyse import stability
from bnprobe.analyse.layers import TRANSFORMING, signals_before
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.nonfinite_origin import NonfiniteOrigin, measured_origin, nonfinite_count
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import loss_summary, number, percent

_HALF, _HALF_LIMIT = "float16", 65504.0
#: The largest number whose square float16 holds: squares, powers and norms are what overflows between two modules.
_HALF_ROOT = _HALF_LIMIT**0.5
#: Operations that make a float16 signal zero when a norm in it is infinite.
_SCALING = ("div", "mul")
_HALF_SOURCE = "IEEE 754 binary16; Micikevicius et al. 2018 (arXiv 1710.03740)"


def half_precision_overflow(run: RunAnalysis) -> Finding | None:
    """A number overflowed float16, whose largest value is 65504, although float32 or bfloat16 would hold it.

    Looks for the first value that is not finite in a signal of type float16 whose finite values come near the end of the type, in a
    module that receives float16 and gives out a wider type or is the script's own, behind a float16 signal whose square is beyond that
    end, in a loss computed in float16, in an update of float16 weights whose gradient was finite, or for a gradient scaler that refuses
    most updates. Looks like a fault of the arithmetic; there the finite values are small. Looks like a divergence: where updates were large
    before, the overflow follows from them.
    """
    return _overflow(run) or _refused_updates(run) or _divided_to_zero(run) or _divided_by_infinity(run) or _nothing_left(run)


def _overflow(run: RunAnalysis) -> Finding | None:
    end = run.divergence
    types = run.recorded.layer_dtype
    if end is None or not ((types == _HALF).any() or _is_half_unseen(run)):
        return None
    faulty = np.flatnonzero(stability.nonfinite_signal(run.recorded))
    seen = [*run.measured_rows[run.measured_rows >= end.row][:1], end.row][0]  # where not every step is measured, the next one tells
    if end.reason != "non-finite loss" and not (faulty <= seen).any():
        return None
    row = int(min([end.row, *faulty[:1]]))
    origin, step = measured_origin(run, row), run.step(row)
    layer = origin.layer if origin.layer is not None else run.last_layer
    is_own = origin.signal == "activations" and layer is not None and run.recorded.layers[layer].kind == "other"  # it computes unseen
    is_unseen = (is_own or origin.signal == "activation gradients") and _is_half_unseen(run)
    if layer is None or not (types[layer] == _HALF or _receives_half(run, layer) or is_unseen):
        return None
    reach, overflown = _reach(run, row, origin), _overflown_weight(run, row)
    is_scaled = str(run.recorded.layer_made_by[layer]).startswith(_SCALING)  # by a norm of its own, which may have overflowed unseen
    is_inside = types[layer] != _HALF  # what overflowed was cast before it was given out
    is_squared = origin.signal == "input" and _largest_before(run, row, layer) > _HALF_ROOT
    if reach < run.threshold(thresholds.NEAR_OVERFLOW) and overflown is None and not (is_scaled or is_inside or is_own or is_squared):
        return None
    place = f"in an update of {overflown}, whose gradient was finite," if overflown is not None else origin.place
    size = f": its largest finite value there is {number(reach * _HALF_LIMIT)}" if np.isfinite(reach) and overflown is None else ""
    evidence = [Evidence("largest finite value against the largest float16", reach, run.threshold(thresholds.NEAR_OVERFLOW), "", step)]
    if origin.layer is not None:
        evidence.append(
            Evidence(f"values that are not finite in the {origin.signal}", nonfinite_count(run, row, origin.layer), 0.0, "", step)
        )
    return Finding(
        id="half-precision-overflow",
        severity="error",
        confidence=0.9 if reach >= run.threshold(thresholds.NEAR_OVERFLOW) or is_squared else 0.6 if is_own else 0.7,
        layers=(run.name(layer),),
        step=step,
        evidence=tuple(evidence),
        cause=f"A number overflowed float16, whose largest value is 65504, {place} at step {step}{size}; {loss_summary(run)}.",
        fix="Compute in bfloat16, or under `torch.autocast` with float32 weights and a `GradScaler`; sums and losses in float32.",
        source=_HALF_SOURCE,
    )


def _refused_updates(run: RunAnalysis) -> Finding | None:
    skipped = run.recorded.skipped == 1
    rows = np.flatnonzero(run.recorded.skipped >= 0)[thresholds.SCALE_SEARCH_STEPS :]
    if rows.size < thresholds.SCALE_SEARCH_STEPS or not skipped[rows].mean() >= run.threshold(thresholds.REFUSED_SHARE):
        return None
    share, step = float(skipped[rows].mean()), run.step(int(np.flatnonzero(skipped)[0]))
    faulty = np.flatnonzero((run.recorded.activation_gradient.nonfinite > 0).any(axis=0))
    layer = max(faulty, key=lambda one: run.recorded.layers[one].depth, default=None)
    return Finding(
        id="half-precision-overflow",
        severity="error" if run.is_stuck else "warning",
        confidence=0.9,
        layers=(run.name(int(layer)),) if layer is not None else (),
        step=step,
        evidence=(Evidence("share of updates that the gradient scaler skipped", share, run.threshold(thresholds.REFUSED_SHARE), "", step),),
        cause=f"The gradient scaler skipped {percent(share)} of the updates, because gradients were not finite in float16; "
        f"{loss_summary(run)}.",
        fix="Look for a loss or a layer whose gradient is infinite in itself; else compute in bfloat16, which needs no scaler.",
        source=_HALF_SOURCE,
    )


def _divided_to_zero(run: RunAnalysis) -> Finding | None:
    """A float16 signal that was scaled, alive at first and nearly all zero to the end: what it was divided by overflowed."""
    made_by, zeros = run.recorded.layer_made_by, run.recorded.activation.zeros
    scaled = np.array([str(one).startswith(_SCALING) for one in made_by], dtype=bool) & (run.recorded.layer_dtype == _HALF)
    for layer in map(int, np.flatnonzero(scaled)):
        rows = run.measured_rows[np.isfinite(zeros[run.measured_rows, layer])]
        alive = np.flatnonzero(zeros[rows, layer] < thresholds.GONE_SHARE)
        gone = rows[int(alive[-1]) + 1 :] if alive.size else rows
        if gone.size < thresholds.DEAD_STEPS or zeros[rows[0], layer] >= thresholds.ALIVE_SHARE:
            continue
        first = rows[zeros[rows, layer] >= zeros[rows[0], layer] + thresholds.MORE_ZEROS][0]
        step, share = run.step(int(first)), float(zeros[gone[-1], layer])
        return Finding(
            id="half-precision-overflow",
            severity=run.severity(),
            confidence=0.6,
            layers=(run.name(layer),),
            step=step,
            evidence=(Evidence("share of zeros in it", share, thresholds.GONE_SHARE, "", run.step(int(gone[-1]))),),
            cause=f"What {run.place(layer)} receives in float16 was scaled to zero, from step {step} on: the sum or norm that it was "
            f"divided by most likely overflowed float16, whose largest value is 65504; {loss_summary(run)}.",
            fix="Compute sums and norms in float32, or in bfloat16.",
            source=_HALF_SOURCE,
        )
    return None


def _divided_by_infinity(run: RunAnalysis) -> Finding | None:
    """A float16 signal that is not finite, and right behind it one that is zero throughout: a finite number over an infinite one."""
    recorded, row = run.recorded, run.first_row
    if row is None or not (recorded.layer_dtype == _HALF).any():
        return None
    infinite, zeros = recorded.activation.nonfinite[row], recorded.activation.zeros[row]
    spoilt = (recorded.layer_dtype == _HALF) & (infinite > 0)
    outputs = sorted((layer.model, layer.depth, i) for i, layer in enumerate(recorded.layers) if layer.role == "output")
    pairs = [(one[2], other[2]) for one, other in pairwise(outputs) if one[0] == other[0]]
    # A layer that starts at zero gives zeros whatever it receives.
    found = [(one, other) for one, other in pairs if spoilt[one] and zeros[other] == 1 and recorded.layers[other].kind not in TRANSFORMING]
    if not found:
        return None
    (before, layer), step = found[0], run.step(row)
    return Finding(
        id="half-precision-overflow",
        severity=run.severity(),
        confidence=0.9,
        layers=(run.name(before), run.name(layer)),
        step=step,
        evidence=(
            Evidence("values that are not finite in the activations", float(infinite[before]), 0.0, "", step),
            Evidence(f"share of zeros in {run.name(layer)}", 1.0, 1.0, "", step),
        ),
        cause=f"A number overflowed float16, whose largest value is 65504, in {run.place(before)} at step {step}, and "
        f"{run.place(layer)} behind it is zero for every input: what was divided by it is lost; {loss_summary(run)}.",
        fix="Compute sums and norms in float32, or in bfloat16.",
        source=_HALF_SOURCE,
    )


def _nothing_left(run: RunAnalysis) -> Finding | None:
    """No gradient at all, behind a loss to which results in float16 lead that no module gave out: what it was divided by is infinite."""
    norm = run.gradient_norm[np.isfinite(run.gradient_norm)]
    if norm.size < thresholds.DEAD_STEPS or norm.any() or not _is_half_unseen(run):
        return None
    step, count = run.step(run.first_row), float(run.recorded.half_results.max())
    return Finding(
        id="half-precision-overflow",
        severity="error",
        confidence=0.5,
        layers=(run.name(run.last_layer),) if run.last_layer is not None else (),
        step=step,
        evidence=(
            Evidence("largest gradient norm of the run", 0.0, 0.0, "as the gradient"),
            Evidence("results in float16 in the graph of the loss", count, 0.0),
        ),
        cause=f"No gradient reaches any weight, and between the network and its loss {number(count)} results are computed in float16, "
        f"whose largest value is 65504: a sum beyond that is infinite, and what is divided by it is zero; {loss_summary(run)}.",
        fix="Compute sums and losses in float32.",
        source=_HALF_SOURCE,
    )


def _is_half_unseen(run: RunAnalysis) -> bool:
    """Whether something was computed in float16 although no signal that a module received or gave out is of that type."""
    return bool((run.recorded.half_results > 0).any()) and not (run.recorded.layer_dtype == _HALF).any()


def _reach(run: RunAnalysis, row: int, origin: NonfiniteOrigin) -> float:
    """Largest finite value of the signal that was spoilt first, at that step and the one before, over the largest float16; NaN for none."""
    if origin.layer is None:
        return float("nan")
    is_forward = origin.signal in ("input", "activations")
    signal = run.recorded.activation if is_forward else run.recorded.activation_gradient
    rows = run.measured_rows[run.measured_rows <= row][-2:]
    ends = np.abs([signal.smallest[rows, origin.layer], signal.largest[rows, origin.layer]]).astype(float)
    scale = run.recorded.loss_scale[rows] if not is_forward else np.ones(rows.size)
    ends *= np.where(np.isfinite(scale), scale, 1.0)
    return float(np.nanmax(ends) / _HALF_LIMIT) if np.isfinite(ends).any() else float("nan")


def _receives_half(run: RunAnalysis, layer: int) -> bool:
    """Whether the signal right before another in depth is of type float16."""
    return any(run.recorded.layer_dtype[nearest] == _HALF for nearest in signals_before(run.recorded, layer)[-1:])


def _largest_before(run: RunAnalysis, row: int, layer: int) -> float:
    """Largest size, at a row, of the float16 signal right before another; 0 where there is none."""
    if not _receives_half(run, layer):
        return 0.0
    nearest = signals_before(run.recorded, layer)[-1]
    ends = np.abs([run.recorded.activation.smallest[row, nearest], run.recorded.activation.largest[row, nearest]])
    return float(np.nanmax(ends, initial=0.0, where=np.isfinite(ends)))


def _overflown_weight(run: RunAnalysis, row: int) -> str | None:
    """A float16 parameter that an update of the step before spoilt, its gradient being finite."""
    before = run.measured_rows[run.measured_rows < row][-1:]
    if not before.size:
        return None
    spoilt = np.isfinite(run.recorded.parameter_gradient_norm[before[0]]) & ~np.isfinite(run.recorded.update_norm[before[0]])
    spoilt &= run.recorded.parameter_dtype == _HALF
    return run.recorded.parameters[int(spoilt.argmax())].name if spoilt.any() else None


_LOST = "Zamirai et al. 2020, Revisiting BFloat16 Training (arXiv 2010.06192): updates below half of a weight's last place are lost"


def lost_updates(run: RunAnalysis) -> Finding | None:
    """Weights are stored in half precision, and most of their elements stay where they are: updates are smaller than what they can hold.

    Looks at what updates left unchanged among elements that had a gradient, over the parameters in bfloat16 or float16, in a run that keeps
    most of its loss or in which hardly any element moves. Looks like a learning rate that is too low; a higher one helps here, too, but
    float32 would not need it.
    """
    recorded = run.recorded
    with np.errstate(invalid="ignore"):
        seen = np.isfinite(recorded.update_lost)
    sizes = np.array([parameter.size for parameter in recorded.parameters], dtype=float)
    rows = np.flatnonzero(seen.any(axis=1))
    if rows.size < thresholds.DEAD_STEPS:
        return None
    weights = seen[rows] * sizes
    lost = float(np.median(np.nansum(recorded.update_lost[rows] * weights, axis=1) / weights.sum(axis=1)))
    limit = thresholds.LOST_SHARE if run.underperforms else thresholds.LOST_WELL_SHARE
    if not lost >= limit:
        return None
    stored = [i for i in range(len(sizes)) if seen[rows, i].any()]
    dtype = str(recorded.parameter_dtype[stored[0]])
    return Finding(
        id="lost-updates",
        severity="error" if run.is_stuck else "warning",
        confidence=0.9,
        layers=tuple(dict.fromkeys(recorded.parameters[i].layer for i in stored))[:2],
        step=run.step(int(rows[0])),
        evidence=(
            Evidence("share of the elements with a gradient that an update leaves as they were", lost, limit, "", run.step(int(rows[0]))),
            Evidence(f"parameters stored in {dtype}", float(len(stored)), 0.0),
        ),
        cause=f"The weights are stored in {dtype}, whose numbers lie so far apart that updates are lost: of the elements with a gradient "
        f"{percent(lost)} stay as they are at an update; {loss_summary(run)}.",
        fix="Keep the weights in float32 and compute in half precision (`torch.autocast`), or use an optimizer that keeps float32 copies.",
        source=_LOST,
    )
