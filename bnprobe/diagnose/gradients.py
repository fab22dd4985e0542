"""Causes in the backward signal: gradients that shrink or grow from layer to layer on their way to the input."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bnprobe.analyse import robust
from bnprobe.analyse.depth_profile import log10
from bnprobe.analyse.layers import module_of
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.case import Case
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.wording import decades, each, loss_fate, number, times, with_remedy

_VANISHING = "Glorot, Bengio 2010; Brock et al. 2021 (arXiv 2101.08692): the gradient's profile along depth"
_EXPLODING = "Pascanu, Mikolov, Bengio 2013 (arXiv 1211.5063); the gradient's profile along depth"


def vanishing_gradients(case: Case) -> Finding | None:
    """Gradients shrink towards the input until the first layers no longer train.

    Looks for a gradient profile that falls by decades from the last layer to the first, through most of the run, and first layers that
    move far less than the last, unless the run is stuck; or, in a run that does poorly, for one that falls as much from the last of
    many calls of one module to the first, as in a recurrent network written by hand. Looks like frozen parameters; those have no
    gradient at all. Looks like a learning rate that is too low; there the last layers do not move, either. An optimizer that rescales each
    gradient hides the fall from the weights; where it trains so, only a fall beyond all that sound networks have is reported.
    """
    if case.divergence is not None or case.first_row is None:
        return None
    found = _falls_along_depth(case, case.first_row)
    if _last_layers_move(case):
        return found or _falls_through_time(case, case.first_row)
    # So deep a fall that no rate trains the first and the last layers together.
    limit = case.limit(thresholds.VANISHED_OUTRIGHT_DECADES)
    if found is None or not found.evidence[0].value >= limit:
        return None
    return replace(found, evidence=(replace(found.evidence[0], threshold=limit), *found.evidence[1:]))


def _falls_along_depth(case: Case, first: int) -> Finding | None:
    rows = [first, *case.measured_rows[[case.measured_rows.size // 2, -1]]]
    # One that is gone altogether, exactly zero, has no profile any more; then the earlier ones count.
    spans = [span for row in rows if (span := case.span(row, "activation_gradient"))]
    if not spans:
        return None
    limit = case.limit(thresholds.VANISHED_POORLY_DECADES) if case.does_poorly else case.limit(thresholds.VANISHED_DECADES)
    shown = sorted(spans, key=lambda span: span.decades)[(len(spans) - 1) // 2]
    starved = _starvation(case)
    is_outright = shown.decades >= case.limit(thresholds.VANISHED_OUTRIGHT_DECADES)
    if not shown.decades >= limit or not (case.is_stuck or starved < case.limit(thresholds.STARVED_RATIO) or is_outright):
        return None
    since = next(span.step for span in spans if span.decades >= limit)
    kind = each(case.run.layers[shown.first].kind)
    moved = (
        f", so the first layers move {number(starved)} times as far as the last" if starved < case.limit(thresholds.STARVED_RATIO) else ""
    )
    cause = (
        f"The gradient shrinks {decades(shown.slope)} {kind} on its way to the input: "
        f"rms {number(shown.last_rms)} at {case.place(shown.last)}, {number(shown.first_rms)} at {case.place(shown.first)}"
        f"{moved}; {loss_fate(case)}."
    )
    return Finding(
        id="vanishing-gradients",
        severity="error" if case.is_stuck else "warning",
        confidence=0.9 if case.is_stuck else 0.7,
        layers=(case.name(shown.first), case.name(shown.last)),
        step=case.step(since),
        evidence=(
            Evidence("fall of the activation gradient over the depth", shown.decades, limit, "decades", case.step(shown.step)),
            Evidence("update ratio of the first layers against the last", starved, case.limit(thresholds.STARVED_RATIO) if moved else None),
        ),
        cause=cause,
        fix=_let_through(case),
        source=_VANISHING,
    )


def _falls_through_time(case: Case, row: int) -> Finding | None:
    falls = {module: -growth.total for module, growth in _growth_over_calls(case, row).items()}
    module = max(falls, key=lambda one: falls[one], default="")
    if not case.does_poorly or not falls.get(module, 0.0) >= case.limit(thresholds.THROUGH_TIME_DECADES):
        return None
    step = case.step(row)
    return Finding(
        id="vanishing-gradients",
        severity="error" if case.is_stuck else "warning",
        confidence=0.7,
        layers=(module,),
        step=step,
        evidence=(
            Evidence(
                "fall of the activation gradient over the calls",
                falls[module],
                case.limit(thresholds.THROUGH_TIME_DECADES),
                "decades",
                step,
            ),
        ),
        cause=f"The gradient shrinks by {decades(falls[module])} from the last call of {module} to the first, already at step {step}: what "
        f"came early hardly counts; {loss_fate(case)}.",
        fix="Start the recurrent weights near the identity, or use gates (LSTM, GRU) or shortcuts through time.",
        source=_EXPLODING,
    )


class _OverCalls(NamedTuple):
    """Growth of a gradient from the last of many calls of a module to the first, and that over the first half of the calls, decades."""

    total: float
    first_half: float


def _growth_over_calls(case: Case, row: int) -> dict[str, _OverCalls]:
    """Of the activation gradient, by module."""
    calls: dict[str, list[int]] = {}
    for index, layer in enumerate(case.run.layers):
        if layer.role == "output" and np.isfinite(case.run["activation_gradient_rms"][row, index]):
            calls.setdefault(module_of(layer.name), []).append(index)
    growth = {}
    for module, indices in calls.items():
        if len(indices) >= thresholds.CALLS_THROUGH_TIME:
            calls_in_order = sorted(indices, key=lambda one: case.run.layers[one].depth)
            size = log10(case.run["activation_gradient_rms"][row, calls_in_order])
            growth[module] = _OverCalls(float(size[0] - size[-1]), float(size[0] - size[size.size // 2]))
    return {module: value for module, value in growth.items() if np.isfinite(value).all()}


def _let_through(case: Case) -> str:
    advice = "Use activations that do not saturate and an initialisation made for them, shortcuts around layers, or normalisation"
    return with_remedy(advice, "batch-norm") if case.is_convolutional else f"{advice}."


def exploding_gradients(case: Case) -> Finding | None:
    """Gradients grow towards the input, or leap within one step, while the activations are still sound.

    Looks for a gradient profile that rises by decades from the last layer to the first before the first update, for a recurrent layer
    whose gradient is decades above that of the layer behind it there, or for a total gradient norm that leaps far above its own baseline
    before any activation has left its own. Looks like exploding
    activations; there the forward signal grows first. Looks like a learning rate that is too high; there the updates are large
    before the gradients leap.
    """
    return _along_depth(case) or _through_time(case) or (_in_one_step(case, case.divergence.row) if case.divergence is not None else None)


def _along_depth(case: Case) -> Finding | None:
    start = case.span(case.first_row, "activation_gradient")
    if start is None or case.profile.size < thresholds.COMPOUNDING_LAYERS:
        return None
    limit = (
        case.limit(thresholds.EXPLODED_GRADIENT_DECADES) if case.is_normalised else case.limit(thresholds.EXPLODED_PLAIN_GRADIENT_DECADES)
    )
    if -start.decades < limit:
        return None
    kind = each(case.run.layers[start.first].kind)
    cause = (
        f"The gradient grows {decades(-start.slope)} {kind} on its way to the input, already at the first step: "
        f"rms {number(start.last_rms)} at {case.place(start.last)}, {number(start.first_rms)} at {case.place(start.first)}; "
        f"{loss_fate(case)}."
    )
    growth = Evidence(
        "growth of the activation gradient towards the input",
        -start.decades,
        limit,
        "decades",
        case.step(start.step),
    )
    return _finding(case, 0.8, (case.name(start.first), case.name(start.last)), case.step(start.step), (growth,), cause)


def _through_time(case: Case) -> Finding | None:
    row, head = case.first_row, case.last_layer
    if row is not None and (found := _rises_over_calls(case, row)):
        return found
    recurrent = [i for i, layer in enumerate(case.run.layers) if layer.kind == "recurrent" and (layer.role, layer.call) == ("output", 0)]
    if row is None or head is None or not recurrent:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log10(case.layer_gradient[row, recurrent] / case.layer_gradient[row, head])
    growth = np.where(np.isfinite(growth), growth, -np.inf)
    worst = int(recurrent[int(growth.argmax())])
    if not growth.max() >= case.limit(thresholds.THROUGH_TIME_DECADES):
        return None
    cause = (
        f"The gradient grows on its way back through time, already at the first step: its norm is "
        f"{number(float(case.layer_gradient[row, head]))} at {case.place(head)}, "
        f"{number(float(case.layer_gradient[row, worst]))} at {case.place(worst)}; {loss_fate(case)}."
    )
    evidence = Evidence(
        "gradient of the recurrent layer against the last",
        float(growth.max()),
        case.limit(thresholds.THROUGH_TIME_DECADES),
        "decades",
        case.step(row),
    )
    return _finding(case, 0.8, (module_of(case.name(worst)),), case.step(row), (evidence,), cause)


def _rises_over_calls(case: Case, row: int) -> Finding | None:
    # One normalisation in front of the head keeps nothing in bounds between the calls.
    is_normalised = sum(layer.kind == "normalisation" for layer in case.run.layers) >= thresholds.CALLS_THROUGH_TIME
    limit = case.limit(thresholds.THROUGH_TIME_DECADES) if is_normalised else case.limit(thresholds.THROUGH_TIME_PLAIN_DECADES)
    growth = {module: over.total for module, over in _growth_over_calls(case, row).items() if _compounds(over)}
    module = max(growth, key=lambda one: growth[one], default="")
    if not growth.get(module, 0.0) >= limit:
        return None
    evidence = Evidence("growth of the activation gradient over the calls", growth[module], limit, "decades", case.step(row))
    cause = (
        f"The gradient grows by {decades(growth[module])} from the last call of {module} to the first, already at the first step; "
        f"{loss_fate(case)}."
    )
    return _finding(case, 0.8, (module,), case.step(row), (evidence,), cause)


def _compounds(growth: _OverCalls) -> bool:
    return growth.first_half >= thresholds.COMPOUNDING_SHARE * growth.total


def _in_one_step(case: Case, end: int) -> Finding | None:
    norm = case.gradient_norm
    usual = float(robust.median(norm[case.baseline_rows]))
    if not usual > 0:
        return None
    leaps = np.flatnonzero(norm[: end + 1] > case.limit(thresholds.GRADIENT_LEAP) * usual)
    if not leaps.size:
        return None
    row = int(leaps[0])
    before = [departure for departure in case.activation_departures if departure.row <= row]
    moved = case.update_ratio[:row]
    if before or (moved.size and np.nanmax(moved, initial=0.0, where=np.isfinite(moved)) > thresholds.LARGE_UPDATE_RATIO):
        return None
    parameters = case.run["parameter_gradient_norm"][row]
    worst = case.run.parameters[int(np.nanargmax(np.where(np.isfinite(parameters), parameters, -np.inf)))]
    size = float(norm[row])
    cause = (
        f"At step {case.step(row)} the gradient leapt to {number(size)}, {times(size / usual)} its usual norm, "
        f"while the activations were still where they had been; most of it in {worst.name}; {loss_fate(case)}."
    )
    leap = Evidence("total gradient norm", size, case.limit(thresholds.GRADIENT_LEAP) * usual, "as the gradient", case.step(row))
    return _finding(case, 0.7, (worst.layer,), case.step(row), (leap,), cause)


def _finding(
    case: Case, confidence: float, layers: tuple[str, ...], step: int | None, evidence: tuple[Evidence, ...], cause: str
) -> Finding:
    return Finding(
        id="exploding-gradients",
        severity=case.severity(),
        confidence=confidence,
        layers=layers,
        step=step,
        evidence=evidence,
        cause=cause,
        fix=with_remedy("Clip the gradient's norm at a few times its usual value, or normalise the layers", "clip-norm"),
        source=_EXPLODING,
    )


def _last_layers_move(case: Case) -> bool:
    """Whether anything moves: where nothing does, it is not for the fall of a gradient."""
    ratio = case.update_ratio[case.measured_rows]
    moved = np.fmax.reduce(robust.median(ratio, axis=0), initial=-1.0) * case.run.steps
    return not 0 <= moved < thresholds.LAST_MOVED_DISTANCE


def _starvation(case: Case) -> float:
    """Median update ratio of the first third of the profile against the last third or the last layer of all; NaN where not recorded."""
    along = robust.median(case.update_ratio[:, case.profile], axis=0)
    third = max(1, along.size // 3)
    deepest = case.update_ratio[:, case.last_layer] if case.last_layer is not None else np.zeros(0)
    first = float(robust.median(along[:third]))
    last = float(np.fmax(robust.median(along[-third:]), robust.median(deepest)))
    return first / last if last > 0 else float("nan")
