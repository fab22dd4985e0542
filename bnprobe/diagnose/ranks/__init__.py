"""What several ranks of one training show beside each other, once they are merged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bnprobe.diagnose.ranks.likeness import given_alike, weights_apart
from bnprobe.diagnose.ranks.origins import Origin, deviated_first, first_nonfinite, who_began
from bnprobe.diagnose.ranks.remark import Remark
from bnprobe.diagnose.ranks.spread import Spread, spreads
from bnprobe.diagnose.ranks.standing import missing, number_of, standing, unequal_ends
from bnprobe.diagnose.run_analysis import RunAnalysis

__all__ = ["Between", "RankLine", "Remark", "between", "standing"]


@dataclass(frozen=True)
class RankLine:
    """One rank in a line.

    Attributes:
        number: the rank.
        steps: recorded steps.
        status: how it ended.
        loss: its first and its last finite loss, NaN where there is none.
        deviated: the layer that deviated from its baseline first on this rank, "layer, step n"; "" where none did.
        nonfinite: where its own gradients or signals were first not finite; None where they never were.
    """

    number: int
    steps: int
    status: str
    loss: tuple[float, float]
    deviated: str
    nonfinite: Origin | None


@dataclass(frozen=True)
class Between:
    """What the ranks of a merged run show beside each other.

    Attributes:
        standing: how many were merged, and which are missing, in a sentence.
        missing: numbers of the ranks without a file.
        lines: one a rank.
        remarks: what is to be said, the gravest first.
        spreads: layers whose signals differ most between ranks, the largest first.
    """

    standing: str
    missing: tuple[int, ...]
    lines: tuple[RankLine, ...]
    remarks: tuple[Remark, ...]
    spreads: tuple[Spread, ...]


def between(run: RunAnalysis) -> Between | None:
    """Compare the ranks of a merged run; None for a run that is none."""
    recorded = run.recorded
    if not recorded.ranks:
        return None
    ranks = [RunAnalysis(one) for one in recorded.ranks]
    origins = [first_nonfinite(one.recorded) for one in ranks]
    is_lost = run.underperforms
    found = [
        *unequal_ends(recorded),
        *who_began(recorded, origins),
        *(deviated_first(ranks) if is_lost else ()),
        *weights_apart(recorded),
        *given_alike(recorded),
    ]
    order = {"error": 0, "warning": 1, "info": 2}
    return Between(
        standing(recorded),
        missing(recorded),
        tuple(_line(one, origin, is_lost) for one, origin in zip(ranks, origins, strict=True)),
        tuple(sorted(found, key=lambda remark: order[remark.severity])),
        tuple(spreads(recorded)),
    )


def _line(run: RunAnalysis, origin: Origin | None, is_lost: bool) -> RankLine:
    recorded = run.recorded
    losses = recorded.loss[np.isfinite(recorded.loss)]
    ends = (float(losses[0]), float(losses[-1])) if losses.size else (float("nan"), float("nan"))
    first = run.first_deviation if is_lost else None
    deviated = f"{run.place(first.layer)}, step {first.step:,}" if first is not None else ""
    return RankLine(number_of(recorded), recorded.trained_steps, recorded.status, ends, deviated, origin)
