"""Batches that are no random draw of the data: sorted by class, a class each, a source each."""

from __future__ import annotations

from functools import partial

import numpy as np

from bnprobe.analyse.normalisation import Likeness, likeness_of_batches, norms
from bnprobe.diagnose.audit.row import AuditRow, LayerValue
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import number

#: Variance of batch means over its expectation from which batches are no random draw: beyond this, and beyond what chance does not reach.
#: Practice.
UNLIKE = 3.0
#: Deviations of a normal number that stand for it: one estimate in seven hundred.
BEYOND = 3.0
_ROW = partial(
    AuditRow,
    id="unlike-batches",
    title="batches that are not alike",
    units="times chance",
    source="Ioffe, Szegedy 2015 (1502.03167), section 3.1: statistics of a batch stand for those of the data",
    formula="mean_c var_B(m_c) over mean_c var_n(m_nc) / (n - 1), of the data",
)


def are_unlike(found: Likeness | None) -> bool:
    """Whether the means of batches are apart beyond chance."""
    return found is not None and found.ratio > limit_of(found)


def limit_of(found: Likeness) -> float:
    """The ratio that chance does not reach: it is chi-square over its degrees, here as Wilson and Hilferty (1931) have its quantiles."""
    spread = 2.0 / (9.0 * found.degrees)
    return float(max(UNLIKE, (1.0 - spread + BEYOND * np.sqrt(spread)) ** 3))


def unlike_batches(run: RunAnalysis) -> AuditRow:
    """How far the means of batches are apart, against what independent samples would make of them."""
    takes_batches = any(norm.family == "batch" for norm in norms(run.recorded))
    if not takes_batches:
        return _ROW(verdict="absent", says="No norm takes statistics of a batch.", advice="")
    found = run.recorded.once(likeness_of_batches)
    if found is None or not np.isfinite(found.ratio):
        says = "The data were not measured as a signal of several batches: token ids, or a run too short."
        return _ROW(verdict="cannot tell", says=says, advice="look at the order of the data")
    costs = are_unlike(found)
    says = f"Over {found.batches} batches the means of the data vary {number(found.ratio)} times as much as those of independent samples"
    one_class = _share_of_one_class(run)
    says += f"; {number(100 * one_class)} % of the batches hold one class." if one_class > 0 else "."
    return _ROW(
        verdict="costs" if costs else "fine",
        says=says,
        advice="shuffle the data, or mix classes and sources within each batch" if costs else "",
        value=found.ratio,
        limit=limit_of(found),
        layers=(LayerValue(run.name(found.layer), found.ratio, costs),),
    )


def _share_of_one_class(run: RunAnalysis) -> float:
    labels, entropy = run.recorded.target_labels, run.recorded.target_entropy
    known = (labels > 1) & np.isfinite(entropy)
    return float((entropy[known] == 0).mean()) if known.any() else 0.0
