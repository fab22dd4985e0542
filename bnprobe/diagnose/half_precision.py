"""Numbers too large for float16, wherever they show: in a signal, in an update, in a gradient scaler, or only in what became of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from bnprobe.analyse import stability
from bnprobe.analyse.layers import TRANSFORMING, signals_before
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.birth import Birth, birth_of, nonfinite_count
from bnprobe.diagnose.case import Case
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.wording import loss_fate, number, percent

_HALF, _HALF_LIMIT = "float16", 65504.0
#: The largest number whose square float16 holds: squares, powers and norms are what overflows between two modules.
_HALF_ROOT = _HALF_LIMIT**0.5
#: Operations that make a float16 signal zero when a norm in it is infinite.
_SCALING = ("div", "mul")
_HALF_SOURCE = "IEEE 754 binary16; Micikevicius et al. 2018 (arXiv 1710.03740)"


def half_precision_overflow(case: Case) -> Finding | None:
    """A number outgrew float16, which ends at 65504, although float32 or bfloat16 would hold it.

    Looks for the first value that is not finite in a signal of type float16 whose finite values come near the end of the type, in a
    module that receives float16 and gives out a wider type or is the script's own, behind a float16 signal whose square is beyond that
    end, in a loss computed in float16, in an update of float16 weights whose gradient was finite, or for a gradient scaler that refuses
    most updates. Looks like a fault of the arithmetic; there the finite values are small. Looks like a divergence: where updates were large
    before, the overflow follows from them.
    """
    return _overflow(case) or _refused_updates(case) or _divided_to_zero(case) or _divided_by_infinity(case) or _nothing_left(case)


def _overflow(case: Case) -> Finding | None:
    end = case.divergence
    types = case.run["layer_dtype"]
    if end is None or not ((types == _HALF).any() or _is_half_unseen(case)):
        return None
    faulty = np.flatnonzero(stability.nonfinite_signal(case.run))
    seen = [*case.measured_rows[case.measured_rows >= end.row][:1], end.row][0]  # where not every step is measured, the next one tells
    if end.reason != "non-finite loss" and not (faulty <= seen).any():
        return None
    row = int(min([end.row, *faulty[:1]]))
    birth, step = birth_of(case, row), case.step(row)
    layer = birth.layer if birth.layer is not None else case.last_layer
    is_own = birth.signal == "activations" and layer is not None and case.run.layers[layer].kind == "other"  # it computes unseen
    is_unseen = (is_own or birth.signal == "activation gradients") and _is_half_unseen(case)
    if layer is None or not (types[layer] == _HALF or _receives_half(case, layer) or is_unseen):
        return None
    reach, overflown = _reach(case, row, birth), _overflown_weight(case, row)
    is_scaled = str(case.run["layer_made_by"][layer]).startswith(_SCALING)  # by a norm of its own, which may have overflowed unseen
    is_inside = types[layer] != _HALF  # what overflowed was cast before it was given out
    is_squared = birth.signal == "input" and _largest_before(case, row, layer) > _HALF_ROOT
    if reach < case.limit(thresholds.NEAR_OVERFLOW) and overflown is None and not (is_scaled or is_inside or is_own or is_squared):
        return None
    place = f"in an update of {overflown}, whose gradient was finite," if overflown is not None else birth.place
    size = f": its largest finite value there is {number(reach * _HALF_LIMIT)}" if np.isfinite(reach) and overflown is None else ""
    evidence = [Evidence("largest finite value against the end of float16", reach, case.limit(thresholds.NEAR_OVERFLOW), "", step)]
    if birth.layer is not None:
        evidence.append(
            Evidence(f"values that are not finite in the {birth.signal}", nonfinite_count(case, row, birth.layer), 0.0, "", step)
        )
    return Finding(
        id="half-precision-overflow",
        severity="error",
        confidence=0.9 if reach >= case.limit(thresholds.NEAR_OVERFLOW) or is_squared else 0.6 if is_own else 0.7,
        layers=(case.name(layer),),
        step=step,
        evidence=tuple(evidence),
        cause=f"A number outgrew float16, which ends at 65504, {place} at step {step}{size}; {loss_fate(case)}.",
        fix="Compute in bfloat16, or under `torch.autocast` with float32 weights and a `GradScaler`; sums and losses in float32.",
        source=_HALF_SOURCE,
    )


def _refused_updates(case: Case) -> Finding | None:
    skipped = case.run["skipped"] == 1
    rows = np.flatnonzero(case.run["skipped"] >= 0)[thresholds.SCALE_SEARCH_STEPS :]
    if rows.size < thresholds.SCALE_SEARCH_STEPS or not skipped[rows].mean() >= case.limit(thresholds.REFUSED_SHARE):
        return None
    share, step = float(skipped[rows].mean()), case.step(int(np.flatnonzero(skipped)[0]))
    faulty = np.flatnonzero((case.run["activation_gradient_nonfinite"] > 0).any(axis=0))
    layer = max(faulty, key=lambda one: case.run.layers[one].depth, default=None)
    return Finding(
        id="half-precision-overflow",
        severity="error" if case.is_stuck else "warning",
        confidence=0.9,
        layers=(case.name(int(layer)),) if layer is not None else (),
        step=step,
        evidence=(Evidence("share of updates that the gradient scaler refused", share, case.limit(thresholds.REFUSED_SHARE), "", step),),
        cause=f"The gradient scaler refused {percent(share)} of the updates, because gradients were not finite in float16; "
        f"{loss_fate(case)}.",
        fix="Look for a loss or a layer whose gradient is infinite in itself; else compute in bfloat16, which needs no scaler.",
        source=_HALF_SOURCE,
    )


def _divided_to_zero(case: Case) -> Finding | None:
    """A float16 signal that was scaled, alive at first and nearly all zero to the end: what it was divided by overflowed."""
    made_by, zeros = case.run["layer_made_by"], case.run["activation_zeros"]
    scaled = np.array([str(one).startswith(_SCALING) for one in made_by], dtype=bool) & (case.run["layer_dtype"] == _HALF)
    for layer in map(int, np.flatnonzero(scaled)):
        rows = case.measured_rows[np.isfinite(zeros[case.measured_rows, layer])]
        alive = np.flatnonzero(zeros[rows, layer] < thresholds.GONE_SHARE)
        gone = rows[int(alive[-1]) + 1 :] if alive.size else rows
        if gone.size < thresholds.DEAD_STEPS or zeros[rows[0], layer] >= thresholds.ALIVE_SHARE:
            continue
        first = rows[zeros[rows, layer] >= zeros[rows[0], layer] + thresholds.MORE_ZEROS][0]
        step, share = case.step(int(first)), float(zeros[gone[-1], layer])
        return Finding(
            id="half-precision-overflow",
            severity=case.severity(),
            confidence=0.6,
            layers=(case.name(layer),),
            step=step,
            evidence=(Evidence("share of zeros in it", share, thresholds.GONE_SHARE, "", case.step(int(gone[-1]))),),
            cause=f"What {case.place(layer)} receives in float16 was scaled to zero, from step {step} on: the sum or norm that it was "
            f"divided by most likely outgrew float16, which ends at 65504; {loss_fate(case)}.",
            fix="Compute sums and norms in float32, or in bfloat16.",
            source=_HALF_SOURCE,
        )
    return None


def _divided_by_infinity(case: Case) -> Finding | None:
    """A float16 signal that is not finite, and right behind it one that is zero throughout: a finite number over an infinite one."""
    run, row = case.run, case.first_row
    if row is None or not (run["layer_dtype"] == _HALF).any():
        return None
    infinite, zeros = run["activation_nonfinite"][row], run["activation_zeros"][row]
    spoilt = (run["layer_dtype"] == _HALF) & (infinite > 0)
    outputs = sorted((layer.model, layer.depth, i) for i, layer in enumerate(run.layers) if layer.role == "output")
    pairs = [(one[2], other[2]) for one, other in pairwise(outputs) if one[0] == other[0]]
    # A layer that starts at zero gives zeros whatever it receives.
    found = [(one, other) for one, other in pairs if spoilt[one] and zeros[other] == 1 and run.layers[other].kind not in TRANSFORMING]
    if not found:
        return None
    (before, layer), step = found[0], case.step(row)
    return Finding(
        id="half-precision-overflow",
        severity=case.severity(),
        confidence=0.9,
        layers=(case.name(before), case.name(layer)),
        step=step,
        evidence=(
            Evidence("values that are not finite in the activations", float(infinite[before]), 0.0, "", step),
            Evidence(f"share of zeros in {case.name(layer)}", 1.0, 1.0, "", step),
        ),
        cause=f"A number outgrew float16, which ends at 65504, in {case.place(before)} at step {step}, and {case.place(layer)} behind "
        f"it is zero for every input: what it divided is lost; {loss_fate(case)}.",
        fix="Compute sums and norms in float32, or in bfloat16.",
        source=_HALF_SOURCE,
    )


def _nothing_left(case: Case) -> Finding | None:
    """No gradient at all, behind a loss to which results in float16 lead that no module gave out: what it was divided by is infinite."""
    norm = case.gradient_norm[np.isfinite(case.gradient_norm)]
    if norm.size < thresholds.DEAD_STEPS or norm.any() or not _is_half_unseen(case):
        return None
    step, count = case.step(case.first_row), float(case.run["half_results"].max())
    return Finding(
        id="half-precision-overflow",
        severity="error",
        confidence=0.5,
        layers=(case.name(case.last_layer),) if case.last_layer is not None else (),
        step=step,
        evidence=(
            Evidence("largest gradient norm of the run", 0.0, 0.0, "as the gradient"),
            Evidence("results in float16 in the graph of the loss", count, 0.0),
        ),
        cause=f"No gradient reaches any weight, and between the network and its loss {number(count)} results are computed in float16, "
        f"which ends at 65504: a sum beyond that is infinite, and what is divided by it is zero; {loss_fate(case)}.",
        fix="Compute sums and losses in float32.",
        source=_HALF_SOURCE,
    )


def _is_half_unseen(case: Case) -> bool:
    """Whether something was computed in float16 although no signal that a module received or gave out is of that type."""
    return bool((case.run["half_results"] > 0).any()) and not (case.run["layer_dtype"] == _HALF).any()


def _reach(case: Case, row: int, birth: Birth) -> float:
    """Largest finite value of the signal that was spoilt first, at that step and the one before, over the end of float16; NaN for none."""
    if birth.layer is None:
        return float("nan")
    prefix = "activation" if birth.signal in ("input", "activations") else "activation_gradient"
    rows = case.measured_rows[case.measured_rows <= row][-2:]
    ends = np.abs([case.run[f"{prefix}_{end}"][rows, birth.layer] for end in ("min", "max")]).astype(float)
    scale = case.run["loss_scale"][rows] if prefix == "activation_gradient" else np.ones(rows.size)
    ends *= np.where(np.isfinite(scale), scale, 1.0)
    return float(np.nanmax(ends) / _HALF_LIMIT) if np.isfinite(ends).any() else float("nan")


def _receives_half(case: Case, layer: int) -> bool:
    """Whether the signal right before another in depth is of type float16."""
    return any(case.run["layer_dtype"][nearest] == _HALF for nearest in signals_before(case.run, layer)[-1:])


def _largest_before(case: Case, row: int, layer: int) -> float:
    """Largest size, at a row, of the float16 signal right before another; 0 where there is none."""
    if not _receives_half(case, layer):
        return 0.0
    nearest = signals_before(case.run, layer)[-1]
    ends = np.abs([case.run[f"activation_{end}"][row, nearest] for end in ("min", "max")])
    return float(np.nanmax(ends, initial=0.0, where=np.isfinite(ends)))


def _overflown_weight(case: Case, row: int) -> str | None:
    """A float16 parameter that an update of the step before spoilt, its gradient being finite."""
    before = case.measured_rows[case.measured_rows < row][-1:]
    if not before.size:
        return None
    spoilt = np.isfinite(case.run["parameter_gradient_norm"][before[0]]) & ~np.isfinite(case.run["update_norm"][before[0]])
    spoilt &= case.run["parameter_dtype"] == _HALF
    return case.run.parameters[int(spoilt.argmax())].name if spoilt.any() else None
