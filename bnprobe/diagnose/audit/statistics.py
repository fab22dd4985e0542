"""Statistics of a batch norm: of how few values they are, and how far the running ones are from those of the batches."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import robust
from bnprobe.analyse.audits import audited, last_audit, why_not
from bnprobe.analyse.normalisation import likeness_of_batches, norms, turns
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.audit.batches import are_unlike
from bnprobe.diagnose.audit.row import AuditRow, LayerValue
from bnprobe.diagnose.batch_norm import late_gap, measured_norms
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import number

Array = NDArray[np.float64]

_SMALL = "Ioffe 2017 (1702.03275); Wu, He 2018 (1803.08494)"
_GAP = "Singh, Shrivastava 2019, EvalNorm (1904.06031)"
_VALUES = partial(
    AuditRow,
    id="few-values",
    title="values behind a statistic",
    units="values",
    source=_SMALL,
    formula="values of a channel in a batch, N P; of a sample or group, for other norms",
)
_STALE = partial(
    AuditRow,
    id="stale-statistics",
    title="running statistics off the batches",
    units="deviations",
    source=_GAP,
    formula="rms over the batch of (x - r) / s - (x - m) / d",
)


def few_values(run: RunAnalysis) -> AuditRow:
    """From how many values each norm takes its statistics, and how noisy that makes those of a batch."""
    recorded = run.recorded
    layers = [int(i) for i in measured_norms(run)]
    values = dict(zip(layers, robust.median(recorded.batch_norm_values[:, layers], axis=0).tolist(), strict=True))
    row = last_audit(recorded)
    others = audited(recorded.audit_values, row) if row is not None else {}
    values |= {layer: value for layer, value in others.items() if layer not in values}
    if not values:
        if any(norm.family == "batch" for norm in norms(recorded)):
            return _VALUES(verdict="absent", says="No batch norm was seen to take statistics of a batch.", advice="")
        return _VALUES(verdict="cannot tell", says=why_not(run.recorded), advice="`bnprobe record --audit` measures it")
    gap = dict(zip(layers, robust.median(late_gap(recorded.batch_norm_gap[:, layers]), axis=0).tolist(), strict=True))
    samples = float(robust.median(recorded.batch_size / np.maximum(recorded.micro_steps, 1)))
    limit, is_small = float(thresholds.FEW_VALUES), samples <= float(thresholds.FEW_SAMPLES)
    few = {i: value <= limit or (is_small and gap.get(i, 0.0) >= thresholds.NOISY_STATISTICS) for i, value in values.items()}
    worst = min(values, key=lambda i: values[i])
    says = f"{run.name(worst)} has {number(values[worst])} values a statistic, of {number(samples)} samples a forward"
    if worst in gap:
        noise = 1.0 / np.sqrt(max(values[worst], 1.0))
        says += f": the mean of so many independent values is {number(noise)} of their deviation off"
        says += f"; a batch is up to {number(max(gap.values()))} deviations from the running statistics"
    costs = any(few.values())
    return _VALUES(
        verdict="costs" if costs else "fine",
        says=f"{says}.",
        advice="larger batches (accumulating gradients does not help), larger groups, or batch norm in evaluation mode" if costs else "",
        value=values[worst],
        limit=limit,
        layers=tuple(LayerValue(run.name(i), values[i], few[i]) for i in sorted(values, key=lambda i: recorded.layers[i].depth)),
    )


def stale_statistics(run: RunAnalysis) -> AuditRow:
    """How far the running statistics of each batch norm are from its late batches, beyond what chance makes."""
    layers = measured_norms(run)
    layers = layers[[run.recorded.layer_repeat[layer] <= 0 for layer in layers]] if layers.size else layers
    if not layers.size:
        return _STALE(verdict="absent", says="No norm keeps running statistics of its own.", advice="")
    gap = late_gap(run.recorded.batch_norm_gap[:, layers])
    level = robust.median(gap, axis=0)
    samples = float(robust.median(run.recorded.batch_size / np.maximum(run.recorded.micro_steps, 1)))
    chance = float(np.sqrt(1.5 / max(samples, 1.0)))
    limit = max(float(thresholds.EVALUATION_GAP), thresholds.GAP_TIMES * chance)
    wide = level > limit
    worst = int(np.nanargmax(level))
    place = run.name(int(layers[worst]))
    says = f"Late batches are {number(float(level[worst]))} deviations off at {place}; chance makes up to {number(chance)}"
    kept = tuple(LayerValue(run.name(int(i)), float(v), bool(w)) for i, v, w in zip(layers, level, wide, strict=True))
    stale = partial(_STALE, value=float(level[worst]), limit=limit, layers=kept)
    if not wide.any():
        return stale(verdict="fine", says=f"{says}.", advice="")
    if len(gap) < thresholds.GAP_STEPS:
        return stale(verdict="cannot tell", says=f"{says}; too few steps to know that it stays.", advice="record a longer run")
    if are_unlike(run.recorded.once(likeness_of_batches)):
        return stale(verdict="cannot tell", says=f"{says}; batches that are not alike do that by themselves.", advice="shuffle first")
    advice = "raise the momentum (0.1 is usual), or recompute the statistics before evaluating (torch.optim.swa_utils.update_bn)"
    if _takes_turns(run, int(layers[worst])):  # as the discriminator of a GAN, which is given real and generated batches
        says += ", which takes in the batches of several optimizers in turn"
        advice = "a norm for each kind of batch, or both kinds in every batch: no momentum follows two in turn"
    return stale(verdict="costs", says=f"{says}.", advice=advice)


def _takes_turns(run: RunAnalysis, layer: int) -> bool:
    seen = np.isfinite(run.recorded.batch_norm_gap[:, layer])
    return len(np.unique(turns(run.recorded)[seen])) > 1
