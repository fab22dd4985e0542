"""Causes in what the network is given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import robust
from bnprobe.analyse.layers import TRANSFORMING, is_joined, is_matrix, largest_model, measured_inputs, module_of
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import loss_summary, number, times

#: Kinds whose output has the size of their input.
_RESHAPING = ("other", "pooling", "dropout")

_SOURCE = "LeCun, Bottou, Orr, Mueller 1998, Efficient BackProp, section 4.3: inputs of mean 0 and variance 1"


def unscaled_input(run: RunAnalysis) -> Finding | None:
    """The network is given numbers far from one, or one batch far from the others, so that all that follows is as far off.

    Looks at the size of the first signal that no module produced, of further inputs of the model, and at what is put together from signals
    of modules and is far larger than any of them: from the start, or, in a run that diverged, at the step at which it deviated from its
    baseline before any layer did. Where the run underperforms an input far below one counts as well: layers then see little but their
    biases. Looks like a learning rate that is too high, or too low; there the input is of ordinary size. A normalisation that meets the
    input first makes its size harmless.
    """
    joined = _joined_data(run)
    if joined is not None and (found := _from_the_start(run, joined)) is not None:
        return found
    further = (finding for index in _further_inputs(run) if (finding := _from_the_start(run, index)) is not None)
    if (found := next(further, None)) is not None:
        return found
    layer = input_layer(run)
    if layer is None:
        return None
    if run.underperforms and (small := _too_small(run, layer)) is not None:
        return small
    if (found := _from_the_start(run, layer)) is not None:
        return found
    return _in_one_batch(run, layer) or _in_its_course(run, layer) if run.has_failed or run.is_stuck else None


def _further_inputs(run: RunAnalysis) -> list[int]:
    """What layers with weights receive, beyond the first signal, that no operation of the network made: a second input of the model."""
    recorded, model = run.recorded, largest_model(run.recorded)
    own = sorted((layer.depth, i) for i, layer in enumerate(recorded.layers) if layer.model == model)
    return [
        i
        for _, i in own[1:]
        if recorded.layers[i].role == "input" and recorded.layers[i].kind in TRANSFORMING and not str(recorded.layer_made_by[i])
    ]


def _joined_data(run: RunAnalysis) -> int | None:
    """A signal put together from others, and far larger than all that modules gave out before it: the rest of it is data."""
    recorded, rms = run.recorded, robust.median(run.recorded.activation.rms[run.baseline_rows], axis=0)
    for index, _, largest in measured_inputs(recorded, largest_model(recorded), rms):
        if is_joined(recorded, index) and 0 < thresholds.JOINED_TIMES * largest < float(rms[index]):
            return index
    return None


def _from_the_start(run: RunAnalysis, layer: int) -> Finding | None:
    size = float(robust.median(run.recorded.activation.rms[run.baseline_rows, layer]))
    if not size > run.threshold(thresholds.UNSCALED_RMS):
        return None
    low, high = (
        float(robust.median(end[run.baseline_rows, layer])) for end in (run.recorded.activation.smallest, run.recorded.activation.largest)
    )
    step = run.step(run.first_row)
    return Finding(
        id="unscaled-input",
        severity="error" if run.underperforms or run.is_no_better_than_a_constant else "warning",
        confidence=round(min(0.9, 0.6 + 0.15 * float(np.log10(size / run.threshold(thresholds.UNSCALED_RMS)))), 2),
        layers=(run.name(layer),),
        step=step,
        evidence=(
            Evidence("rms of the input", size, run.threshold(thresholds.UNSCALED_RMS), "as the signal", step),
            Evidence("smallest input", low, None, "as the signal"),
            Evidence("largest input", high, None, "as the signal"),
        ),
        cause=f"The input is not scaled: it has rms {number(size)} (from {number(low)} to {number(high)}) where a network, as it is "
        f"usually initialised, expects about 1; {loss_summary(run)}.",
        fix="Subtract the mean of the training data from the input and divide by its standard deviation.",
        source=_SOURCE,
    )


def _too_small(run: RunAnalysis, layer: int) -> Finding | None:
    """An input of which no value comes near one, given to a layer with a bias. One that an operation of the network made is no data."""
    signal, rows = run.recorded.activation, run.baseline_rows
    low, high = (float(robust.median(end[rows, layer])) for end in (signal.smallest, signal.largest))
    largest, step = max(abs(low), abs(high)), run.step(run.first_row)
    if str(run.recorded.layer_made_by[layer]) or not 0 < largest < run.threshold(thresholds.SMALL_INPUT):
        return None
    if not _bias_stays_beside(run, layer):
        return None
    return Finding(
        id="unscaled-input",
        severity="error" if run.is_stuck or run.is_collapsed or run.has_failed else "warning",
        confidence=0.8,
        layers=(run.name(layer),),
        step=step,
        evidence=(
            Evidence("largest magnitude of the input", largest, run.threshold(thresholds.SMALL_INPUT), "as the signal", step),
            Evidence("rms of the input", float(robust.median(signal.rms[rows, layer])), None, "as the signal", step),
        ),
        cause=f"The input is not scaled: its values lie from {number(low)} to {number(high)} where a network, as it is usually "
        f"initialised, expects about 1, so that layers see little but their own biases; {loss_summary(run)}.",
        fix="Subtract the mean of the training data from the input and divide by its standard deviation; look whether it is scaled twice.",
        source=_SOURCE,
    )


def _bias_stays_beside(run: RunAnalysis, layer: int) -> bool:
    """Whether the first layer with weights adds a bias to what it makes of a signal, and no normalisation right behind takes the size away.

    Without a bias a small signal comes out in proportion, and a normalisation makes it as large as any.
    """
    recorded, received = run.recorded, run.recorded.layers[layer]
    shapes: dict[str, list[str]] = {}
    for parameter in recorded.parameters:
        shapes.setdefault(parameter.layer, []).append(parameter.shape)
    behind = sorted(
        (other.depth, i)
        for i, other in enumerate(recorded.layers)
        if (other.model, other.role) == (received.model, "output") and other.depth >= received.depth
    )
    weighted = False
    for _, index in behind:
        own = shapes.get(module_of(recorded.layers[index].name), [])
        if recorded.layers[index].kind == "normalisation":
            return False
        if own and weighted:
            return True
        if own and all(is_matrix(shape) for shape in own):
            return False
        weighted = weighted or bool(own)
    return weighted


def _in_one_batch(run: RunAnalysis, layer: int) -> Finding | None:
    first = next(iter(run.activation_deviations), None)
    if first is None or first.layer != layer or not thresholds.OUTLYING_DECADES <= first.decades < np.inf:
        return None
    return Finding(
        id="unscaled-input",
        severity="error",
        confidence=0.8,
        layers=(run.name(layer),),
        step=first.step,
        evidence=(
            Evidence("rms of the input", first.rms, None, "as the signal", first.step),
            Evidence("the same against the batches before", first.decades, thresholds.OUTLYING_DECADES, "decades", first.step),
        ),
        cause=f"The batch of step {first.step} is not like those before it: its input has rms {number(first.rms)}, "
        f"{times(first.rms / first.baseline_rms)} theirs, and everything else followed; {loss_summary(run)}.",
        fix="Look at the data of that step; leave such samples out, or limit their values.",
        source="the first signal to deviate from its baseline",
    )


def _in_its_course(run: RunAnalysis, layer: int) -> Finding | None:
    """An input that grows for good in the course of the training, as data do that are scaled in place once an epoch.

    What another network gave out may grow with it, and is no data.
    """
    rows, end = run.measured_rows, run.divergence
    size = run.size[rows if end is None else rows[rows <= end.row], layer]
    rows = rows[: size.size][np.isfinite(size)]
    size = size[np.isfinite(size)]
    is_own = not str(run.recorded.layer_made_by[layer]) and len({one.model for one in run.recorded.layers}) == 1
    if not is_own or size.size < thresholds.CALM_STEPS:
        return None
    grown = size - float(robust.median(run.size[run.baseline_rows, layer]))
    late = float(robust.median(grown[-max(1, size.size // 4) :]))
    first = _for_good(grown >= thresholds.ODD_BATCH_DECADES)
    if not late >= thresholds.OUTLYING_DECADES or first == rows.size:
        return None
    if not _climbs_stairs(size, late) and _follows_layers(run, layer, rows, grown):
        return None
    step, rms = run.step(int(rows[first])), float(10 ** size[first])
    return Finding(
        id="unscaled-input",
        severity="error",
        confidence=0.8,
        layers=(run.name(layer),),
        step=step,
        evidence=(
            Evidence("rms of the input", rms, None, "as the signal", step),
            Evidence("late rms of the input against its first", late, thresholds.OUTLYING_DECADES, "decades"),
        ),
        cause=f"The input grows during the training: from step {step} on it is larger than at first, in the end {times(10**late)}; "
        f"{loss_summary(run)}.",
        fix="Look for what changes the data in place from epoch to epoch, such as `-=`, `/=` or `normalize_` on a stored array.",
        source="the size of what the first layer receives, against its first steps",
    )


def _climbs_stairs(size: NDArray[np.float64], grown: float) -> bool:
    """Whether a signal grew in single leaps and stood between them: so do data that are changed once an epoch, and nothing that is trained.

    Args:
        size: decades, one a measured step.
        grown: by how much it is larger in the end than at first, decades.
    """
    leaps = np.diff(size)
    leaps = leaps[leaps >= thresholds.ODD_BATCH_DECADES]
    return bool(leaps.size * thresholds.STAIR_STEPS <= size.size and leaps.sum() >= thresholds.STAIRS_SHARE * grown)


def _for_good(is_above: NDArray[np.bool_]) -> int:
    """The place from which on all are above, to the end; the number of places where the last one is not."""
    below = np.flatnonzero(~is_above)
    return int(below[-1]) + 1 if below.size else 0


def _follows_layers(run: RunAnalysis, layer: int, rows: NDArray[np.int64], grown: NDArray[np.float64]) -> bool:
    """Whether a layer behind an input grew before it did, so that the input may be made of what the network gave out in the step before.

    Compared is when each left its own level, before the input had grown by a decade, when each had grown by that, and by how much then.

    Args:
        run: the run.
        layer: the input.
        rows: rows at which it was measured.
        grown: by how much it was larger there than at first, decades, one a row.
    """
    layers = run.recorded.layers
    behind = np.array([i for i, other in enumerate(layers) if i != layer and other.depth >= layers[layer].depth], dtype=np.int64)
    reached = _for_good(grown >= thresholds.OUTLYING_DECADES)
    row = int(rows[min(reached, rows.size - 1)])
    left = next((one.layer for one in run.activation_deviations if one.row <= row and (one.layer == layer or one.layer in behind)), layer)
    if left != layer:
        return True
    with np.errstate(invalid="ignore"):
        others = np.asarray(run.size[rows][:, behind] - robust.median(run.size[run.baseline_rows][:, behind], axis=0))
    for other in others.T:
        if _for_good(other >= thresholds.OUTLYING_DECADES) < reached:
            return True
    return bool(reached < rows.size and (others[reached] > grown[reached] + thresholds.ODD_BATCH_DECADES).any())


def input_layer(run: RunAnalysis) -> int | None:
    """What the first layer with weights receives, if it was measured apart, or the first signal, if it is still the input.

    None where it is not, or where a normalisation receives it.
    """
    if not run.profile.size:
        return None
    model = run.recorded.layers[run.profile[0]].model
    own = sorted((layer.depth, i) for i, layer in enumerate(run.recorded.layers) if layer.model == model)
    first = own[0][1]
    described = run.recorded.layers[first]
    is_input = described.role == "input" or described.kind in _RESHAPING
    receives = next((i for _, i in own if run.recorded.layers[i].kind not in _RESHAPING), first)
    if not is_input or run.recorded.layers[receives].kind == "normalisation":
        return None
    owners = {parameter.layer for parameter in run.recorded.parameters}
    between = [module_of(run.recorded.layers[i].name) for _, i in own if run.recorded.layers[i].depth < run.recorded.layers[receives].depth]
    is_first_to_weigh = run.recorded.layers[receives].role == "input" and owners.isdisjoint(between)
    return receives if is_first_to_weigh else first
