"""Stability in time: when a run diverged, whether it is stuck, and which layer deviated from its own baseline first.

Outcomes are those of the learning-rate trials: *trains*, *diverges* (see ``bnprobe.divergence``), *stuck* (the loss stays where it
started or at chance level).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import robust
from bnprobe.analyse.depth_profile import log10_rms
from bnprobe.analyse.restarts import is_after_restart
from bnprobe.analyse.views import RunView, Signal
from bnprobe.divergence import first_divergence
from bnprobe.store.reader import Run

Array = NDArray[np.float64]

#: Early steps that make a run's baseline: at most this many, and at most a quarter of what was observed.
BASELINE_STEPS = 10
BASELINE_SHARE = 4
#: Steps before each one that make a layer's own course: the recent ones, since a layer that trains moves, but slowly.
COURSE_STEPS = 10
#: A layer has deviated from its baseline when it is further above it than this many deviations from step to step ...
DEVIATION_SIGMAS = 6.0
#: ... and than this many decades: a factor of three within ten steps.
DEVIATION_DECADES = 0.5
#: How far back from the end a departure is looked for: what left earlier and stayed out would have ended the run.
DEVIATION_ROWS = 300
#: Share of the run at its end that says where the loss has come to.
LATE_SHARE = 0.25
#: A loss has moved when its late median is below the early one by this share, and not by chance.
MOVED_SHARE = 0.05
#: The same where it fell at once, and how many deviations of single losses that has to be. Convention: a quarter, and five.
MOVED_AT_ONCE, ABOVE_NOISE = 0.25, 5.0
#: Standard error of a median over that of a mean, for Gaussian noise: sqrt(pi / 2).
MEDIAN_ERROR = float(np.sqrt(np.pi / 2))
#: A loss still falls when the Mann-Kendall test over the second half of the run finds a fall at this level of significance.
#: Measured on trainings of 60 to 300 steps: slow ones are below 0.002, those at chance level above 0.2.
FALLING_P = 0.01
#: And by this share of the quarter before. Measured: slow trainings fall by 0.4 per cent and more; a loss that settles after a leap does
#: not.
FALLING_SHARE = 0.002


@dataclass(frozen=True)
class Divergence:
    """The first step at which training diverged.

    Attributes:
        row: row of the step axis.
        step: optimizer step.
        reason: which criterion it met.
        loss: the loss there.
        scale: the scale that the loss was compared with, see ``bnprobe.divergence``; NaN where there was none.
        scale_name: what that scale is, in words.
    """

    row: int
    step: int
    reason: Literal["non-finite loss", "risen loss"]
    loss: float
    scale: float
    scale_name: str


def divergence(run: Run) -> Divergence | None:
    """Find the step at which a run diverged; None where it did not.

    NaN also stands for a loss that was not observed. It is taken as a loss of NaN where something else at that step was not
    finite, where the recorder noted a divergence, or where the loss had been finite and never is again.
    """
    view = RunView.of(run)
    loss = view.loss.astype(float)
    finite = np.isfinite(loss)
    seen = np.flatnonzero(~np.isnan(loss) | nan_is_real(run, finite))
    found = first_divergence(loss[seen].tolist(), (view.skipped[seen] == 1).tolist())
    if found is None:
        return None
    row = int(seen[found.step])
    reason: Literal["non-finite loss", "risen loss"] = "risen loss" if found.is_finite else "non-finite loss"
    return Divergence(row, int(view.step[row]), reason, found.loss, found.scale, found.scale_name)


def nan_is_real(run: Run, finite: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows at which a NaN in the place of the loss is a loss of NaN."""
    view = RunView.of(run)
    faulty = nonfinite_signal(run)
    noted = np.isin(view.step, [event.step for event in run.events if event.kind == "divergence"])
    last_finite = int(np.flatnonzero(finite)[-1]) if finite.any() else len(finite)
    real: NDArray[np.bool_] = faulty | noted | (np.arange(len(finite)) > last_finite)
    return real


def nonfinite_signal(run: Run) -> NDArray[np.bool_]:
    """Rows at which an activation, an activation gradient or a parameter's gradient held a value that is not finite, (S,)."""
    view = RunView.of(run)
    signals = (view.activation.nonfinite > 0, view.activation_gradient.nonfinite > 0, np.isinf(view.parameter_gradient_norm))
    found: NDArray[np.bool_] = np.logical_or.reduce([faulty.any(axis=1) for faulty in signals])
    return found


@dataclass(frozen=True)
class Deviation:
    """A layer that deviated from its own baseline for good.

    Attributes:
        layer: index of the layer.
        signal: which signal left.
        row: first row of the step axis at which it was outside and stayed outside.
        step: optimizer step.
        decades: log10 of its rms there against its course; infinite where it was not finite.
        baseline_rms: the median rms of the steps before.
        rms: its rms at the departure.
    """

    layer: int
    signal: Signal
    row: int
    step: int
    decades: float
    baseline_rms: float
    rms: float


def measured_rows(run: Run, signal: Signal = "activation") -> NDArray[np.int64]:
    """Rows at which the signal of any layer was measured: a step may have been found worth measuring only after its forward pass."""
    view = RunView.of(run)
    return np.flatnonzero((np.isfinite(view.signal(signal).rms) | (view.signal(signal).nonfinite > 0)).any(axis=1))


def baseline_rows(run: Run, signal: Signal = "activation") -> NDArray[np.int64]:
    """The early rows that are a run's own baseline: at least the first, at most ten, at most a quarter of those before a divergence."""
    rows = measured_rows(run, signal)
    end = RunView.of(run).once(divergence)
    before = rows[rows < end.row] if end is not None else rows
    before = before if before.size else rows[:1]
    return before[: max(1, min(BASELINE_STEPS, before.size // BASELINE_SHARE))]


def deviations(run: Run, signal: Signal = "activation") -> list[Deviation]:
    """For each layer that did, the step at which it deviated from its own baseline upwards and for good, first to deviate first.

    A layer's course is the median log10 rms of its last ten measured steps, and its spread the deviation of their changes
    from step to step. Outside is more than six of these and half a decade above, or a size that is not finite; for good means
    at every later step up to the divergence, or to the end of a run without one. A layer that drifts slowly, as layers do
    that train, stays on its course; one that settles at a new level has a new course.

    Layers that left at the same step are in the order in which the signal met them: activations from the input on, activation
    gradients from the output back.
    """
    view = RunView.of(run)
    rows = measured_rows(run, signal)
    end = RunView.of(run).once(divergence)
    rows = rows[rows <= end.row] if end is not None else rows
    rows = rows[-DEVIATION_ROWS:]
    if not rows.size:
        return []
    size = log10_rms(run, signal)[rows]
    faulty = (view.signal(signal).nonfinite[rows] > 0) | np.isposinf(size)
    course, width = _courses(size)
    with np.errstate(invalid="ignore"):
        above = size > course + np.maximum(DEVIATION_SIGMAS * width, DEVIATION_DECADES)
    outside = faulty | (above & ~is_after_restart(run, rows, COURSE_STEPS)[:, None])  # what was before a restart is no course
    seen = np.isfinite(size) | faulty
    found = []
    for layer in range(len(run.layers)):
        inside = np.flatnonzero(seen[:, layer] & ~outside[:, layer])
        later = np.flatnonzero(seen[:, layer])
        later = later[later > inside[-1]] if inside.size else later
        if later.size:
            index = int(later[0])
            change, usual = size[index, layer] - course[index, layer], course[index, layer]
            found.append(
                Deviation(
                    layer=layer,
                    signal=signal,
                    row=int(rows[index]),
                    step=int(view.step[rows[index]]),
                    decades=float(change) if np.isfinite(change) else float("inf"),
                    baseline_rms=float(10**usual),
                    rms=float(view.signal(signal).rms[rows[index], layer]),
                )
            )
    forwards = 1 if signal == "activation" else -1
    return sorted(found, key=lambda one: (one.row, forwards * run.layers[one.layer].depth))


def gradient_deviations(run: Run) -> list[Deviation]:
    """The same for activation gradients."""
    return deviations(run, "activation_gradient")


def first_deviation(activation: list[Deviation], gradient: list[Deviation]) -> Deviation | None:
    """The layer that deviated from its baseline first, of either signal; its activation where both left at the same step.

    Args:
        activation: what `departures` found for activations.
        gradient: what it found for activation gradients.
    """
    return min([*activation[:1], *gradient[:1]], key=lambda one: one.row, default=None)


def _courses(size: Array) -> tuple[Array, Array]:
    """Median of the rows before each row, and deviation of their changes, both (S, L); NaN where there is nothing before."""
    course = np.full_like(size, np.nan)
    width = np.zeros_like(size)
    for row in range(1, len(size)):
        before = size[max(0, row - COURSE_STEPS) : row]
        course[row] = robust.median(before, axis=0)
        if len(before) > 2:
            finite = np.where(np.isfinite(before), before, np.nan)
            width[row] = np.nan_to_num(robust.spread(np.diff(finite, axis=0), axis=0))
    return course, width


@dataclass(frozen=True)
class LossCourse:
    """Where the loss came from and where it went. In words and tables, its first and last value are `early` and `late`.

    Attributes:
        first: first finite loss.
        start: where it began, the larger of the median of the first three and `early`: a training may learn much in its first steps.
        trough: lowest running median of as many losses as make `early`, and three at least.
        peak_after: highest running median after that.
        early: median of the first tenth of the finite losses, at least one and at most ten.
        highest: highest running median of three.
        middle: median of all.
        third: median of the quarter before the last.
        late: median of the last quarter.
        late_trough: lowest running median within the last quarter.
        late_low: what a tenth of the losses of the last quarter lie below.
        noise: deviation of the losses of the last quarter.
        uncertainty: standard error of the difference between the medians of the first and the last quarter, from that noise.
        early_steps: losses that make `early`.
        late_steps: losses that make `late`.
        fallen_p: significance of a fall over the whole run, from the Mann-Kendall test.
        falling_p: the same over the second half.
        steps: number of finite losses.
    """

    first: float
    start: float
    early: float
    trough: float
    peak_after: float
    highest: float
    middle: float
    third: float
    late: float
    late_trough: float
    late_low: float
    noise: float
    uncertainty: float
    early_steps: int
    late_steps: int
    fallen_p: float
    falling_p: float
    steps: int

    @property
    def moved(self) -> bool:
        """Whether the loss has come down by 5 per cent, beyond what chance does to noise."""
        return self.fallen_p < FALLING_P and self.early - self.late > MOVED_SHARE * abs(self.early)

    @property
    def moved_at_once(self) -> bool:
        """Whether the loss fell in its first steps, far and beyond its noise, and stands since: over the run there is no trend."""
        fall = self.early - self.late
        return fall > MOVED_AT_ONCE * abs(self.early) and fall > ABOVE_NOISE * self.noise

    @property
    def is_falling(self) -> bool:
        """Whether the loss still falls, beyond what chance does to noise, and by more than a trifle since the third quarter."""
        return self.falling_p < FALLING_P and self.third - self.late > FALLING_SHARE * abs(self.third)


def loss_course(run: Run) -> LossCourse | None:
    """Summarise the finite losses before a divergence, of all steps whatever else was kept of them; None where there are none."""
    end = RunView.of(run).once(divergence)
    steps, loss = run.every_loss
    loss = loss[np.isfinite(loss) & (steps < end.step if end is not None else True)].astype(float)
    if not loss.size:
        return None
    early = loss[: max(1, min(BASELINE_STEPS, loss.size // BASELINE_STEPS))]
    smooth = robust.median(np.lib.stride_tricks.sliding_window_view(loss, min(loss.size, max(len(early), 3))))
    quarter = max(1, int(loss.size * LATE_SHARE))
    third, late = loss[-2 * quarter : -quarter], loss[-quarter:]
    return LossCourse(
        first=float(loss[0]),
        start=float(max(robust.median(loss[:3]), robust.median(early))),
        early=float(robust.median(early)),
        trough=float(smooth.min()),
        peak_after=float(smooth[int(smooth.argmin()) :].max()),
        highest=float(robust.median(np.lib.stride_tricks.sliding_window_view(loss, min(loss.size, 3))).max()),
        middle=float(robust.median(loss)),
        third=float(robust.median(third if third.size else late)),
        late=float(robust.median(late)),
        late_trough=float(smooth[-max(1, min(quarter, smooth.size)) :].min()),
        late_low=float(np.quantile(late, 0.1)),
        noise=float(robust.spread(late)),
        uncertainty=float(MEDIAN_ERROR * np.hypot(robust.spread(loss[:quarter]), robust.spread(late)) / np.sqrt(quarter)),
        early_steps=len(early),
        late_steps=len(late),
        fallen_p=robust.significance_of_fall(loss),
        falling_p=robust.significance_of_fall(loss[loss.size // 2 :]),
        steps=int(loss.size),
    )


def chance_level(classes: int) -> float:
    """Cross-entropy of guessing among that many classes: ln C."""
    return float(np.log(max(classes, 1)))
