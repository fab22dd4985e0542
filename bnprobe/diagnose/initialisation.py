"""Causes before the first step: units that are copies of each other."""

from __future__ import annotations

import numpy as np

from bnprobe.analyse.layers import TRANSFORMING, module_of
from bnprobe.diagnose import thresholds
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import loss_summary, number

_SYMMETRY = "Goodfellow, Bengio, Courville 2016, section 8.4: units with equal weights and inputs must be initialised differently"


def symmetric_initialisation(run: RunAnalysis) -> Finding | None:
    """All units of a layer start alike, so they get the same gradient and stay one unit for good.

    Looks for weights whose rows are equal after the first update and nearly so after the next ones. That is what tells them from an
    initialisation that is meant: a single layer of zeros or of a constant (the last of a residual branch, an adapter, a gate) gets a
    different gradient in every row, and is no longer symmetric after the first update that reaches it. A module of the script's own may use
    its weight in any way: there the rows have to stay alike for good. Looks like a learning rate that
    is too low, as the loss soon stays where few units leave it. Layers that get no gradient at all are no case of it.
    """
    recorded = run.recorded
    rows = np.flatnonzero(np.isfinite(recorded.row_difference).any(axis=1))
    if not rows.size:
        return None
    first, last = recorded.row_difference[rows[0]], recorded.row_difference[rows[-1]]
    next_ones = recorded.row_difference[rows[: thresholds.SYMMETRIC_SNAPSHOTS][-1]]
    farthest = np.fmax.reduce(recorded.row_difference[rows], axis=0)
    start = min(int(np.searchsorted(recorded.step, recorded.snapshot[rows[0]])), recorded.steps - 1)
    # The first update of an adaptive optimizer is one of signs: rows that start at zero are alike after it, if not for good.
    still_alike = np.where(recorded.weight_norm[start] == 0, thresholds.EQUAL_ROWS, run.threshold(thresholds.NEARLY_EQUAL_ROWS))
    step, late = int(recorded.snapshot[rows[0]]), int(recorded.snapshot[rows[-1]])
    owners = {module_of(layer.name) for layer in recorded.layers if layer.kind in TRANSFORMING}
    # Behind units that are dead nothing moves rows apart; rows of zeros are what keeps them dead.
    gradient = recorded.parameter_gradient_norm
    are_zeros = (recorded.weight_norm == 0).any(axis=0) & np.isfinite(gradient).any(axis=0)
    reached = np.asarray((gradient > 0).any(axis=0) | are_zeros)
    equal = [
        index
        for index, parameter in enumerate(recorded.parameters)
        if reached[index]
        and first[index] <= thresholds.EQUAL_ROWS
        and not (next_ones if parameter.layer in owners else farthest)[index] > still_alike[index]
    ]
    if not equal:
        return None
    names = list(dict.fromkeys(recorded.parameters[index].layer for index in equal))
    remains = float(np.nanmin(last[equal])) if np.isfinite(last[equal]).any() else 0.0
    stays = remains <= run.threshold(thresholds.NEARLY_EQUAL_ROWS)
    since = f"; at step {late} they still are nearly so" if stays and late > step else ""
    more = f" and {len(names) - 2} more layers" if len(names) > 2 else ""
    layers = "layer works" if len(equal) == 1 else "layers work"
    return Finding(
        id="symmetric-initialisation",
        severity="error" if run.has_failed or run.is_stuck or (stays and not run.has_learned) else "warning",
        confidence=0.95 if stays or run.has_failed else 0.8,
        layers=tuple(names[:3]),
        step=step,
        evidence=(
            Evidence(
                f"difference between the rows of {recorded.parameters[equal[0]].name}",
                float(first[equal[0]]),
                thresholds.EQUAL_ROWS,
                "",
                step,
            ),
            Evidence("the smallest such difference at the last snapshot", remains, run.threshold(thresholds.NEARLY_EQUAL_ROWS), "", late),
            Evidence("weights of equal rows", float(len(equal)), 0.0, "", step),
        ),
        cause=f"The units of {' and '.join(names[:2])}{more} started as copies of each other, and after the first update all rows of the "
        f"weight were still equal{since}: {number(len(equal))} {layers} as if made of one unit; {loss_summary(run)}.",
        fix="Initialise the weights at random (`torch.nn.init.kaiming_normal_`); constants are for biases.",
        source=_SYMMETRY,
    )
