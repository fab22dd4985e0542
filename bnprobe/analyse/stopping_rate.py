"""One number from one recording: the learning rate above which its training stops training.

A training is lost when a step undoes all that was gained. So each line probe says how far its update could have been followed until the
loss of its batch is back at that of the first probed step, or beyond it:

    s_back = smallest s > 0 with L(theta + s d) > max(L_first, L(theta))     between two evaluations: log r on a straight line over log s

and the estimate is a median over steps of s_back x rate, times a factor of the kind of training:

    plain               steps that grow with the gradient (SGD)      PLAIN x median of the first ten steps
    normalised          the same, with normalised layers             NORMALISED x median of all steps
    adaptive            steps that do not grow (Adam, RMSprop)       u / k x median of the first ten steps
    batch-normalised    the same, with batch norm                    BATCH_NORMALISED x u / k x median of all steps

A normalised layer answers a long step with longer weights, which shorten all later ones: its first steps are stricter than what follows.
Adam's first steps are its longest. The first moves a weight by u = rms(d_0) / rate: 1 for Adam; 1 / sqrt(1 - alpha) for RMSprop, which
does not correct for its start. Later ones, on gradients that change sign from batch to batch, move it by k = sqrt((1 - b1) / (1 + b1)),
the rms of a sum of noise with weights (1 - b1) b1^i; without a first moment k = 1, and sqrt(1 / (1 - b^2)) with RMSprop's own momentum b.
A rate at which the first step is u / k times too long makes later ones just short enough, and trainings do come back from such a start.

The form and the three constants come from the calibration of ``tests/benchmarks/agreement.py``: 36 trainings of 60 steps, whose limits
trials found, at rates a third to a thousandth of them. What the rule is worth on others: docs/learning_rate_limits.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bnprobe.analyse.lines import Line, lines
from bnprobe.analyse.stability import divergence
from bnprobe.analyse.tolerance import TAKEN
from bnprobe.store.reader import Run

Kind = Literal["plain", "normalised", "adaptive", "batch-normalised"]

#: Steps of an early median.
EARLY = 10
#: Medians over the calibration's trainings of each kind: the limit that trials found, over what the line probes say.
PLAIN, NORMALISED, BATCH_NORMALISED = 0.8, 1.6, 5.3
CONSTANTS: dict[Kind, float] = {"plain": PLAIN, "normalised": NORMALISED, "adaptive": 1.0, "batch-normalised": BATCH_NORMALISED}
#: Within this factor of the estimate, either way, lay the limit in nine of ten of the calibration's trainings, each left out in turn.
SPREAD = 2.6
#: What the estimate has been worth; docs/learning_rate_limits.md has the table.
WORTH = "Of the 36 trainings on which this estimate was made, the rate that trials found was within a factor of two of it in 29."
#: What the calibration holds, and no other.
_GROWING, _ADAPTIVE = ("SGD",), ("Adam", "AdamW", "RMSprop")


@dataclass(frozen=True)
class StoppingRate:
    """The rate above which a training stops training, as one recording tells it.

    Attributes:
        kind: of training, which decides the formula.
        rate: the estimate; infinite where no update could be followed so far that it undid what was gained.
        step: the last step that it rests on.
        steps: number of probed steps that it rests on.
    """

    kind: Kind
    rate: float
    step: int
    steps: int

    @property
    def interval(self) -> tuple[float, float]:
        """What the calibration's errors allow."""
        return self.rate / SPREAD, self.rate * SPREAD


def stopping_rate(run: Run) -> StoppingRate | None:
    """Estimate the rate above which a recorded training stops training.

    None where nothing was probed, where more than one optimizer is at work, and for optimizers and remedies of which the calibration says
    nothing.
    """
    kind = _kind(run)
    probed = _sound_lines(run)
    if kind is None or not probed:
        return None
    first = probed[0].loss
    window = run.steps if kind in ("normalised", "batch-normalised") else probed[0].line.step + EARLY
    used = [one for one in probed if one.line.step < window]
    ends = [one.line.step for one in used[1:]] + [window]
    weights = [end - one.line.step for one, end in zip(used, ends, strict=True)]
    middle = _median([one.back(first) for one in used], weights)
    lift = _lift(run) if kind in ("adaptive", "batch-normalised") else 1.0
    rate = CONSTANTS[kind] * lift * middle
    return None if math.isnan(rate) else StoppingRate(kind, rate, used[-1].line.step, len(used))


@dataclass(frozen=True)
class _Probed:
    """A line as it was taken, with the loss that it began with and the rate that it was taken at."""

    line: Line
    loss: float
    rate: float

    def back(self, first: float) -> float:
        """The rate at which the loss would have been back at a level, or above its own."""
        ratio = 1.0 + max(first - self.loss, 0.0) / abs(self.loss)
        return self.rate * _crossing(self.line, ratio)


def _crossing(line: Line, ratio: float) -> float:
    """Return the smallest s at which a line exceeds a ratio; infinite where it does not."""
    beyond = np.flatnonzero(~(line.ratio <= ratio))
    if not beyond.size:
        return math.inf
    place = int(beyond[0])
    high = float(line.s[place])
    low = float(line.s[place - 1]) if place else 0.0
    if low <= 0.0:
        return high
    below, above = float(line.ratio[place - 1]), float(line.ratio[place])
    if not (below > 0.0 and math.isfinite(above)):
        return math.sqrt(low * high)
    part = math.log(ratio / below) / math.log(above / below)
    return math.exp(math.log(low) + part * math.log(high / low))


def _sound_lines(run: Run) -> list[_Probed]:
    """The lines of updates as taken, up to where the loss was lost, in the order of their steps."""
    lost = divergence(run)
    found = []
    columns = (run[f"probe_{name}"] for name in ("step", "variant", "reason", "loss", "learning_rate"))
    known = {
        int(step): (float(loss), float(rate))
        for step, variant, why, loss, rate in zip(*columns, strict=True)
        if variant == TAKEN and not why
    }
    rates = {
        int(step): float(np.nanmax(row)) for step, row in zip(run["step"], run["learning_rate"], strict=True) if np.isfinite(row).any()
    }
    for line in lines(run):
        if line.variant == TAKEN and line.step in known and (lost is None or line.step < lost.step):
            loss, rate = known[line.step]
            found.append(_Probed(line, loss, rates.get(line.step, rate)))
    return sorted((one for one in found if one.loss and math.isfinite(one.loss)), key=lambda one: one.line.step)


def _median(values: list[float], weights: list[int]) -> float:
    """Median of values that stand for different numbers of steps; the geometric middle where it falls between two."""
    order = sorted(range(len(values)), key=values.__getitem__)
    reached = np.cumsum([weights[place] for place in order])
    half = reached[-1] / 2
    low = values[order[int(np.searchsorted(reached, half, side="left"))]]
    high = values[order[int(np.searchsorted(reached, half, side="right"))]]
    return math.sqrt(low * high) if math.isfinite(high) else low


def _kind(run: Run) -> Kind | None:
    optimizers = {str(name) for name in run["probe_optimizer"]}
    if len(optimizers) != 1 or len({group.partition("[")[0] for group in run.groups}) > 1:
        return None
    if optimizers <= set(_GROWING):
        return "normalised" if any(layer.kind == "normalisation" for layer in run.layers) else "plain"
    if not optimizers <= set(_ADAPTIVE):
        return None
    return "batch-normalised" if any(layer.type.startswith("BatchNorm") for layer in run.layers) else "adaptive"


def _lift(run: Run) -> float:
    """Return u / k, by how much an adaptive optimizer's first step is longer than its later ones; NaN where it was not measured."""
    rows = np.flatnonzero(np.isfinite(run["update_norm"]).any(axis=1) & (np.nan_to_num(run["learning_rate"]).max(axis=1) > 0))
    if not rows.size:
        return math.nan
    row = rows[0]
    groups = np.array([parameter.group for parameter in run.parameters])
    sizes = np.array([parameter.size for parameter in run.parameters], dtype=float)
    moved = run["update_norm"][row].astype(float) / run["learning_rate"][row][groups]
    known = np.isfinite(moved)
    first = math.sqrt(float((moved[known] ** 2).sum() / sizes[known].sum()))
    momentum = float(np.nanmax(run["momentum"][row])) if np.isfinite(run["momentum"][row]).any() else 0.0
    sums = "RMSprop" in {str(name) for name in run["probe_optimizer"]}
    later = math.sqrt(1 / (1 - momentum**2)) if sums else math.sqrt((1 - momentum) / (1 + momentum))
    return max(first / later, 1.0)
