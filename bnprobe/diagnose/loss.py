"""Causes in the loss: what it is given, and what becomes of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bnprobe.analyse import robust, spikes
from bnprobe.analyse.layers import module_of
from bnprobe.analyse.spikes import Spike
from bnprobe.analyse.takeovers import takeovers_with_a_leap
from bnprobe.diagnose import data, thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import clip_at_usual, loss_summary, number, times, with_remedy

_CROSS_ENTROPY = "torch.nn.functional.cross_entropy takes logits: it applies log-softmax itself"


def double_softmax(run: RunAnalysis) -> Finding | None:
    """The loss applies softmax, or the logistic function, to what is its result already.

    Looks in the graph of the loss for log-softmax of softmax or sigmoid, or binary cross-entropy with logits of either. Looks like a
    learning rate that is too low: probabilities lie between 0 and 1, so the loss can neither fall far nor pass on much of a
    gradient. Probabilities given to a loss that wants them (their logarithm, a squared error) are no fault, nor is a second log-softmax,
    which changes nothing.
    """
    rows = np.flatnonzero(run.recorded.softmax_twice == 1)
    if not rows.size:
        return None
    step, layer = run.step(int(rows[0])), _probability_layer(run)
    before = f"by {run.place(layer)}" if layer is not None and run.recorded.layers[layer].type in _PROBABILITIES else "before the loss"
    evidence = [Evidence("measured steps at which softmax is applied twice", float(rows.size), 0.0, "steps", step)]
    bound = ""
    if run.classes > 2 and run.course is not None:
        floor = float(np.log1p((run.classes - 1) / np.e))
        evidence.append(Evidence("loss", run.course.late, floor, "as the loss"))
        bound = f"; for {run.classes} classes the loss cannot fall below {number(floor)}"
    return Finding(
        id="double-softmax",
        severity="error" if run.has_failed or run.is_stuck or not run.has_learned else "warning",
        confidence=0.95,
        layers=(run.name(layer),) if layer is not None else (),
        step=step,
        evidence=tuple(evidence),
        cause=f"Softmax (or sigmoid) is applied twice: {before}, and again by the loss{bound}; {loss_summary(run)}.",
        fix="Leave the softmax (or sigmoid) out of the network while it trains, and apply it where probabilities are wanted.",
        source=_CROSS_ENTROPY,
    )


_PROBABILITIES = ("Softmax", "Softmax2d", "Sigmoid", "LogSigmoid")


def _probability_layer(run: RunAnalysis) -> int | None:
    """The deepest softmax or sigmoid module; without one the deepest layer with weights, after which a function applied it."""
    found = [(layer.depth, i) for i, layer in enumerate(run.recorded.layers) if layer.type in _PROBABILITIES]
    return max(found)[1] if found else run.last_layer


def loss_spike(run: RunAnalysis) -> Finding | None:
    """The loss rises suddenly and stays high for some steps, in a run that did not diverge.

    Looks for losses far above those right before, over several steps, or for a single one further above them still; of what was
    measured around that step it says what moved first: the batch, the gradient of that step, or the update of the step before. Looks
    like the noise of small batches; there the next loss is back, and the leap small. Looks like a hard sample that comes again in every
    epoch; its batches leapt as high before. Looks like a divergence; there the loss does not
    come back. A rate that rises slowly raises the loss slowly. Where another optimizer takes its first step, or batches are of another
    size from there on, the script begins a training of another kind, and its loss is another one. A loss
    that may stand or rise although the training is right, as of a critic whose targets move, may leap as well.
    """
    if (leapt := leap_at_a_takeover(run)) is not None:
        return leapt
    shortest = 1 if run.has_batches else thresholds.SPIKE_LENGTH  # the loss of a single hard sample is no spike
    found = [
        spike
        for spike in run.spikes
        if spike.length >= shortest and not _begins_anew(run, spike.row) and not _is_another_hard_batch(run, spike)
    ]
    if run.divergence is not None or run.loss_may_stand or not found:
        return None
    spike = max(found, key=lambda one: one.rise)
    mover = _first_mover(run, spike.row)
    outcome = f"it was back after {spike.length} step{'s' if spike.length > 1 else ''}" if spike.came_back else "it has not come back"
    others = f" ({len(found) - 1} smaller ones besides)" if len(found) > 1 else ""
    evidence = [
        Evidence("highest loss of the spike", spike.loss, None, "as the loss", spike.step),
        Evidence("rise above the losses before it", spike.rise, thresholds.SPIKE_SIGMAS, "deviations", spike.step),
    ]
    if mover is not None:
        evidence.append(Evidence(mover.what, mover.value, mover.usual, "", run.step(mover.row)))
    first = mover.words if mover is not None else "what moved first was not measured"
    return Finding(
        id="loss-spike",
        severity="warning",
        confidence=0.8,
        layers=mover.layers if mover is not None else (),
        step=run.step(mover.row) if mover is not None else spike.step,
        evidence=tuple(evidence),
        cause=f"At step {spike.step} the loss leapt from {number(spike.level)} to {number(spike.loss)}{others}; {outcome}; {first}.",
        fix=with_remedy(run, _remedy(mover), clip_at_usual(run, spike.row)),
        source="Chowdhery et al. 2022, PaLM (arXiv 2204.02311), section 5.1",
    )


def leap_at_a_takeover(run: RunAnalysis) -> Finding | None:
    """A loss that goes on where another optimizer takes over, and leaps once that one has moved the weights.

    An optimizer that begins without the memory of the one before takes first steps of the full length of its rate: as after a checkpoint of
    which its state was not read. Looks like a training that begins anew; its first loss is another one.
    """
    found = run.recorded.once(takeovers_with_a_leap) if run.divergence is None else []
    if not found:
        return None
    one = max(found, key=lambda other: other.highest / other.level)
    return Finding(
        id="loss-spike",
        severity="warning",
        confidence=0.8,
        layers=(),
        step=one.step,
        evidence=(
            Evidence("highest of the losses after it", one.highest, None, "as the loss", one.step),
            Evidence("first loss, before it moved anything", one.first, None, "as the loss", one.step),
            Evidence("median of the losses before", one.level, None, "as the loss", one.step),
        ),
        cause=f"At step {one.step} another optimizer ({one.optimizer}) takes over and the loss goes on at {number(one.first)}, where it "
        f"had come to; once that one had moved the weights it leapt to {number(one.highest)}, {times(one.highest / one.level)} as high.",
        fix="Where a run is resumed, read the optimizer's state as well (`optimizer.load_state_dict`): without its moments the first steps "
        "have the full length of the rate. Otherwise begin with a smaller rate, or warm it up.",
        source="the losses before and after an optimizer's first step",
    )


def _is_another_hard_batch(run: RunAnalysis, spike: Spike) -> bool:
    """Whether single batches leapt as high before, again and again: one hard sample is in each, and two of them may come together."""
    if not spike.came_back or spike.length > thresholds.SPIKE_LENGTH:
        return False
    before = thresholds.spike(run.relaxation).before
    return spikes.hard_batches_before(run.recorded, spike, thresholds.AS_HARD, before) >= thresholds.HARD_BATCHES


def _begins_anew(run: RunAnalysis, row: int) -> bool:
    """Whether an optimizer takes its first step there, after others have worked, or batches are of another size from there on."""
    if row + thresholds.CALM_LOSSES > run.recorded.steps:
        return False
    names = np.array([group.partition("[")[0] for group in run.recorded.groups])
    stepping = np.isfinite(run.recorded.learning_rate)
    before, now = set(names[stepping[:row].any(axis=0)]), set(names[stepping[row]])
    if before and now - before:
        return True
    sizes = run.recorded.batch_size
    earlier, later = set(sizes[:row][-thresholds.CALM_STEPS :].tolist()), set(sizes[row:][: thresholds.CALM_STEPS].tolist())
    return len(earlier) == len(later) == 1 and earlier != later and bool(np.isfinite(sizes[row]))


class _Mover(NamedTuple):
    """What deviated from its baseline first: what it is, its value and usual size, where and when, in words."""

    kind: str
    what: str
    value: float
    usual: float
    layers: tuple[str, ...]
    row: int
    words: str


def _first_mover(run: RunAnalysis, row: int) -> _Mover | None:
    """Ask in order of time: the update of the step before, the batch of the step, its gradient."""
    return _large_update(run, row) or _odd_batch(run, row) or _large_gradient(run, row)


def _large_update(run: RunAnalysis, row: int) -> _Mover | None:
    ratio = run.update_ratio
    largest = np.nanmax(np.where(np.isfinite(ratio), ratio, -1.0), axis=1, initial=-1.0)
    rows = np.flatnonzero(largest[:row] >= 0)
    if rows.size <= thresholds.CALM_STEPS or row - rows[-1] > thresholds.NEAR_STEPS:
        return None
    usual = float(np.median(largest[rows[-1 - thresholds.CALM_STEPS : -1]]))
    last = int(rows[-1])
    if not largest[last] > thresholds.MOVER_TIMES * usual > 0:
        return None
    layer = module_of(run.name(int(np.argmax(np.where(np.isfinite(ratio[last]), ratio[last], -1.0)))))
    value = float(largest[last])
    words = f"the update of step {run.step(last)} moved first, being {times(value / usual)} its usual size"
    rates = run.recorded.learning_rate
    before, now = (float(np.nanmax(rates[at], initial=0.0)) for at in (max(last - 1, 0), last))
    words += f" as the learning rate went from {number(before)} to {number(now)}" if now > thresholds.MOVER_TIMES * before > 0 else ""
    return _Mover("update", f"largest update ratio, of {layer}", value, usual, (layer,), last, words)


def _odd_batch(run: RunAnalysis, row: int) -> _Mover | None:
    size = run.size
    rows = run.measured_rows[run.measured_rows < row][-thresholds.CALM_STEPS :]
    layer = data.input_layer(run)
    if layer is None or rows.size < thresholds.CALM_LOSSES or not np.isfinite(size[row, layer]):
        return None
    usual, width = float(robust.median(size[rows, layer])), float(robust.spread(size[rows, layer]))
    change = abs(float(size[row, layer]) - usual)
    if not change > max(thresholds.SPIKE_SIGMAS * width, thresholds.ODD_BATCH_DECADES):
        return None
    rms = 10 ** float(size[row, layer])
    words = f"the batch of step {run.step(row)} moved first: its input has rms {number(rms)}, usual is {number(10**usual)}"
    return _Mover("batch", "rms of the input", rms, 10**usual, (run.name(layer),), row, words)


def _large_gradient(run: RunAnalysis, row: int) -> _Mover | None:
    norm = run.gradient_norm
    rows = np.flatnonzero(np.isfinite(norm[:row]))[-thresholds.CALM_STEPS :]
    if rows.size < thresholds.CALM_LOSSES or not np.isfinite(norm[row]):
        return None
    usual = float(np.median(norm[rows]))
    if not norm[row] > thresholds.MOVER_TIMES * usual > 0:
        return None
    parameters = run.recorded.parameter_gradient_norm[row]
    worst = run.recorded.parameters[int(np.nanargmax(np.where(np.isfinite(parameters), parameters, -np.inf)))]
    rise = times(float(norm[row]) / usual)
    words = f"the gradient of the same step is {rise} its usual norm, most of it in {worst.name}, after updates of the usual size"
    return _Mover("gradient", "gradient norm", float(norm[row]), usual, (worst.layer,) if worst.layer else (), row, words)


def _remedy(mover: _Mover | None) -> str:
    if mover is not None and mover.kind == "batch":
        return "Look at the batch of that step, and clip the gradient's norm so that no single batch can do this"
    if mover is not None and mover.kind == "update":
        return "Look at what the learning rate did there, and clip the gradient's norm"
    return "Clip the gradient's norm at a few times its usual value, and look at the batch of that step: its labels, its weight in the loss"
