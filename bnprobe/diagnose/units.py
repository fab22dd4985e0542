"""Causes in single units: channels that no longer answer to any input."""

from __future__ import annotations

import numpy as np

from bnprobe.diagnose import thresholds
from bnprobe.diagnose.case import Case
from bnprobe.diagnose.finding import Evidence, Finding
from bnprobe.diagnose.wording import loss_fate, percent

_SOURCE = "Maas, Hannun, Ng 2013 (rectifier nonlinearities); dead is a channel that is zero for the whole batch, step after step"


def dead_units(case: Case) -> Finding | None:
    """Channels are zero for every input, step after step, so no gradient reaches what feeds them.

    Looks for layers of which most channels are silent in every one of the last steps; only the output of an activation can die,
    or a signal that no module produced and that was alive at first. Looks like sparse activity, where different channels are
    silent for different batches. Where the units fell silent after updates that were large against the weights, the learning
    rate is the cause.
    """
    dead = [layer for layer in range(len(case.run.layers)) if _is_dead(case, layer)]
    if not dead:
        return None
    worst = max(dead, key=lambda layer: case.dead_share[layer])
    first = min(dead, key=lambda layer: (_row_of_death(case, layer), case.run.layers[layer].depth))
    row = _row_of_death(case, first)
    rest = f", as in {len(dead) - 1} more" if len(dead) > 1 else ""
    when = "from the first step on" if row == case.first_row else f"since step {case.step(row)}"
    cause = (
        f"{percent(case.dead_share[worst])} of the channels of {case.place(worst)} are zero for every input{rest}; "
        f"{case.place(first)} lost more than {percent(thresholds.DEAD_SHARE)} {when}; {loss_fate(case)}."
    )
    return Finding(
        id="dead-units",
        severity="error" if case.is_stuck and case.dead_share[worst] >= thresholds.DEAD_LAYER_SHARE else "warning",
        confidence=0.8 if case.is_harmed else 0.6,
        layers=tuple(dict.fromkeys([case.name(first), case.name(worst)])),
        step=case.step(row),
        evidence=(
            Evidence(
                f"share of dead channels in {case.name(worst)}",
                float(case.dead_share[worst]),
                _limit(case),
                "",
                case.step(case.late_row),
            ),
            Evidence("layers with as many dead channels", float(len(dead))),
        ),
        cause=cause,
        fix="Warm the learning rate up, check the bias initialisation, or use an activation with a slope below zero (LeakyReLU).",
        source=_SOURCE,
    )


def _limit(case: Case) -> float:
    """A run that trains can spare half of a layer; one that is harmed cannot."""
    return thresholds.DEAD_SHARE if case.is_harmed else thresholds.DEAD_LAYER_SHARE


def _is_dead(case: Case, layer: int) -> bool:
    described = case.run.layers[layer]
    if not case.dead_share[layer] >= _limit(case):
        return False
    if described.role == "input":  # a mask or a one-hot input is silent by design, from its first step on
        seen = case.run["activation_dead"][case.measured_rows, layer]
        return described.depth > 0 and bool(seen[0] < thresholds.DEAD_SHARE)
    return described.kind == "activation"


def _row_of_death(case: Case, layer: int) -> int:
    """The first observed row from which on more than half of the channels stayed silent."""
    share = case.run["activation_dead"][:, layer]
    rows = case.measured_rows[np.isfinite(share[case.measured_rows])]
    alive = np.flatnonzero(share[rows] < thresholds.DEAD_SHARE)
    start = int(alive[-1]) + 1 if alive.size else 0
    return int(rows[min(start, rows.size - 1)])
