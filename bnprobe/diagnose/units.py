"""Causes in single units: channels that no longer answer to any input, and units driven to the bounds of their activation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import units
from bnprobe.analyse.layers import TRANSFORMING, signals_before
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import loss_summary, percent

#: Operations whose output can fall silent for every input.
_SILENCING = (
    "relu",
    "threshold",
    "clamp",
    "clampmin",
    "hardtanh",
    "maxpool2dwithindices",
    "maxpool2d",
    "adaptiveavgpool2d",
    "view",
    "unsafeview",
)

_SOURCE = "Maas, Hannun, Ng 2013 (rectifier nonlinearities); dead is a channel that is zero for the whole batch, step after step"
_SATURATION = "Glorot, Bengio 2010, section 3: the derivative of a saturated unit is near zero"


def dead_units(run: RunAnalysis) -> Finding | None:
    """Channels are zero for every input, step after step, so no gradient reaches what feeds them.

    Looks for layers of which most channels are silent in every one of the last steps; only the output of an activation can die, of a
    module of the script's own that gives out nothing below zero, or a signal that no module produced and that was alive at first; or, in a
    run that underperforms, for a layer whose outputs all fell below zero when its gradient became exactly zero. Looks like sparse
    activity, where different channels are silent for different batches. Where the units fell silent after updates that were large against
    the weights, the learning rate is the cause. Where they fell silent one by one, under usual updates and with a cross-entropy no better
    than guessing, there was nothing to learn from: that is told for information.
    """
    dead = [layer for layer in range(len(run.recorded.layers)) if _is_dead(run, layer)]
    if not dead:
        return _silenced_layer(run)
    worst = max(dead, key=lambda layer: run.dead_share[layer])
    first = min(dead, key=lambda layer: (_row_of_death(run, layer), run.recorded.layers[layer].depth))
    row = _row_of_death(run, first)
    rest = f", as in {len(dead) - 1} more" if len(dead) > 1 else ""
    when = "from the first step on" if row == run.first_row else f"since step {run.step(row)}"
    cause = (
        f"{percent(run.dead_share[worst])} of the channels of {run.place(worst)} are zero for every input{rest}; "
        f"{run.place(first)} lost more than {percent(run.threshold(thresholds.DEAD_SHARE))} {when}; {loss_summary(run)}."
    )
    fell_silent = run.is_no_better_than_guessing and _died_slowly(run, worst)
    return Finding(
        id="dead-units",
        severity="info"
        if fell_silent
        else "error"
        if run.is_stuck and run.dead_share[worst] >= run.threshold(thresholds.DEAD_LAYER_SHARE)
        else "warning",
        confidence=0.8 if run.has_failed else 0.6,
        layers=tuple(dict.fromkeys([run.name(first), run.name(worst)])),
        step=run.step(row),
        evidence=(
            Evidence(
                f"share of dead channels in {run.name(worst)}",
                float(run.dead_share[worst]),
                _limit(run),
                "",
                run.step(run.late_row),
            ),
            Evidence("layers with as many dead channels", float(len(dead))),
        ),
        cause=cause,
        fix="Warm the learning rate up, check the bias initialisation, or use an activation with a slope below zero (LeakyReLU).",
        source=_SOURCE,
    )


def _silenced_layer(run: RunAnalysis) -> Finding | None:
    """A layer all of whose outputs came to be below zero when the gradient behind it became exactly zero: a rectifier that no layer sees.

    It is a function of the script's own, and what it gives out goes to no layer. The sign and the gradient tell: as long as some output was
    above zero there was a gradient, and from a step on there is neither.
    """
    if run.divergence is not None or not (run.underperforms or run.is_no_better_than_a_constant):
        return None
    found = [(row, index) for index in range(len(run.recorded.layers)) if (row := _row_of_silence(run, index)) is not None]
    if not found:
        return None
    row, layer = min(found, key=lambda one: (one[0], -run.recorded.layers[one[1]].depth))
    largest, step = float(run.recorded.activation.largest[row, layer]), run.step(row)
    return Finding(
        id="dead-units",
        severity="error",
        confidence=0.8,
        layers=(run.name(layer),),
        step=step,
        evidence=(
            Evidence(f"largest output of {run.name(layer)}", largest, 0.0, "as the signal", step),
            Evidence("gradient that reaches it from there on", 0.0, 0.0, "as the gradient", step),
        ),
        cause=f"Every output of {run.place(layer)} is below zero since step {step}, and no gradient has reached it since: what rectifies "
        f"it gives zero for every input, and nothing can bring it back; {loss_summary(run)}.",
        fix="Lower the learning rate or warm it up, and start the layer's bias above zero, or rectify by softplus, which has a slope "
        "everywhere.",
        source=_SOURCE,
    )


def _row_of_silence(run: RunAnalysis, layer: int) -> int | None:
    """The measured row from which on all outputs of a layer lie below zero and no gradient reaches it; None unless both came together."""
    described, rows = run.recorded.layers[layer], run.measured_rows
    if described.role != "output" or described.kind not in TRANSFORMING:
        return None
    largest, gradient = run.recorded.activation.largest[rows, layer], run.recorded.activation_gradient.rms[rows, layer]
    known = np.isfinite(largest) & np.isfinite(gradient)
    rows, is_silent, is_cut = rows[known], largest[known] < 0, gradient[known] == 0
    if not rows.size or not is_silent[-1] or (is_silent != is_cut).any():
        return None
    alive = np.flatnonzero(~is_silent)
    start = int(alive[-1]) + 1 if alive.size else 0
    return int(rows[start]) if start and rows.size - start >= thresholds.DEAD_STEPS else None


def saturated_units(run: RunAnalysis) -> Finding | None:
    """Bounded activations (tanh, the logistic function) sit at their bounds, where their slope is next to nothing.

    Looks at the mean slope that is left of each, which the recorded moments give exactly, in the last measured steps. Looks like
    vanishing gradients without saturation, as of small weights; there the slope is whole. Looks like an input that is not scaled,
    which is named first where it is the reason. The last activation of a network may be meant to come to its bounds, as one that paints
    pixels, and counts only where it was there before the first update; what comes to them late in a run that learns is left out as well (a
    code, a gate), and so is a single saturated layer among others that are not.
    """
    slope = units.remaining_slope(run.recorded)
    end = run.divergence.row if run.divergence is not None else run.recorded.steps - 1
    slope[end + 1 :] = np.nan
    bounded = np.flatnonzero(np.isfinite(slope).any(axis=0))
    inner = [index for index in bounded if _feeds_a_layer(run, int(index)) or run.first_row in _saturated_rows(run, slope[:, index])]
    saturated = {index: rows[-1] for index in inner if (rows := _saturated_rows(run, slope[:, index])).size}
    if not run.underperforms:
        early = run.steps_spanned // 2
        saturated = {index: last for index, last in saturated.items() if run.elapsed[_saturated_rows(run, slope[:, index])[0]] < early}
    if not saturated or (2 * len(saturated) <= len(inner) and not run.underperforms):
        return None
    first = min(saturated, key=lambda index: (_saturated_rows(run, slope[:, index])[0], run.recorded.layers[index].depth))
    row = int(_saturated_rows(run, slope[:, first])[0])
    worst = min(saturated, key=lambda index: float(slope[saturated[index], index]))
    left, late = float(slope[saturated[worst], worst]), run.step(int(saturated[worst]))
    when = "from the first step on" if row == run.first_row else f"since step {run.step(row)}"
    return Finding(
        id="saturated-units",
        severity=run.severity(),
        confidence=0.9 if left < run.threshold(thresholds.SATURATED_SLOPE) / 2 else 0.7,
        layers=tuple(dict.fromkeys([run.name(int(first)), run.name(int(worst))])),
        step=run.step(row),
        evidence=(
            Evidence(f"share of the slope left at {run.name(int(worst))}", left, run.threshold(thresholds.SATURATED_SLOPE), "", late),
            Evidence("saturated layers", float(len(saturated)), None),
            Evidence("layers of bounded activations", float(len(inner)), None),
        ),
        cause=f"The units of {run.place(int(first))} are saturated {when}: of its largest slope "
        f"{percent(float(slope[saturated[first], first]))} is left on average, and as little of the gradient passes; {loss_summary(run)}.",
        fix="Initialise the layer before it smaller (`torch.nn.init.xavier_uniform_`), scale its input, normalise before the activation, "
        "or use one without bounds.",
        source=_SATURATION,
    )


def _saturated_rows(run: RunAnalysis, slope: NDArray[np.floating]) -> NDArray[np.int64]:
    """The measured rows from which on a layer stayed saturated; none where its last one was not."""
    seen = np.flatnonzero(np.isfinite(slope))
    free = np.flatnonzero(slope[seen] >= run.threshold(thresholds.SATURATED_SLOPE))
    return seen[int(free[-1]) + 1 :] if free.size else seen


def _feeds_a_layer(run: RunAnalysis, layer: int) -> bool:
    """Whether weights follow in its model: what was measured as the input of a layer does, the output of a network does not."""
    described = run.recorded.layers[layer]
    if described.role == "input":
        return True
    return run.deepest_weights.get(described.model, -1) > described.depth


def _limit(run: RunAnalysis) -> float:
    """A run that trains can spare most of a layer; one that underperforms cannot."""
    return run.threshold(thresholds.DEAD_SHARE) if run.underperforms else run.threshold(thresholds.DEAD_LAYER_SHARE)


def _is_dead(run: RunAnalysis, layer: int) -> bool:
    described = run.recorded.layers[layer]
    if not run.dead_share[layer] >= _limit(run):
        return False
    if described.role == "input":  # a mask or a one-hot input is silent by design, from its first step on
        seen = run.recorded.activation_dead[run.measured_rows, layer]
        is_activation = str(run.recorded.layer_made_by[layer]).removesuffix("_") in _SILENCING
        return described.depth > 0 and (is_activation or bool(seen[0] < thresholds.DEAD_SHARE))
    lowest = float(np.fmin.reduce(run.recorded.activation.smallest[run.measured_rows, layer], initial=np.inf))
    highest = float(np.fmax.reduce(run.recorded.activation.largest[run.measured_rows, layer], initial=-np.inf))
    # A branch whose factor starts at zero gives nothing else at the first step, and does at the next.
    has_shown = highest > 0 or run.measured_rows.size > 1
    is_rectified = described.kind == "other" and described.depth > 0 and 0 <= lowest < np.inf and has_shown
    return described.kind == "activation" or is_rectified


def _died_slowly(run: RunAnalysis, layer: int) -> bool:
    """Whether most channels of a layer answered at first, and no update moved a layer far."""
    share = run.recorded.activation_dead[run.measured_rows, layer]
    return (
        bool(share[0] < 1 - thresholds.DEAD_SHARE)
        and not np.fmax.reduce(run.step_size, axis=None, initial=0.0) >= thresholds.LARGE_UPDATE_RATIO
    )


def _row_of_death(run: RunAnalysis, layer: int) -> int:
    """The first observed row from which on as many channels stayed silent as make a dead layer in a run that underperforms."""
    share = run.recorded.activation_dead[:, layer]
    rows = run.measured_rows[np.isfinite(share[run.measured_rows])]
    alive = np.flatnonzero(share[rows] < run.threshold(thresholds.DEAD_SHARE))
    start = int(alive[-1]) + 1 if alive.size else 0
    return int(rows[min(start, rows.size - 1)])


_DROPOUT = "Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov 2014: dropout keeps half of hidden units, and more of the input"


def dropout_too_strong(run: RunAnalysis) -> Finding | None:
    """A dropout leaves so little of the signal that what is learned is mostly its noise.

    Looks at the share of zeros behind each dropout in training mode against that of the signal before it. A share to keep that was given as
    the share to drop is the usual reason. Looks like slow learning; the loss in evaluation mode is far below the one in training.
    """
    recorded = run.recorded
    zeros = recorded.activation.zeros
    found = []
    for index, layer in enumerate(recorded.layers):
        if layer.kind != "dropout" or layer.role != "output":
            continue
        *_, before = (-1, *signals_before(recorded, index))
        # What a function of the script's own made zero in between is not seen.
        is_seen = before >= 0 and recorded.layers[before].kind in ("activation", "embedding")
        is_seen &= recorded.layers[before].channels == layer.channels
        with np.errstate(invalid="ignore", divide="ignore"):
            kept = (1 - zeros[:, index]) / (1 - zeros[:, before]) if is_seen else 1 - zeros[:, index]
        rows = np.flatnonzero(np.isfinite(kept) & (kept < 1))
        # Units that were not seen begin with about half of their signal and may die; a dropout drops its share from the first step on.
        looked_at = rows if is_seen else rows[: thresholds.DEAD_STEPS]
        dropped = 1 - float(np.median(kept[looked_at])) if rows.size >= thresholds.DEAD_STEPS else 0.0
        if dropped >= (thresholds.DROPPED if is_seen else thresholds.DROPPED_ZEROS):
            found.append((dropped, index, int(rows[0])))
    dropped, worst, row = max(found, default=(0.0, 0, 0))
    if not found:
        return None
    return Finding(
        id="dropout-too-strong",
        severity="warning",
        confidence=0.8,
        layers=(run.name(worst),),
        step=run.step(row),
        evidence=(Evidence(f"share that {run.name(worst)} drops", dropped, thresholds.DROPPED, "", run.step(row)),),
        cause=f"{run.place(worst)} drops {percent(dropped)} of its signal, so that little of it is left to learn from; "
        f"{loss_summary(run)}.",
        fix="Give `nn.Dropout` the share to drop, not the one to keep: 0.1 to 0.5 is usual.",
        source=_DROPOUT,
    )
