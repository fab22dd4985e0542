"""Causes in what the network is given."""

from __future__ import annotations

import numpy as np

from bnprobe.analyse import robust
from bnprobe.analyse.layers import TRANSFORMING, is_joined, largest_model, measured_inputs, module_of
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
    baseline before any layer did. Looks like a learning rate that is too high; there the input is of ordinary size. A normalisation that
    meets the input first makes its size harmless.
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
    return _from_the_start(run, layer) or (_in_one_batch(run, layer) if run.has_failed or run.is_stuck else None)


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
