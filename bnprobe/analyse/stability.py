"""Stability in time: when a run diverged, whether it is stuck, and which layer left its own course first.

Outcomes are those of the learning-rate trials: *trains*, *diverges* (a loss that is not finite, or above 1000 times the first),
*stuck* (the loss stays where it started or at chance level).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import robust
from bnprobe.analyse.common_mode import Signal
from bnprobe.analyse.depth_profile import log10_rms
from bnprobe.store.reader import Run

Array = NDArray[np.float64]

#: A loss this many times the first is a divergence, as for the relative losses of Bjorck et al. 2018 (1806.02375, Figure 3).
DIVERGED_TIMES = 1000.0
#: Early steps that make a layer's own baseline: at most this many, and at most a quarter of what was observed.
BASELINE_STEPS = 10
BASELINE_SHARE = 4
#: A layer has left its course when it is further from its early median than this many deviations ...
DEPARTURE_SIGMAS = 6.0
#: ... and than this many decades: a factor of three, which trained layers do reach, but slowly and not in one direction of depth.
DEPARTURE_DECADES = 0.5
#: Share of the run at its end that says where the loss has come to.
LATE_SHARE = 0.25
#: A loss has moved when its late median differs from the early one by this many deviations of the late losses, and by this share.
MOVED_SIGMAS = 3.0
MOVED_SHARE = 0.05
#: A loss falls when its trend over the last quarter exceeds its noise there, and this share of its level.
FALLING_SHARE = 0.01


@dataclass(frozen=True)
class Divergence:
    """The first step at which the loss was lost.

    Attributes:
        row: row of the step axis.
        step: optimizer step.
        reason: which criterion it met.
        loss: the loss there.
        first_loss: the first finite loss, NaN where there was none.
    """

    row: int
    step: int
    reason: Literal["non-finite loss", "loss above 1000 times the first"]
    loss: float
    first_loss: float


def divergence(run: Run) -> Divergence | None:
    """Find the first step whose loss is not finite, or above 1000 times the first loss; None where the run has none.

    NaN also stands for a loss that was not observed. It is taken as a loss of NaN where something else at that step was not
    finite, where the recorder noted a divergence, or where the loss had been finite and never is again. A loss that has taken
    both signs has no ratio to its first.
    """
    loss = run["loss"].astype(float)
    finite = np.isfinite(loss)
    if not loss.size:
        return None
    first = float(loss[finite][0]) if finite.any() else float("nan")
    lost = np.isinf(loss) | (np.isnan(loss) & _nan_is_real(run, finite))
    with np.errstate(invalid="ignore", over="ignore"):
        positive = np.logical_and.accumulate(~(loss <= 0))
        risen = positive & finite & (loss > DIVERGED_TIMES * first)
    rows = np.flatnonzero(lost | risen)
    if not rows.size:
        return None
    row = int(rows[0])
    reason: Literal["non-finite loss", "loss above 1000 times the first"]
    reason = "non-finite loss" if lost[row] else "loss above 1000 times the first"
    return Divergence(row, int(run["step"][row]), reason, float(loss[row]), first)


def _nan_is_real(run: Run, finite: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows at which a NaN in the place of the loss is a loss of NaN."""
    faulty = nonfinite_signal(run)
    noted = np.isin(run["step"], [event.step for event in run.events if event.kind == "divergence"])
    last_finite = int(np.flatnonzero(finite)[-1]) if finite.any() else len(finite)
    real: NDArray[np.bool_] = faulty | noted | (np.arange(len(finite)) > last_finite)
    return real


def nonfinite_signal(run: Run) -> NDArray[np.bool_]:
    """Rows at which an activation, an activation gradient or a parameter's gradient held a value that is not finite, (S,)."""
    signals = (run["activation_nonfinite"] > 0, run["activation_gradient_nonfinite"] > 0, np.isinf(run["parameter_gradient_norm"]))
    found: NDArray[np.bool_] = np.logical_or.reduce([faulty.any(axis=1) for faulty in signals])
    return found


@dataclass(frozen=True)
class Departure:
    """A layer that left its own baseline for good.

    Attributes:
        layer: index of the layer.
        signal: which signal left.
        row: first row of the step axis at which it was outside and stayed outside.
        step: optimizer step.
        decades: log10 of its rms there against the baseline's median; infinite where it was not finite.
        baseline_rms: the median rms of its early steps.
        rms: its rms at the departure.
    """

    layer: int
    signal: Signal
    row: int
    step: int
    decades: float
    baseline_rms: float
    rms: float


def baseline_rows(run: Run) -> NDArray[np.int64]:
    """The early observed rows that are a run's own baseline: at least the first, at most ten, at most a quarter of all."""
    seen = np.flatnonzero(run.observed())
    end = divergence(run)
    before = seen[seen < end.row] if end is not None else seen
    before = before if before.size else seen[:1]
    return before[: max(1, min(BASELINE_STEPS, before.size // BASELINE_SHARE))]


def departures(run: Run, signal: Signal = "activation") -> list[Departure]:
    """For each layer that did, the step at which it left its baseline upwards for good, first to leave first.

    Outside is a log10 rms more than six deviations and half a decade above the median of the layer's early steps, or a size
    that is not finite; for good means at every later observed step. Layers that left at the same step are in the order in which
    the signal met them: activations from the input on, activation gradients from the output back.
    """
    baseline = baseline_rows(run)
    rows = np.flatnonzero(run.observed())
    if not rows.size:
        return []
    size = log10_rms(run, signal)
    faulty = run[f"{signal}_nonfinite"] > 0
    middle = robust.median(size[baseline], axis=0)
    limit = np.maximum(DEPARTURE_SIGMAS * np.nan_to_num(robust.spread(size[baseline], axis=0)), DEPARTURE_DECADES)
    found = []
    for layer in range(len(run.layers)):
        seen = rows[np.isfinite(size[rows, layer]) | np.isposinf(size[rows, layer]) | faulty[rows, layer]]
        outside = (size[seen, layer] > middle[layer] + limit[layer]) | faulty[seen, layer] | np.isposinf(size[seen, layer])
        inside = np.flatnonzero(~outside)
        start = int(inside[-1]) + 1 if inside.size else 0
        if start < seen.size:
            row = int(seen[start])
            change = size[row, layer] - middle[layer]
            found.append(
                Departure(
                    layer=layer,
                    signal=signal,
                    row=row,
                    step=int(run["step"][row]),
                    decades=float(change) if np.isfinite(change) else float("inf"),
                    baseline_rms=float(10 ** middle[layer]),
                    rms=float(run[f"{signal}_rms"][row, layer]),
                )
            )
    forwards = 1 if signal == "activation" else -1
    return sorted(found, key=lambda one: (one.row, forwards * run.layers[one.layer].depth))


@dataclass(frozen=True)
class LossCourse:
    """Where the loss came from and where it went.

    Attributes:
        first: first finite loss.
        early: median of the first tenth of the finite losses, at least one and at most ten.
        late: median of the last quarter.
        lowest: smallest finite loss.
        noise: deviation of the losses of the last quarter.
        trend: Theil-Sen slope of the last quarter, change over that quarter.
        steps: number of finite losses.
    """

    first: float
    early: float
    late: float
    lowest: float
    noise: float
    trend: float
    steps: int

    @property
    def moved(self) -> bool:
        """Whether the loss has come down by more than its noise and by more than 5 per cent."""
        fall = self.early - self.late
        return fall > MOVED_SIGMAS * self.noise and fall > MOVED_SHARE * abs(self.early)

    @property
    def is_falling(self) -> bool:
        """Whether the loss still falls within the last quarter, by more than its noise there and by more than 1 per cent."""
        return self.trend < -self.noise and self.trend < -FALLING_SHARE * abs(self.late)


def loss_course(run: Run) -> LossCourse | None:
    """Summarise the finite losses before a divergence; None where there are none."""
    end = divergence(run)
    loss = run["loss"].astype(float)[: end.row if end is not None else None]
    loss = loss[np.isfinite(loss)]
    if not loss.size:
        return None
    early = loss[: max(1, min(BASELINE_STEPS, loss.size // BASELINE_STEPS))]
    late = loss[-max(1, int(loss.size * LATE_SHARE)) :]
    thin = late[np.linspace(0, late.size - 1, min(late.size, 200)).astype(int)]  # enough for a slope
    slope = robust.slopes(np.arange(thin.size, dtype=float), thin[None, :])[0]
    return LossCourse(
        first=float(loss[0]),
        early=float(robust.median(early)),
        late=float(robust.median(late)),
        lowest=float(loss.min()),
        noise=float(robust.spread(late)),
        trend=float(slope * (thin.size - 1)) if thin.size > 1 else 0.0,
        steps=int(loss.size),
    )


def chance_level(classes: int) -> float:
    """Cross-entropy of guessing among that many classes: ln C."""
    return float(np.log(max(classes, 1)))
