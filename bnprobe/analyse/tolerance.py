"""How fast the steps of one recorded run could have gone: what its line probes and its curvature say, told as learning rates.

    line probe   s x rate, with s where the loss of the step's own batch begins to rise (critical), or diverges (divergence)
    curvature    rate x lr* / lr, with lr* the rate at which the sharpness would be at the optimizer's threshold

The rate of a step is the largest of any parameter group, all groups scaled together. Definitions and sources are those of the variables
(``store/schema/``); limits that trials found are in ``limits``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.views import RunView
from bnprobe.store.reader import Run

#: What was measured: where the loss begins to rise, where it diverges, where the curvature is at its threshold.
Kind = Literal["rises", "diverges", "curvature"]
#: The update as the optimizer took it.
TAKEN = "taken"
#: Share of their memory from which second moments can be held against a curvature.
SETTLED = 1.0
UNSETTLED = "the optimizer's second moments have not yet seen as many steps as they remember: 1 / (1 - beta2), of RMSprop 1 / (1 - alpha)"
#: Relative; a limit that was found at the step itself is not missed by rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Tolerance:
    """One estimate of the largest learning rate that one step tolerated.

    Attributes:
        kind: what was measured.
        variant: the update as taken, or the remedy whose projection was applied to it.
        step: the step.
        rate: learning rate in use, NaN where it was not seen.
        low: the limit lies above; 0 where there is no lower end, NaN without a number.
        high: it lies at or below; infinite where there is no upper end, NaN without a number.
        reason: why there is no number, or "".
    """

    kind: Kind
    variant: str
    step: int
    rate: float
    low: float
    high: float
    reason: str = ""

    @property
    def is_known(self) -> bool:
        """Whether there is a number."""
        return not math.isnan(self.high)

    @property
    def over(self) -> tuple[float, float]:
        """Over-factor, the rate in use over the limit, as an interval.

        >>> Tolerance("rises", "taken", 0, 0.1, 0.025, 0.05).over, Tolerance("rises", "taken", 0, 0.1, 0.0, 0.05).over
        ((2.0, 4.0), (2.0, inf))
        """
        return self.rate / self.high, self.rate / self.low if self.low else math.inf

    @property
    def is_exceeded(self) -> bool:
        """Whether the rate in use is beyond the limit for sure."""
        return self.is_known and self.high <= self.rate * (1 + _ROUNDING)


def tolerances(run: Run) -> list[Tolerance]:
    """Return every estimate that a run holds, those without a number included, in the order of the steps."""
    view = RunView.of(run)
    known = np.where(np.isfinite(view.learning_rate), view.learning_rate, np.nan)
    rates = dict(zip(view.step.tolist(), np.fmax.reduce(known, axis=1, initial=np.nan).tolist(), strict=True))
    return sorted([*_of_line_probes(run, rates), *_of_curvature(run, rates)], key=lambda one: one.step)


def closest(found: Iterable[Tolerance]) -> Tolerance | None:
    """Return the estimate that the rate in use exceeds most, or comes closest to; the earliest of equals, None where none has a number."""
    return max((one for one in found if one.is_known and not math.isnan(one.over[0])), key=lambda one: (one.over, -one.step), default=None)


def select(found: Sequence[Tolerance], kind: Kind, variant: str = TAKEN, before: int | None = None) -> list[Tolerance]:
    """Return the estimates of one kind and variant, of steps before one where it is given."""
    return [one for one in found if (one.kind, one.variant) == (kind, variant) and (before is None or one.step < before)]


def settled_limits(run: Run) -> NDArray[np.float64]:
    """Return the rate that each curvature probe allows, NaN where the optimizer's second moments are too young to say.

    They are then those of the first batches: a weight that hardly had a gradient has a preconditioner near zero, and with it any curvature
    at all is beyond the threshold. Limits of a hundred-thousandth of the rate that trains were measured so.
    """
    view = RunView.of(run)
    limits: NDArray[np.float64] = np.where(view.curvature_settled < SETTLED, np.nan, view.curvature_limit.astype(float))
    return limits


def _of_line_probes(run: Run, rates: dict[int, float]) -> list[Tolerance]:
    view = RunView.of(run)
    found = []
    for probe, (step, variant, reason) in enumerate(zip(view.probe_step, view.probe_variant, view.probe_reason, strict=True)):
        own = float(view.probe_learning_rate[probe])
        rate = rates.get(int(step), math.nan)
        rate = own if math.isnan(rate) else rate
        limits: dict[Kind, tuple[NDArray[np.float64], NDArray[np.float64]]] = {
            "rises": (view.probe_critical_low, view.probe_critical_high),
            "diverges": (view.probe_divergence_low, view.probe_divergence_high),
        }
        for kind, ends in limits.items():
            low, high = (float(end[probe]) * rate for end in ends)
            if not (reason or math.isnan(low) or math.isnan(high)):
                found.append(Tolerance(kind, str(variant) or TAKEN, int(step), rate, low, high))
            elif kind == "rises":  # one of the two stands for the probe
                why = str(reason) or "it was not stored"
                found.append(Tolerance(kind, str(variant) or TAKEN, int(step), rate, math.nan, math.nan, why))
    return found


def _of_curvature(run: Run, rates: dict[int, float]) -> list[Tolerance]:
    view = RunView.of(run)
    found: list[Tolerance] = []
    if not view.curvature.size:
        return found
    columns = (view.curvature_learning_rate, view.curvature_preconditioned, view.curvature_preconditioned_residual)
    limits, young = settled_limits(run), view.curvature_settled < SETTLED
    for row, (step, reason) in enumerate(zip(view.curvature, view.curvature_reason, strict=True)):
        own, sharpness, residual = (float(column[row]) for column in columns)
        rate = rates.get(int(step), math.nan)
        rate = own if math.isnan(rate) else rate
        high = float(limits[row]) * (rate / own if own > 0 and rate > 0 else 1.0)
        if math.isnan(high):
            why = str(reason) or (UNSETTLED if young[row] else "the optimizer's threshold is not known")
            found.append(Tolerance("curvature", TAKEN, int(step), rate, high, high, why))
            continue
        # The largest eigenvalue is at least the one that was found, and beyond it by about the residual.
        share = residual / sharpness if sharpness > 0 and math.isfinite(residual) else 0.0
        found.append(Tolerance("curvature", TAKEN, int(step), rate, high / (1 + share), high))
    return found
