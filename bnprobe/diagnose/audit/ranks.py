"""Several processes whose batch norms know nothing of each other."""

from __future__ import annotations

from functools import partial

from bnprobe.analyse.normalisation import norms
from bnprobe.diagnose.audit.row import AuditRow
from bnprobe.diagnose.run_analysis import RunAnalysis

_ROW = partial(
    AuditRow,
    id="ranks",
    title="ranks that normalise by themselves",
    units="ranks",
    source="Wu, Johnson 2021, Rethinking Batch in BatchNorm (2105.07576)",
    formula="processes of the training, where a batch norm is not synchronised",
)


def ranks(run: RunAnalysis) -> AuditRow:
    """How many processes take batch statistics by themselves."""
    try:
        size = int(str(run.recorded.attributes.get("world_size", "1")))
    except ValueError:
        size = 1
    own = [norm.layer for norm in norms(run.recorded) if norm.family == "batch"]
    alone = [layer for layer in own if not run.recorded.layers[layer].type.startswith("Sync")]
    if size <= 1 or not own:
        return _ROW(verdict="absent", says="One process." if size <= 1 else "No norm takes statistics of a batch.", advice="")
    if not alone:
        return _ROW(verdict="fine", says=f"{size} ranks, and every batch norm is synchronised.", advice="", value=1.0)
    return _ROW(
        verdict="costs",
        says=f"{size} ranks: {len(alone)} of {len(own)} batch norms see the batch of their own rank alone, from {run.name(alone[0])} on.",
        advice="nn.SyncBatchNorm.convert_sync_batchnorm(model) before DDP, if the batch of one rank is small",
        value=float(size),
        limit=1.0,
    )
