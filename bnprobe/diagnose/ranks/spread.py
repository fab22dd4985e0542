"""How far the signals of a layer differ between ranks: what their batches differ in, and what a norm that is not synchronised sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bnprobe.analyse.layers import described
from bnprobe.store.reader import Run

#: Layers that are told.
MOST_TOLD = 5


@dataclass(frozen=True)
class Spread:
    """How far ranks are apart in one layer.

    Attributes:
        layer: its name.
        relative: median over steps of the deviation over ranks of the activation's root mean square, over its mean.
        largest: the largest of any step, and that step.
    """

    layer: str
    relative: float
    largest: tuple[float, int]


def spreads(run: Run) -> list[Spread]:
    """Return the layers of the largest spread, ``sd_r(rms_r) / mean_r(rms_r)``, over steps that all ranks measured."""
    ranks = run.ranks
    common = sorted(set.intersection(*({int(step) for step in rank["step"][rank.observed()]} for rank in ranks)))
    if not common:
        return []
    found = []
    tables = []
    for rank in ranks:
        rows = {int(step): row for row, step in enumerate(rank["step"].tolist())}
        tables.append((rank["activation_rms"][[rows[step] for step in common]].astype(np.float64), rank.layers))
    places = [{layer.name: place for place, layer in enumerate(layers)} for _, layers in tables]
    for layer in run.layers:
        if all(layer.name in own for own in places):
            values = np.stack([table[:, own[layer.name]] for (table, _), own in zip(tables, places, strict=True)])
            with np.errstate(invalid="ignore", divide="ignore"):
                relative = values.std(axis=0, ddof=1) / values.mean(axis=0)
            known = np.flatnonzero(np.isfinite(relative))
            if known.size:
                worst = known[relative[known].argmax()]
                found.append(Spread(described(layer), float(np.median(relative[known])), (float(relative[worst]), common[worst])))
    return sorted(found, key=lambda one: -one.relative)[:MOST_TOLD]
