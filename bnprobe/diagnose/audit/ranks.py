"""Several processes whose batch norms know nothing of each other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from bnprobe.analyse.normalisation import norms, received
from bnprobe.analyse.views import RunView
from bnprobe.diagnose.audit.row import AuditRow, LayerValue
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import number
from bnprobe.store.reader import Run

#: Spread of a channel's batch mean between ranks, in deviations of the channel, from which their statistics are mostly noise or their data
#: differ. Practice: as for a single batch, where 8 values are a third of a deviation off.
SPREAD = 0.3
_SOURCE = "Wu, Johnson 2021, Rethinking Batch in BatchNorm (2105.07576)"
_TITLE = "ranks that normalise by themselves"
_COUNTED = partial(
    AuditRow,
    id="ranks",
    title=_TITLE,
    units="ranks",
    source=_SOURCE,
    formula="processes of the training, where a batch norm is not synchronised",
)
_SPREAD = partial(
    AuditRow,
    id="ranks",
    title=_TITLE,
    units="deviations",
    source=_SOURCE,
    formula="sqrt(mean_c var_r(m_cr) / mean_r v_cr) of what a norm received, over ranks r, at the last step that all stored",
)


def ranks(run: RunAnalysis, others: Sequence[Run] = ()) -> AuditRow:
    """How far the batch means of ranks that normalise by themselves are apart.

    Args:
        run: one rank.
        others: recordings of further ranks of the same training.
    """
    if run.recorded.ranks:  # a merged run: what each rank saw stands in its own recording
        run, others = RunAnalysis(run.recorded.ranks[0]), run.recorded.ranks[1:]
    try:
        size = int(str(run.recorded.attributes.get("world_size", "1")))
    except ValueError:
        size = 1
    own = [norm.layer for norm in norms(run.recorded) if norm.family == "batch"]
    alone = [layer for layer in own if not run.recorded.layers[layer].type.startswith("Sync")]
    if size <= 1 or not own:
        return _COUNTED(verdict="absent", says="One process." if size <= 1 else "No norm takes statistics of a batch.", advice="")
    if not alone:
        return _COUNTED(verdict="fine", says=f"{size} ranks, and every batch norm is synchronised.", advice="", value=1.0)
    spreads = {layer: spread for layer in alone if np.isfinite(spread := _spread(run.recorded, others, layer))} if others else {}
    seen = f"{size} ranks: {len(alone)} of {len(own)} batch norms see the batch of their own rank alone, from {run.name(alone[0])} on"
    advice = "nn.SyncBatchNorm.convert_sync_batchnorm(model) before DDP, or larger batches on each rank"
    if not spreads:
        return _COUNTED(
            verdict="cannot tell",
            says=f"{seen}; how far their statistics are apart needs the file of each.",
            advice=f"`bnprobe record --ranks all`, and all files in one folder; {advice}, if the batch of one rank is small",
            value=float(size),
        )
    worst = max(spreads, key=lambda layer: spreads[layer])
    costs = spreads[worst] > SPREAD
    return _SPREAD(
        verdict="costs" if costs else "fine",
        says=f"{seen}; the means of {1 + len(others)} ranks are {number(spreads[worst])} deviations apart at {run.name(worst)}.",
        advice=advice if costs else "",
        value=spreads[worst],
        limit=SPREAD,
        layers=tuple(LayerValue(run.name(layer), spread, spread > SPREAD) for layer, spread in spreads.items()),
    )


def _spread(run: RunView, others: Sequence[Run], norm: int) -> float:
    """Deviation over ranks of the means of what a norm received, in deviations of its channels; NaN where no step was stored by all."""
    taken = received(run, norm)
    views = [run, *map(RunView.of, others)]
    common = set.intersection(*({int(step) for step in view.snapshot} for view in views))
    if taken is None or not common:
        return float("nan")
    means, variances = [], []
    for view in views:
        if len(view.layers) <= taken or view.layers[taken].name != run.layers[taken].name:
            return float("nan")
        row = int(np.flatnonzero(view.snapshot == max(common))[0])
        means.append(view.channel_mean[row, view.channel_slice(taken)].astype(float))
        variances.append(view.channel_variance[row, view.channel_slice(taken)].astype(float))
    within = np.mean(variances, axis=0)
    varies = within > 0
    return float(np.sqrt(np.mean(np.var(means, axis=0, ddof=1)[varies] / within[varies]))) if varies.any() else float("nan")
