"""Growth of the gradient from norm to norm, backwards, at initialisation."""

from __future__ import annotations

from functools import partial

import numpy as np

from bnprobe.analyse import robust
from bnprobe.analyse.normalisation import norms
from bnprobe.diagnose.audit.row import AuditRow, LayerValue
from bnprobe.diagnose.run_analysis import RunAnalysis
from bnprobe.diagnose.wording import number

#: Norms that a slope along depth needs.
FEWEST = 4
#: Factor on the gradient from the last norm to the first that makes the first layers learn at another rate than the last. Practice: an
#: order of magnitude, which twelve layers at 1.21 have.
GROWN = 10.0
#: A single norm with ReLU at initialisation: sqrt(pi / (pi - 1)).
EACH = float(np.sqrt(np.pi / (np.pi - 1.0)))
_ROW = partial(
    AuditRow,
    id="gradient-growth",
    title="growth of the gradient through norms",
    units="times",
    source="Luther, Why Batch Norm Causes Exploding Gradients; Yang et al. 2019 (1902.08129)",
    formula="10^(slope of log10 ||dL/dy|| over norms, backwards x number of norms); 1.21 a norm and ReLU in a plain network",
)


def gradient_growth(run: RunAnalysis) -> AuditRow:
    """How far the gradient grows from the last norm to the first before the first update."""
    found = norms(run.recorded)
    if not found:
        return _ROW(verdict="absent", says="No layer normalises.", advice="")
    row = run.first_row
    model = max(
        {run.recorded.layers[norm.layer].model for norm in found}, key=lambda m: sum(run.recorded.layers[n.layer].model == m for n in found)
    )
    layers = [norm.layer for norm in found if run.recorded.layers[norm.layer].model == model and run.recorded.layers[norm.layer].call == 0]
    if row is None or run.step(row) != 0:
        return _ROW(verdict="cannot tell", says="The first step was not measured.", advice="record from the first step")
    size = run.recorded.activation_gradient.rms[row, layers].astype(float)
    # The norm of the gradient over a sample: the number of its elements is known of batch norms; of others at least their channels.
    values = robust.median(run.recorded.batch_norm_values[:, layers], axis=0)
    elements = np.array([run.recorded.layers[i].channels for i in layers], dtype=float) * (values if np.isfinite(values).all() else 1.0)
    size = size * np.sqrt(elements)
    known = np.flatnonzero(np.isfinite(size) & (size > 0))
    if known.size < FEWEST:
        says = f"{known.size} norms with a gradient: too few for a slope along depth."
        return _ROW(verdict="fine" if len(layers) < FEWEST else "cannot tell", says=says, advice="")
    slope = float(np.polyfit(known, np.log10(size[known]), 1)[0])
    each, count = 10.0**-slope, int(known[-1] - known[0])
    total = each**count
    costs = total > GROWN
    return _ROW(
        verdict="costs" if costs else "fine",
        says=f"Backwards over {count + 1} norms the gradient changes {number(each)} times a norm, {number(total)} times in all "
        f"({number(EACH)} a norm is what ReLU behind each makes in a plain network).",
        advice="shortcuts around the norms, a smaller rate for the first layers, or a warm-up" if costs else "",
        value=total,
        limit=GROWN,
        layers=tuple(LayerValue(run.name(layers[i]), float(size[i]), False) for i in known),
    )
