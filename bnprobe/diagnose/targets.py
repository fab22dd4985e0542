"""Causes in what the network is to answer: targets far from its outputs, and batches of one class after another."""

from __future__ import annotations

import numpy as np

from bnprobe.analyse import robust
from bnprobe.analyse.layers import TRANSFORMING
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import constant_summary, loss_summary, number, percent, times

_SCALE = "LeCun, Bottou, Orr, Mueller 1998, Efficient BackProp, sections 4.3 and 4.5: inputs and targets of ordinary size"
_ORDER = "stochastic gradients are unbiased where a batch is a random draw of the data (Bottou 2012, Stochastic Gradient Descent Tricks)"


def unshuffled_data(run: RunAnalysis) -> Finding | None:
    """The data come in order of their class: batch after batch holds a single one.

    Looks at the labels of each measured batch's cross-entropy: most batches hold one class, several classes come in the course of the run,
    and the class stays the same for a while. The network learns to answer the class of the moment. Looks like a learning rate that is too
    high, as the loss leaps whenever the class changes; there batches hold all classes. Adversaries that are shown real and generated
    samples in turn change their class at every step, and are no case of it.
    """
    recorded = run.recorded
    rows = np.flatnonzero((recorded.target_labels >= thresholds.PURE_LABELS) & np.isfinite(recorded.target_entropy))
    if rows.size < thresholds.CALM_STEPS:
        return None
    is_pure = recorded.target_entropy[rows] == 0
    seen = recorded.target_class[rows]
    near = np.diff(recorded.step[rows]) == 1  # neighbouring steps say whether a class lasts
    changes = float((np.diff(seen) != 0)[near].mean()) if near.any() else 1.0
    share, classes = float(is_pure.mean()), int(np.unique(seen).size)
    if share < thresholds.PURE_SHARE or classes < 2 or changes > thresholds.PURE_CHANGES:
        return None
    return Finding(
        id="unshuffled-data",
        severity="error" if run.underperforms else "warning",
        confidence=0.9,
        layers=(),
        step=run.step(int(rows[is_pure][0])),
        evidence=(
            Evidence("share of the measured batches with a single class", share, thresholds.PURE_SHARE),
            Evidence("share of neighbouring batches whose class changes", changes, thresholds.PURE_CHANGES),
            Evidence("classes that batches consisted of", float(classes), 2.0),
        ),
        cause=f"The data come in order of their class: {percent(share)} of the measured batches hold a single class, {classes} of them "
        f"in the course of the run; the network learns the class of the moment and forgets the others; {loss_summary(run)}.",
        fix="Shuffle the training data: `DataLoader(..., shuffle=True)`, or a random order of the indices in every epoch.",
        source=_ORDER,
    )


def unscaled_targets(run: RunAnalysis) -> Finding | None:
    """The targets are far larger than what a network gives out as it is initialised.

    Looks at the targets of a squared error: their size, against one and against the outputs of the first steps, in a run whose error is
    still that of a constant prediction. Looks like a learning rate that is too low, for the outputs have so far to go, or too high, as
    gradients are as large as the targets.
    """
    recorded, row = run.recorded, run.first_row
    size = recorded.target_rms
    rows = np.flatnonzero(np.isfinite(size))[: thresholds.CALM_STEPS]
    if row is None or not rows.size:
        return None
    target, output = float(robust.median(size[rows])), float(np.sqrt(recorded.output_variance[rows[0]]))
    share = run.constant_share
    is_behind = run.divergence is not None or run.is_no_better_than_a_constant
    if not target > thresholds.UNSCALED_TARGET or not target > thresholds.TARGET_TIMES * output or not is_behind:
        return None
    wider = times(target / output) if output > 0 else "far more than"
    return Finding(
        id="unscaled-targets",
        severity="error",
        confidence=0.8,
        layers=(run.name(run.last_layer),) if run.last_layer is not None else (),
        step=run.step(int(rows[0])),
        evidence=(
            Evidence("rms of the targets", target, thresholds.UNSCALED_TARGET, "as the target", run.step(int(rows[0]))),
            Evidence("deviation of the first outputs", output, target / thresholds.TARGET_TIMES, "as the target", run.step(int(rows[0]))),
            *((Evidence("squared error against a constant prediction's", share, thresholds.CONSTANT_SHARE),) if share is not None else ()),
        ),
        cause=f"The targets are not scaled: they have rms {number(target)}, {wider} the deviation of the network's first outputs, and the "
        f"error is still no better than a constant prediction's; {loss_summary(run)}.",
        fix="Subtract the mean of the training targets and divide by their standard deviation; undo it for predictions.",
        source=_SCALE,
    )


def unscaled_outputs(run: RunAnalysis) -> Finding | None:
    """The network starts with outputs far larger than its targets, and spends the training on taking them back.

    Looks at the deviation of the first outputs against that of the targets of a squared error, in a run whose error is still no better than
    that of a constant prediction, or at the first logits and the first loss of a cross-entropy. Products of embeddings drawn at N(0, 1)
    start so: a product of 64 has deviation 8. Looks like a learning rate that is too low, as the loss falls all the time and is never low.
    """
    if (wide := _wide_logits(run)) is not None:
        return wide
    recorded = run.recorded
    rows = np.flatnonzero((recorded.output_variance > 0) & (recorded.target_variance > 0))
    if not rows.size or not run.is_no_better_than_a_constant or run.constant_share is None:
        return None
    first = int(rows[0])
    output, target = (float(np.sqrt(variance[first])) for variance in (recorded.output_variance, recorded.target_variance))
    if not output > thresholds.WIDE_OUTPUT * target or not robust.median(recorded.output_variance[rows[-3:]]) > target**2:
        return None
    embeddings = [layer.name for layer in recorded.layers if layer.type.startswith("Embedding")]
    advice = (
        "Draw the embeddings smaller (`torch.nn.init.normal_(embedding.weight, std=0.05)`)" if embeddings else "Draw the last layer smaller"
    )
    return Finding(
        id="unscaled-outputs",
        severity="error",
        confidence=0.8,
        layers=tuple(embeddings[:2]) or ((run.name(run.last_layer),) if run.last_layer is not None else ()),
        step=run.step(first),
        evidence=(
            Evidence("deviation of the first outputs", output, thresholds.WIDE_OUTPUT * target, "as the target", run.step(first)),
            Evidence("deviation of the targets", target, None, "as the target", run.step(first)),
            Evidence("late squared error against a constant prediction's", run.constant_share, thresholds.CONSTANT_SHARE),
        ),
        cause=f"The network starts with outputs {times(output / target)} as wide as its targets, and its error is still "
        f"{constant_summary(run)}; "
        f"{loss_summary(run)}.",
        fix=f"{advice}, or divide the output by a constant, so that it starts no wider than the targets.",
        source=_SCALE,
    )


def targets_out_of_range(run: RunAnalysis) -> Finding | None:
    """Targets lie outside what their loss, or the activation right before it, is made for.

    A binary cross-entropy of targets outside 0 to 1 has no lower bound: a mask of 0 and 255, or standardised pictures, make the loss fall
    below zero without end. Looks like a loss that learns well. A squared error behind a ReLU, a sigmoid or the like keeps what targets are
    away from its range, whatever is learned. Looks like data that cannot be predicted. No threshold but for targets that hardly reach out.
    """
    return _without_lower_bound(run) or _out_of_reach(run)


def _without_lower_bound(run: RunAnalysis) -> Finding | None:
    low, high = run.recorded.target_smallest, run.recorded.target_largest
    rows = np.flatnonzero((low < -thresholds.OUT_OF_RANGE) | (high > 1 + thresholds.OUT_OF_RANGE))
    if not rows.size:
        return None
    smallest, largest, step = float(np.nanmin(low)), float(np.nanmax(high)), run.step(int(rows[0]))
    return Finding(
        id="targets-out-of-range",
        severity="error",
        confidence=0.95,
        layers=(),
        step=step,
        evidence=(
            Evidence("smallest target of a binary cross-entropy", smallest, 0.0, "", step),
            Evidence("largest target of a binary cross-entropy", largest, 1.0, "", step),
        ),
        cause=f"The binary cross-entropy has targets from {number(smallest)} to {number(largest)}, outside 0 to 1: it then has no "
        "lower bound, and "
        f"falls as outputs run away; {loss_summary(run)}.",
        fix="Scale the targets to 0 to 1 (masks of 0 and 255 by 255), or use a squared error for standardised data.",
        source="torch.nn.functional.binary_cross_entropy: targets are between 0 and 1",
    )


def _out_of_reach(run: RunAnalysis) -> Finding | None:
    recorded = run.recorded
    rows = np.flatnonzero(np.isfinite(recorded.unreachable_error))
    if rows.size < thresholds.CALM_LOSSES:
        return None
    away = float(np.mean(recorded.unreachable_error[rows]))
    smallest, largest = float(np.nanmin(recorded.error_target_smallest)), float(np.nanmax(recorded.error_target_largest))
    spread = float(np.nanmean(recorded.target_variance[rows])) if np.isfinite(recorded.target_variance[rows]).any() else np.nan
    whole = spread if spread > 0 else ((largest - smallest) / 2) ** 2  # no variable with these ends varies more
    if not away > thresholds.OUT_OF_REACH * whole > 0:
        return None
    floor, ceiling = (float(ends[rows[0]]) for ends in (recorded.output_floor, recorded.output_ceiling))
    step = run.step(int(rows[0]))
    error = recorded.prediction_error[rows[-max(1, rows.size // 4) :]]
    late = float(np.nanmean(error)) if np.isfinite(error).any() else np.nan
    stays = f", of {number(late)} that the late error is" if late > 0 else ""
    is_most = run.underperforms or run.is_no_better_than_a_constant or away > thresholds.MOST_OF_ERROR * late
    return Finding(
        id="targets-out-of-range",
        severity="error" if is_most else "warning",
        confidence=0.95,
        layers=(run.name(run.last_layer),) if run.last_layer is not None else (),
        step=step,
        evidence=(
            Evidence("squared error that no weights can remove", away, thresholds.OUT_OF_REACH * whole, "square of the target", step),
            Evidence("smallest target", smallest, floor if np.isfinite(floor) else None, "as the target"),
            Evidence("largest target", largest, ceiling if np.isfinite(ceiling) else None, "as the target"),
        ),
        cause=f"The last activation gives {_between(floor, ceiling)}, and targets lie from {number(smallest)} to {number(largest)}: a "
        f"squared error of {number(away)} remains whatever is learned{stays}; {loss_summary(run)}.",
        fix=f"Leave the activation behind the last layer out, or scale the targets into what it gives ({_between(floor, ceiling)}).",
        source=_SCALE,
    )


def _between(floor: float, ceiling: float) -> str:
    if np.isinf(ceiling):
        return f"nothing below {number(floor)}"
    return f"nothing above {number(ceiling)}" if np.isinf(floor) else f"{number(floor)} to {number(ceiling)}"


def _wide_logits(run: RunAnalysis) -> Finding | None:
    """The first logits of a cross-entropy are far too wide: the network is sure of a guess before it has learned anything."""
    recorded, row, last = run.recorded, run.first_row, run.last_layer
    if row is None or last is None or run.course is None or run.classes < 2 or run.loss_may_stand or run.step(row) != 0:
        return None
    if not np.isfinite(recorded.target_entropy).any() or run.gives_one_answer:  # which took back more than the width
        return None
    if recorded.layers[last].kind not in TRANSFORMING:  # scaled cosines and the like: their width is no matter of how weights were drawn
        return None
    signal = recorded.activation
    width = float(np.sqrt(signal.between_energy[row, last] + signal.within_energy[row, last]))
    guess = float(np.log(run.classes))
    inner = recorded.activation.rms[row, [layer for layer in run.profile if layer != last]]
    if np.fmax.reduce(inner, initial=0.0) > thresholds.WIDE_LOGITS:  # the signal is wide before the last layer
        return None
    if not width > thresholds.WIDE_LOGITS or not run.course.first > thresholds.WIDE_LOSS * guess:
        return None
    if run.course.late < thresholds.FAR_BELOW_GUESS * guess:  # unlearned, and then all there is was learned
        return None
    return Finding(
        id="unscaled-outputs",
        severity="warning",
        confidence=0.7,
        layers=(run.name(last),),
        step=run.step(row),
        evidence=(
            Evidence("deviation of the first logits", width, thresholds.WIDE_LOGITS, "", run.step(row)),
            Evidence("first loss over that of a guess, ln C", run.course.first / guess, thresholds.WIDE_LOSS, "", run.step(row)),
        ),
        cause=f"The network starts with logits of deviation {number(width)}: its first loss is {number(run.course.first)}, where a "
        "guess among "
        f"{run.classes} classes scores {number(guess)}, and that has to be unlearned first; {loss_summary(run)}.",
        fix="Draw the last layer smaller, as by `torch.nn.init.normal_(weight, std=0.02)`; where it is shared with an embedding, that one.",
        source=_SCALE,
    )
