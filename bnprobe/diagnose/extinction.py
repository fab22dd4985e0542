"""The one layer, if there is one, at which what differs between inputs ends."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from bnprobe.diagnose import thresholds
from bnprobe.diagnose.run_analysis import RunAnalysis


def extinguishing_layer(run: RunAnalysis, row: int | None) -> int | None:
    """The layer whose output is the same for every input, although its input was not: a place, where a mean shift is a course along depth.

    So does a normalisation over a single value, whose result is zero, or a product with zero. Dead units show as dead.

    Args:
        run: an analysed run.
        row: a measured row.

    Returns:
        The index of the layer, or None where the difference between inputs fades by less than that in any one layer, or to the end.
    """
    if row is None or run.last_layer is None:
        return None
    layers, signal = run.recorded.layers, run.recorded.activation
    model = layers[run.last_layer].model
    on_the_way = [i for i, layer in enumerate(layers) if layer.model == model and layer.depth < layers[run.last_layer].depth]
    in_depth = sorted(on_the_way, key=lambda i: layers[i].depth)
    energy = (signal.between_energy + signal.within_energy)[row, in_depth]
    known = np.flatnonzero(np.isfinite(energy))
    for before, after in pairwise(known):
        if energy[before] > 0 and energy[known[known >= after]].max() < thresholds.EXTINGUISHED_ENERGY * energy[before]:
            return in_depth[after]
    return None
