"""What batch norm itself costs: statistics of too few values, statistics that evaluation does not find again, one module in two places.

All three leave the loss in training as it is, or only make it noisy: it is the model in evaluation mode that is another one. The gap
between the two is measured on the batch itself: what the running statistics would make of it, less what its own made of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import robust
from bnprobe.analyse.layers import module_of
from bnprobe.analyse.normalisation import received
from bnprobe.analyse.training import untrained_elements
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import loss_summary, number

Array = NDArray[np.float64]

_SMALL = "Ioffe 2017, Batch Renormalization (arXiv 1702.03275); Wu, He 2018, Group Normalization (arXiv 1803.08494)"
_GAP = "Singh, Shrivastava 2019, EvalNorm (arXiv 1904.06031): training and evaluation normalise differently"
_REUSED = "Cooijmans et al. 2017, Recurrent Batch Normalization (arXiv 1603.09025), section 3: statistics for each time step"


def batch_norm_small_batch(run: RunAnalysis) -> Finding | None:
    """Batch norm takes its statistics from so few samples that they are mostly noise.

    Looks at the samples of a forward, and at the values of a channel, from which batch statistics were taken; few samples of many places
    count if the gap to evaluation is wide. Looks like a learning rate that is too high, as the loss stays noisy; there the batch is of
    ordinary size. Accumulation over several backward calls does not help, because each of them normalises by itself. Batch norm in
    evaluation mode takes no statistics, and is no case of it.
    """
    layers = measured_norms(run)
    if not layers.size:
        return None
    samples = robust.median(run.recorded.batch_size / np.maximum(run.recorded.micro_steps, 1))
    values = robust.median(run.recorded.batch_norm_values[:, layers], axis=0)
    worst = int(layers[np.argmin(values)])
    fewest = float(values.min())
    gap = float(robust.median(late_gap(run.recorded.batch_norm_gap[:, layers])).max())
    few_values, few_samples = run.threshold(thresholds.FEW_VALUES), run.threshold(thresholds.FEW_SAMPLES)
    is_noisy = gap >= thresholds.NOISY_STATISTICS
    by_values, by_samples = fewest <= few_values, samples <= few_samples and is_noisy
    if not (by_values or by_samples):
        return None
    first = int(layers[0])
    return Finding(
        id="batch-norm-small-batch",
        severity=run.severity(),
        confidence=0.9 if fewest <= few_values / 2 or by_samples else 0.7,
        layers=tuple(dict.fromkeys([run.name(first), run.name(worst)])),
        step=run.step(run.first_row),
        evidence=(
            Evidence(f"values of a channel at {run.name(worst)}", fewest, few_values if by_values else None, "values"),
            Evidence("samples of a forward", float(samples), few_samples if by_samples else None, "samples"),
            Evidence("gap between training and evaluation", gap, thresholds.NOISY_STATISTICS if is_noisy else None, "standard deviations"),
        ),
        cause=f"Batch norm takes the mean and variance of a channel from {number(fewest)} values ({number(float(samples))} samples), so "
        f"its statistics are mostly noise: evaluation would move the normalised signal by {number(gap)} standard deviations; "
        f"{loss_summary(run)}.",
        fix="Use larger batches (accumulation does not help), group norm or layer norm, or keep batch norm in evaluation mode.",
        source=_SMALL,
    )


def batch_norm_train_eval_gap(run: RunAnalysis) -> Finding | None:
    """The running statistics are not those of the batches: the model in evaluation is not the one that was trained.

    Looks at what evaluation mode would make of the late batches, against what training mode made of them. Looks like statistics of too
    few values, which are as far from each other; the gap that so few values make by chance is allowed for. Looks like the first
    steps of every run, when the running statistics are still on their way; only the last quarter counts, and in a training that goes
    on no gap that still closes. Looks like one batch norm in two places, where each place has its own gap, and like two views of a batch
    that are augmented as a whole: these are as far from each other as from any running statistics. Looks also at what batch
    norms met in the script's own evaluations: data that were prepared otherwise are far from the running statistics there, although the
    batches of the training are not.
    """
    return _stale_statistics(run) or _other_data(run)


def _stale_statistics(run: RunAnalysis) -> Finding | None:
    layers = measured_norms(run)
    layers = layers[[run.recorded.layer_repeat[layer] <= 0 for layer in layers]] if layers.size else layers
    gap = late_gap(run.recorded.batch_norm_gap[:, layers])
    if not layers.size or len(gap) < thresholds.GAP_STEPS or (run.goes_on and run.steps_spanned < thresholds.GAP_SETTLES):
        return None
    level = robust.median(gap, axis=0)
    samples = robust.median(run.recorded.batch_size / np.maximum(run.recorded.micro_steps, 1))
    allowed = max(run.threshold(thresholds.EVALUATION_GAP), thresholds.GAP_TIMES * float(np.sqrt(1.5 / max(float(samples), 1.0))))
    is_on_its_way = still_closes(run.recorded.batch_norm_gap[:, layers], run.elapsed) if run.goes_on else np.zeros(len(layers), dtype=bool)
    between = np.array([between_calls(run, int(layer)) for layer in layers])
    wide = np.flatnonzero((level - between > allowed) & ~is_on_its_way)
    if not wide.size:
        return None
    widest = wide[np.argmax((level - between)[wide])]
    own = float(allowed + between[widest])
    worst, first, most = int(layers[widest]), int(layers[wide[0]]), float(level[widest])
    return Finding(
        id="batch-norm-train-eval-gap",
        severity="warning",
        confidence=0.8,
        layers=tuple(dict.fromkeys([run.name(first), run.name(worst)])),
        step=run.step(int(np.flatnonzero(np.isfinite(run.recorded.batch_norm_gap[:, first]))[-len(gap)])),
        evidence=(
            Evidence(f"gap between training and evaluation at {run.name(worst)}", most, own, "standard deviations"),
            Evidence("batch norms with as wide a gap", float(wide.size), 0.0),
        ),
        cause=f"The running statistics of {run.place(first)} are not those of its batches: in evaluation mode the normalised signal "
        f"would be off by {number(most)} standard deviations at {run.place(worst)}; {loss_summary(run)}.",
        fix="Raise batch norm's momentum (0.1 is usual), shuffle the data, or recompute the statistics before evaluating "
        "(`torch.optim.swa_utils.update_bn`).",
        source=_GAP,
    )


def _other_data(run: RunAnalysis) -> Finding | None:
    recorded = run.recorded
    met = recorded.batch_norm_evaluation_gap
    rows = np.flatnonzero(np.isfinite(met).any(axis=1) & (recorded.evaluation_batch_size >= thresholds.EVALUATED_SAMPLES))
    layers = measured_norms(run)
    layers = layers[np.isfinite(met[rows[-1], layers])] if rows.size else layers[:0]
    if not layers.size:
        return None
    row, samples = int(rows[-1]), float(recorded.evaluation_batch_size[rows[-1]])
    trained = late_gap(recorded.batch_norm_gap[: row + 1, layers])
    found = met[row, layers].astype(float)
    allowed = max(run.threshold(thresholds.EVALUATED_GAP), thresholds.GAP_TIMES * float(np.sqrt(1.5 / samples)))
    with np.errstate(invalid="ignore"):
        wide = np.flatnonzero((found > allowed) & (found > thresholds.GAP_TIMES * robust.median(trained, axis=0)))
    if not wide.size:
        return None
    first, worst = int(layers[wide[0]]), int(layers[wide[int(np.argmax(found[wide]))]])
    most, usual = float(found[wide].max()), float(robust.median(trained[:, wide[int(np.argmax(found[wide]))]]))
    why, fix = _why_other(run, layers[wide])
    return Finding(
        id="batch-norm-train-eval-gap",
        severity="warning",
        confidence=0.8,
        layers=tuple(dict.fromkeys([run.name(first), run.name(worst)])),
        step=run.step(int(rows[0])),
        evidence=(
            Evidence(f"gap at {run.name(worst)} in the evaluation", most, allowed, "standard deviations", run.step(row)),
            Evidence("the same for batches of the training", usual, None, "standard deviations"),
            Evidence("samples of the evaluation's batch", samples, float(thresholds.EVALUATED_SAMPLES), "samples", run.step(row)),
        ),
        cause=f"In the evaluation after step {run.step(row)}, {run.place(worst)} met a signal that is {number(most)} standard deviations "
        f"off its running statistics, where batches of the training are {number(usual)} off: {why}; {loss_summary(run)}.",
        fix=fix,
        source=_GAP,
    )


def _why_other(run: RunAnalysis, layers: NDArray[np.int64]) -> tuple[str, str]:
    """Why an evaluation met another signal than the training, and what to do: batch norms of what is kept go on to follow new data."""
    _, frozen = untrained_elements(run.recorded)
    why = "the evaluation's data differ from the training's, or are prepared otherwise"
    fix = (
        "Prepare the data of the evaluation as those of the training: the same scaling, and no augmentation that shifts mean or contrast "
        "in one of them alone."
    )
    if not (frozen[layers] > 0).all():
        return why, fix
    return (
        f"{why}; or, as its weights are kept, its running statistics went on to follow the data of this training, so that what was kept is "
        "no longer what it was",
        f"{fix} Or call `eval()` on the part that is kept after every `train()` of the whole: asking for no gradient does not stop running "
        "statistics.",
    )


def batch_norm_reused(run: RunAnalysis) -> Finding | None:
    """One batch norm normalises several signals of one forward, and its running statistics are a mixture of theirs.

    Looks for a batch norm that is called more than once in a forward, and whose gap between training and evaluation is wide at some of its
    calls. Looks like a network that is run twice, as in siamese training or a GAN: there each forward calls it once. Signals that are
    alike, as two views of the same pictures, share their statistics without harm: where what is normalised has the same means and sizes at
    all calls, or the gap is what chance makes, nothing is said.
    """
    recorded = run.recorded
    repeats = [i for i in measured_norms(run) if recorded.layer_repeat[i] > 0]
    modules = {module for module in dict.fromkeys(module_of(run.name(i)) for i in repeats) if signals_differ(run, module)}
    layers = np.array([i for i in measured_norms(run) if module_of(run.name(i)) in modules], dtype=np.int64)
    if not layers.size:
        return None
    gaps = robust.median(late_gap(recorded.batch_norm_gap[:, layers]), axis=0)
    worst, most = int(layers[int(np.nanargmax(gaps))]), float(np.nanmax(gaps))
    if not most > run.threshold(thresholds.REUSED_GAP):
        return None
    module = module_of(run.name(int(layers[0])))
    calls = 1 + max(int(recorded.layer_repeat[i]) for i in layers if module_of(run.name(i)) == module)
    return Finding(
        id="batch-norm-reused",
        severity="warning",
        confidence=0.9,
        layers=(module,),
        step=run.step(run.first_row),
        evidence=(
            Evidence(f"calls of {module} in one forward", float(calls), 1.0, "calls"),
            Evidence(
                f"gap between training and evaluation at {run.name(worst)}",
                most,
                run.threshold(thresholds.REUSED_GAP),
                "standard deviations",
            ),
        ),
        cause=f"{module} normalises {calls} different signals in one forward and keeps one running mean and variance for them all: in "
        f"evaluation mode {run.name(worst)} would be off by {number(most)} standard deviations; {loss_summary(run)}.",
        fix="Give each place a batch norm of its own, or use layer norm, which keeps no statistics.",
        source=_REUSED,
    )


def between_calls(run: RunAnalysis, layer: int) -> float:
    """How far what a batch norm receives at a call is from what it receives at the nearest other call of the same forward.

    In standard deviations, root mean square over channels that vary, at the late snapshots; 0 where it has one call. Two views that are
    augmented batch by batch differ by that at any time, so that no statistics are nearer to both of them.
    """
    recorded, module = run.recorded, module_of(run.name(layer))
    calls = [i for i, one in enumerate(recorded.layers) if one.role == "output" and module_of(one.name) == module and i != layer]
    own, others = received(recorded, layer), [taken for i in calls if (taken := received(recorded, i)) is not None]
    others = [i for i in others if i != own and own is not None and recorded.layers[i].channels == recorded.layers[own].channels]
    if own is None or not others or not recorded.snapshot.size:
        return 0.0
    late = _late_snapshots(run, layer)
    apart = [values[np.isfinite(values)] for other in others for values in [_apart(run, own, other, late)]]
    # Snapshots are few, and some draws are alike by chance.
    return min((float(np.quantile(values, 0.75)) for values in apart if values.size), default=0.0)


def _late_snapshots(run: RunAnalysis, layer: int) -> NDArray[np.int64]:
    """The snapshots of the steps whose gap counts, and at least the last."""
    rows = np.flatnonzero(np.isfinite(run.recorded.batch_norm_gap[:, layer]))
    first = run.recorded.step[rows[-max(1, rows.size // 4)]] if rows.size else 0
    late = np.flatnonzero(run.recorded.snapshot >= first)
    return late if late.size else np.array([run.recorded.snapshot.size - 1])


def _apart(run: RunAnalysis, one: int, other: int, snapshots: NDArray[np.int64]) -> Array:
    """How far the means of two signals are apart, in their own deviations, at each snapshot; NaN where no channel varies."""
    recorded = run.recorded
    means, variances = (
        np.stack([values[snapshots, recorded.channel_slice(layer)] for layer in (one, other)]).astype(float)
        for values in (recorded.channel_mean, recorded.channel_variance)
    )
    variance = variances.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        square = np.where(variance > 0, np.diff(means, axis=0)[0] ** 2 / variance, np.nan)
    is_live = np.isfinite(square)
    count = is_live.sum(axis=1)
    total = np.where(is_live, square, 0.0).sum(axis=1)
    return np.where(count > 0, np.sqrt(total / np.maximum(count, 1)), np.nan)


def signals_differ(run: RunAnalysis, module: str) -> bool:
    """Whether what a batch norm received at its calls differed, in means or in size; where it is not known, it may.

    Means are told in deviations of a channel, sizes by the logarithm of a channel's deviation over its mean of all calls.
    """
    recorded = run.recorded
    calls = [i for i, layer in enumerate(recorded.layers) if layer.role == "output" and module_of(layer.name) == module]
    before = [taken for i in calls if (taken := received(recorded, i)) is not None]
    widths = {recorded.layers[i].channels for i in calls}
    if len(before) < 2 or len(before) < len(calls) or len(widths) != 1 or not recorded.snapshot.size:
        return True
    means = np.stack([recorded.channel_mean[:, recorded.channel_slice(i)] for i in before])
    variances = np.stack([recorded.channel_variance[:, recorded.channel_slice(i)] for i in before])
    with np.errstate(invalid="ignore", divide="ignore"):
        shifted = np.abs(means - means.mean(axis=0)) / np.sqrt(variances.mean(axis=0))
        apart = np.maximum(shifted, np.abs(0.5 * np.log(variances / variances.mean(axis=0))))
    seen = np.flatnonzero(np.isfinite(apart).all(axis=(0, 2)))
    return not seen.size or bool(np.median(apart[:, seen[-1]].max(axis=0)) > thresholds.REUSED_APART)


def measured_norms(run: RunAnalysis) -> NDArray[np.int64]:
    """Batch norms of which batch statistics were seen, in order of depth."""
    found = np.flatnonzero(np.isfinite(run.recorded.batch_norm_gap).any(axis=0))
    return found[np.argsort([run.recorded.layers[i].depth for i in found], kind="stable")]


def still_closes(gap: NDArray[np.floating], elapsed: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Layers whose gap fell, from the quarter before the last to the last, as fast as running statistics of the usual momentum settle.

    Args:
        gap: (rows, layers), NaN where it was not measured.
        elapsed: steps from the first row to each, (rows,).
    """
    rows = np.flatnonzero(np.isfinite(gap).any(axis=1))
    late = rows[-len(late_gap(gap)) :]
    before = rows[-2 * len(late) : -len(late)]
    if not before.size:
        return np.ones(gap.shape[1], dtype=bool)
    steps = float(np.median(elapsed[late]) - np.median(elapsed[before]))
    fall = thresholds.GAP_CLOSES**steps
    closes: NDArray[np.bool_] = robust.median(gap[late].astype(float), axis=0) < fall * robust.median(gap[before].astype(float), axis=0)
    return closes


def late_gap(gap: NDArray[np.floating]) -> Array:
    """The last quarter of the rows in which any was measured."""
    rows = np.flatnonzero(np.isfinite(gap).any(axis=1))
    late: Array = gap[rows[-max(1, rows.size // 4) :]].astype(float)
    return late
