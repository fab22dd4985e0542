"""Which ranks were given the same batches: each by mistake, or because they hold parts of one network."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from bnprobe.ranks.aligned import Aligned
from bnprobe.store.reader import Layer

#: Steps that two ranks have to have in common for a statement about their batches.
FEWEST_STEPS = 3
#: What is compared of a signal: two batches that agree in all of these to the last bit are the same numbers.
_COMPARED = ("activation_rms", "activation_common_energy", "activation_min", "activation_max", "activation_zeros")


def groups_of(aligned: Aligned) -> list[list[int]]:
    """Return ranks in groups, by place; those of a group were given the same batches at every step that was compared."""
    count = len(aligned.runs)
    parent = list(range(count))
    data = [place for place, layer in enumerate(aligned.layers) if is_data(layer, aligned)]
    values = {name: aligned.columns(name, data) for name in _COMPARED}
    losses = aligned.stacked("loss")
    for one, other in combinations(range(count), 2):
        if parent[one] != parent[other] and _are_alike(one, other, values, losses, data):
            old, new = parent[other], parent[one]
            parent = [new if root == old else root for root in parent]
    roots = dict.fromkeys(parent)
    return [[place for place in range(count) if parent[place] == root] for root in roots]


def is_data(layer: Layer, aligned: Aligned) -> bool:
    """Whether a layer is the batch itself: a signal that no module and no operation of the network made."""
    if layer.role != "input":
        return False
    for run in aligned.runs:
        for place, own in enumerate(run.layers):
            if own.name == layer.name:
                return not str(run["layer_made_by"][place])
    return False


def _are_alike(one: int, other: int, values: dict[str, list[np.ndarray]], losses: np.ndarray, data: list[int]) -> bool:
    """Whether two ranks had the same data in all steps that can be compared; where no data were seen, the same varying losses."""
    if data:
        pairs = [(arrays[one], arrays[other]) for arrays in values.values()]
        known = ~np.isnan(pairs[0][0]) & ~np.isnan(pairs[0][1])
        steps = int(known.any(axis=1).sum())
        if steps >= min(FEWEST_STEPS, len(losses[one])) and steps:
            return all(bool(np.array_equal(mine[known], its[known])) for mine, its in pairs)
        return False
    mine, its = losses[one], losses[other]
    both = np.isfinite(mine) & np.isfinite(its)
    return int(both.sum()) >= FEWEST_STEPS and len(set(mine[both].tolist())) > 1 and bool(np.array_equal(mine[both], its[both]))
