"""The one layer, if there is one, at which what differs between inputs ends."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from bnprobe.diagnose import thresholds
from bnprobe.diagnose.run_analysis import RunAnalysis


def extinguishing_layer(run: RunAnalysis, row: int | None) -> int | None:
    """The layer whose output is the same for every input, although its input was not: a place, where a mean shift is a course along depth.

    A signal of zeros is the same for every input. What passes around a layer, as around the branch of a residual sum, differs behind it.

    Args:
        run: an analysed run.
        row: a measured row.

    Returns:
        The index of the layer, or None where the energy that differs between inputs, or its share of the whole, fades by less in any one
        layer, or is back behind it.
    """
    if row is None or run.last_layer is None:
        return None
    layers, signal = run.recorded.layers, run.recorded.activation
    last = layers[run.last_layer]
    in_depth = sorted(
        (i for i, layer in enumerate(layers) if layer.model == last.model and layer.depth <= last.depth), key=lambda i: layers[i].depth
    )
    differing = (signal.between_energy + signal.within_energy)[row, in_depth]
    whole = differing + signal.common_energy[row, in_depth]
    with np.errstate(invalid="ignore"):  # energies that overflowed have no share, and are passed over
        share = np.divide(differing, whole, out=np.zeros_like(whole), where=whole != 0)
    known = np.flatnonzero(np.isfinite(share))
    for before, after in pairwise(known):
        if in_depth[after] == run.last_layer:
            break  # its own bias, or its weights of zero, may leave no difference
        behind = known[known >= after]
        is_lost = share[before] > 0 and share[behind].max() <= thresholds.EXTINGUISHED_SHARE * share[before]
        if is_lost and differing[behind].max() <= thresholds.EXTINGUISHED_ENERGY * differing[before]:
            return in_depth[after]
    return None
