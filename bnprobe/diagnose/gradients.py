"""Causes in the backward signal: gradients that shrink or grow from layer to layer on their way to the input."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import robust
from bnprobe.analyse.depth_profile import log10
from bnprobe.analyse.layers import module_of
from bnprobe.analyse.stability import measured_rows
from bnprobe.analyse.updates import layer_update_ratio
from bnprobe.analyse.views import RunView
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import clip_at_usual, decades, each, loss_summary, number, times, with_remedy

Array = NDArray[np.float64]

#: Of growth through time; clipping bounds the steps alone, and their direction stays that of the first calls.
_HOLD_IN_TIME = (
    "Start the recurrent weights smaller, at the identity or orthogonal, or use gates (LSTM, GRU); clipping bounds the steps alone."
)
_VANISHING = "Glorot, Bengio 2010; Brock et al. 2021 (arXiv 2101.08692): the gradient's profile along depth"
_EXPLODING = "Pascanu, Mikolov, Bengio 2013 (arXiv 1211.5063); the gradient's profile along depth"


def vanishing_gradients(run: RunAnalysis) -> Finding | None:
    """Gradients shrink towards the input until the first layers no longer train.

    Looks for a gradient profile that falls by decades from the last layer to the first, through most of the run, and first layers that
    move far less than the last, unless the run is stuck; or, in a run that underperforms, for one that falls as much from the last of
    many calls of one module to the first, as in a recurrent network written by hand. Looks like frozen parameters; those have no
    gradient at all. Looks like a learning rate that is too low; there the last layers do not move, either. An optimizer that rescales each
    gradient hides the fall from the weights; where it trains so, only a fall beyond all that healthy networks have is reported. Of a run
    whose loss came down by decades nothing is said: it learned what there is, and its gradients are small everywhere.
    """
    if run.divergence is not None or run.first_row is None or run.has_fitted:
        return None
    found = _falls_along_depth(run, run.first_row)
    if _last_layers_move(run):
        return found or _falls_through_time(run, run.first_row)
    # So deep a fall that no rate trains the first and the last layers together.
    limit = run.threshold(thresholds.VANISHED_OUTRIGHT_DECADES)
    if found is None or not found.evidence[0].value >= limit:
        return None
    return replace(found, evidence=(replace(found.evidence[0], threshold=limit), *found.evidence[1:]))


def _falls_along_depth(run: RunAnalysis, first: int) -> Finding | None:
    rows = [first, *run.measured_rows[[run.measured_rows.size // 2, -1]]]
    # One that is gone altogether, exactly zero, has no profile any more; then the earlier ones count.
    spans = [span for row in rows if (span := run.span(row, "activation_gradient"))]
    if not spans:
        return None
    limit = run.threshold(thresholds.VANISHED_UNDERPERFORMING_DECADES) if run.underperforms else run.threshold(thresholds.VANISHED_DECADES)
    shown = sorted(spans, key=lambda span: span.decades)[(len(spans) - 1) // 2]
    starved = _starvation(run)
    is_outright = shown.decades >= run.threshold(thresholds.VANISHED_OUTRIGHT_DECADES)
    is_starved = starved < run.threshold(thresholds.STARVED_RATIO) or not np.isfinite(starved)
    is_lost = run.is_stuck and shown.decades >= run.threshold(thresholds.VANISHED_STUCK_DECADES)
    if not shown.decades >= limit or not (is_starved or is_lost or is_outright):
        return None
    since = next(span.step for span in spans if span.decades >= limit)
    kind = each(run.recorded.layers[shown.first].kind)
    moved = (
        f", so the first layers move {number(starved)} times as far as the last"
        if starved < run.threshold(thresholds.STARVED_RATIO)
        else ""
    )
    cause = (
        f"The gradient shrinks {decades(shown.slope)} {kind} on its way to the input: "
        f"rms {number(shown.last_rms)} at {run.place(shown.last)}, {number(shown.first_rms)} at {run.place(shown.first)}"
        f"{moved}; {loss_summary(run)}."
    )
    return Finding(
        id="vanishing-gradients",
        severity="error" if run.is_stuck else "warning",
        confidence=0.9 if run.is_stuck else 0.7,
        layers=(run.name(shown.first), run.name(shown.last)),
        step=run.step(since),
        evidence=(
            Evidence("fall of the activation gradient over the depth", shown.decades, limit, "decades", run.step(shown.step)),
            Evidence(
                "update ratio of the first layers against the last", starved, run.threshold(thresholds.STARVED_RATIO) if moved else None
            ),
        ),
        cause=cause,
        fix=_let_through(run),
        source=_VANISHING,
    )


def _falls_through_time(run: RunAnalysis, row: int) -> Finding | None:
    falls = {module: -growth.total for module, growth in _growth_over_calls(run, row).items()}
    module = max(falls, key=lambda one: falls[one], default="")
    if not run.underperforms or not falls.get(module, 0.0) >= run.threshold(thresholds.THROUGH_TIME_DECADES):
        return None
    step = run.step(row)
    return Finding(
        id="vanishing-gradients",
        severity="error" if run.is_stuck else "warning",
        confidence=0.7,
        layers=(module,),
        step=step,
        evidence=(
            Evidence(
                "fall of the activation gradient over the calls",
                falls[module],
                run.threshold(thresholds.THROUGH_TIME_DECADES),
                "decades",
                step,
            ),
        ),
        cause=f"The gradient shrinks by {decades(falls[module])} from the last call of {module} to the first, already at step {step}: what "
        f"came early hardly counts; {loss_summary(run)}.",
        fix="Start the recurrent weights near the identity, or use gates (LSTM, GRU) or shortcuts through time.",
        source=_EXPLODING,
    )


class _OverCalls(NamedTuple):
    """Growth of a gradient from the last of many calls of a module to the first, and that over the first half of the calls, decades."""

    total: float
    first_half: float


def _growth_over_calls(run: RunAnalysis, row: int) -> dict[str, _OverCalls]:
    """Of the activation gradient, by module."""
    calls: dict[str, list[int]] = {}
    for index, layer in enumerate(run.recorded.layers):
        if layer.role == "output" and np.isfinite(run.recorded.activation_gradient.rms[row, index]):
            calls.setdefault(module_of(layer.name), []).append(index)
    growth = {}
    for module, indices in calls.items():
        if len(indices) >= thresholds.CALLS_THROUGH_TIME:
            calls_in_order = sorted(indices, key=lambda one: run.recorded.layers[one].depth)
            size = log10(run.recorded.activation_gradient.rms[row, calls_in_order])
            first, middle, last = (float(size[place]) for place in (0, size.size // 2, -1))
            if np.isfinite([first, middle, last]).all():  # one of zero has no logarithm
                growth[module] = _OverCalls(first - last, first - middle)
    return growth


def _let_through(run: RunAnalysis) -> str:
    advice = "Use activations that do not saturate and an initialisation made for them, shortcuts around layers, or normalisation"
    return with_remedy(run, advice, "batch-norm")


def exploding_gradients(run: RunAnalysis) -> Finding | None:
    """Gradients grow towards the input, or leap within one step, while the activations are still normal.

    Looks for a gradient profile that rises by decades from the last layer to the first before the first update, for a recurrent layer
    whose gradient is decades above that of the layer behind it there, or for a total gradient norm that leaps far above its own baseline
    before any activation has left its own. Looks like exploding
    activations; there the forward signal grows first. Looks like a learning rate that is too high; there the updates are large
    before the gradients leap.
    """
    return _along_depth(run) or _through_time(run) or (_in_one_step(run, run.divergence.row) if run.divergence is not None else None)


def _along_depth(run: RunAnalysis) -> Finding | None:
    start = run.span(run.first_row, "activation_gradient")
    if start is None or run.profile.size < thresholds.COMPOUNDING_LAYERS:
        return None
    limit = (
        run.threshold(thresholds.EXPLODED_GRADIENT_DECADES)
        if run.is_normalised
        else run.threshold(thresholds.EXPLODED_PLAIN_GRADIENT_DECADES)
    )
    if -start.decades < limit or not _compounds_along_depth(run, run.first_row, limit):
        return None
    kind = each(run.recorded.layers[start.first].kind)
    cause = (
        f"The gradient grows {decades(-start.slope)} {kind} on its way to the input, already at the first step: "
        f"rms {number(start.last_rms)} at {run.place(start.last)}, {number(start.first_rms)} at {run.place(start.first)}; "
        f"{loss_summary(run)}."
    )
    growth = Evidence(
        "growth of the activation gradient towards the input",
        -start.decades,
        limit,
        "decades",
        run.step(start.step),
    )
    if run.is_normalised:
        fix = "Lead shortcuts around the layers, x + f(x), or take fewer of them: each normalisation of the batch lets the gradient grow."
    else:
        fix = with_remedy(run, "Normalise the layers, or start the weights smaller", "batch-norm", "layer-norm")
    return _finding(run, 0.8, (run.name(start.first), run.name(start.last)), run.step(start.step), (growth,), cause, fix)


def _compounds_along_depth(run: RunAnalysis, row: int | None, limit: float) -> bool:
    """Whether the growth is from layer to layer, and not in one place, as where a second term of the loss enters."""
    size = log10(run.recorded.activation_gradient.rms[row, run.profile])
    size = size[np.isfinite(size)]
    return bool(size.size > 1 and size[0] - size[-1] - np.diff(size[::-1]).max(initial=0.0) >= thresholds.COMPOUNDING_SHARE * limit)


def _through_time(run: RunAnalysis) -> Finding | None:
    row = run.first_row
    if row is not None and (found := _rises_over_calls(run, row)):
        return found
    heads = _behind_recurrent(run)
    if row is None or not heads:
        return None
    recurrent = list(heads)
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log10(run.layer_gradient[row, recurrent] / run.layer_gradient[row, list(heads.values())])
    growth = np.where(np.isfinite(growth), growth, -np.inf)
    worst = recurrent[int(growth.argmax())]
    head = heads[worst]
    if not growth.max() >= run.threshold(thresholds.THROUGH_TIME_DECADES):
        return None
    cause = (
        f"The gradient grows on its way back through time, already at the first step: its norm is "
        f"{number(float(run.layer_gradient[row, head]))} at {run.place(head)}, "
        f"{number(float(run.layer_gradient[row, worst]))} at {run.place(worst)}; {loss_summary(run)}."
    )
    evidence = Evidence(
        "gradient of the recurrent layer against the last",
        float(growth.max()),
        run.threshold(thresholds.THROUGH_TIME_DECADES),
        "decades",
        run.step(row),
    )
    return _finding(run, 0.8, (module_of(run.name(worst)),), run.step(row), (evidence,), cause, _HOLD_IN_TIME)


def _behind_recurrent(run: RunAnalysis) -> dict[int, int]:
    """Of each recurrent layer the last layer behind it: of its own model, where that has one, as a decoder's beside its encoder."""
    layers, last = run.recorded.layers, run.last_layer
    owned = {parameter.layer for parameter in run.recorded.parameters}
    found = dict[int, int]()
    for index, layer in enumerate(layers):
        if layer.kind != "recurrent" or (layer.role, layer.call) != ("output", 0):
            continue
        behind = [
            (other.depth, place)
            for place, other in enumerate(layers)
            if (other.model, other.role) == (layer.model, "output") and other.name in owned and other.depth > layer.depth
        ]
        if last is not None and (layers[last].model == layer.model or (not behind and layers[last].depth > layer.depth)):
            found[index] = last
        elif behind:
            found[index] = max(behind)[1]
    return found


def _rises_over_calls(run: RunAnalysis, row: int) -> Finding | None:
    # One normalisation in front of the head keeps nothing in bounds between the calls.
    is_normalised = sum(layer.kind == "normalisation" for layer in run.recorded.layers) >= thresholds.CALLS_THROUGH_TIME
    limit = run.threshold(thresholds.THROUGH_TIME_DECADES) if is_normalised else run.threshold(thresholds.THROUGH_TIME_PLAIN_DECADES)
    growth = {module: over.total for module, over in _growth_over_calls(run, row).items() if _compounds(over)}
    module = max(growth, key=lambda one: growth[one], default="")
    if not growth.get(module, 0.0) >= limit:
        return None
    evidence = Evidence("growth of the activation gradient over the calls", growth[module], limit, "decades", run.step(row))
    cause = (
        f"The gradient grows by {decades(growth[module])} from the last call of {module} to the first, already at the first step; "
        f"{loss_summary(run)}."
    )
    return _finding(run, 0.8, (module,), run.step(row), (evidence,), cause, _HOLD_IN_TIME)


def _compounds(growth: _OverCalls) -> bool:
    return growth.first_half >= thresholds.COMPOUNDING_SHARE * growth.total


def _in_one_step(run: RunAnalysis, end: int) -> Finding | None:
    norm = run.gradient_norm
    usual = float(robust.median(norm[run.baseline_rows]))
    if not usual > 0:
        return None
    leaps = np.flatnonzero(norm[: end + 1] > run.threshold(thresholds.GRADIENT_LEAP) * usual)
    if not leaps.size:
        return None
    row = int(leaps[0])
    before = [deviation for deviation in run.activation_deviations if deviation.row <= row]
    moved = run.update_ratio[:row]
    if before or (moved.size and np.nanmax(moved, initial=0.0, where=np.isfinite(moved)) > thresholds.LARGE_UPDATE_RATIO):
        return None
    parameters = run.recorded.parameter_gradient_norm[row]
    worst = run.recorded.parameters[int(np.nanargmax(np.where(np.isfinite(parameters), parameters, -np.inf)))]
    size = float(norm[row])
    cause = (
        f"At step {run.step(row)} the gradient leapt to {number(size)}, {times(size / usual)} its usual norm, "
        f"while the activations were still where they had been; most of it in {worst.name}; {loss_summary(run)}."
    )
    leap = Evidence("total gradient norm", size, run.threshold(thresholds.GRADIENT_LEAP) * usual, "as the gradient", run.step(row))
    fix = with_remedy(run, "Clip the gradient's norm at a few times its usual value, or normalise the layers", clip_at_usual(run, row))
    return _finding(run, 0.7, (worst.layer,), run.step(row), (leap,), cause, fix)


def _finding(
    run: RunAnalysis, confidence: float, layers: tuple[str, ...], step: int | None, evidence: tuple[Evidence, ...], cause: str, fix: str
) -> Finding:
    return Finding(
        id="exploding-gradients",
        severity=run.severity(),
        confidence=confidence,
        layers=layers,
        step=step,
        evidence=evidence,
        cause=cause,
        fix=fix,
        source=_EXPLODING,
    )


def _last_layers_move(run: RunAnalysis) -> bool:
    """Whether anything moves: where nothing does, it is not for the fall of a gradient."""
    moved = np.fmax.reduce(run.recorded.once(_usual_ratios_measured), initial=-1.0) * run.recorded.trained_steps
    return not 0 <= moved < thresholds.LAST_MOVED_DISTANCE


def _starvation(run: RunAnalysis) -> float:
    """Median update ratio of the first third of the profile against the last third or the last layer of all; NaN where not recorded."""
    usual = run.recorded.once(_usual_ratios)
    along, deepest = usual[run.profile], usual[run.last_layer] if run.last_layer is not None else np.nan
    third = max(1, along.size // 3)
    first = float(robust.median(along[:third]))
    last = float(np.fmax(robust.median(along[-third:]), deepest))
    return first / last if last > 0 else float("nan")


def _usual_ratios(recorded: RunView) -> Array:
    """Median update ratio of each layer, (L,)."""
    return robust.median(recorded.once(layer_update_ratio), axis=0)


def _usual_ratios_measured(recorded: RunView) -> Array:
    """The same over the rows at which activations were measured."""
    rows = recorded.once(measured_rows)
    return recorded.once(_usual_ratios) if rows.size == recorded.steps else robust.median(recorded.once(layer_update_ratio)[rows], axis=0)
