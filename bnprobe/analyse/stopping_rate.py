"""One number from one recording: the learning rate above which its training stops training.

A the training failed when a step undoes all that was gained. So each line probe says how far its update could have been followed until the
loss of its batch is back at that of the first probed step, or beyond it:

    s_back = smallest s > 0 with L(theta + s d) > max(L_first, L(theta))     between two evaluations: log r on a straight line over log s
    rate   = CONSTANT x median over the steps of (s_back x rate in use)

with one constant for each kind of training. What does not grow with the gradient (Adam, RMSprop) makes its longest steps at first and comes
back from them; what batch norm normalises answers a long step with longer weights, which shorten all later ones. Both let a training
survive steps that undo everything once.

The constants are medians over the calibration of ``tests/benchmarks/agreement.py``: 54 trainings of 60 steps, whose limits trials found, at
rates of up to a seven-thousandth of them. Rules with more constants fitted these no better once whole networks were left out, and a first
one that did fit its own 36 trainings failed on fresh ones; both are told, with what this one is worth, in docs/learning_rate_figures.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bnprobe.analyse.lines import Line, lines
from bnprobe.analyse.remedies import remedies_of
from bnprobe.analyse.stability import divergence
from bnprobe.analyse.tolerance import TAKEN
from bnprobe.analyse.views import RunView
from bnprobe.store.reader import Run

Kind = Literal["growing steps", "growing steps, batch norm", "adaptive steps", "adaptive steps, batch norm"]

#: Medians over the calibration's trainings of each kind: the limit that trials found, over what the line probes say.
CONSTANTS: dict[Kind, float] = {
    "growing steps": 1.0,
    "growing steps, batch norm": 1.6,
    "adaptive steps": 2.7,
    "adaptive steps, batch norm": 19.0,
}
#: Within this factor of the estimate, either way, lay the limit in nine of ten of the calibration's trainings, each left out in turn.
SPREAD = 4.3
#: What the estimate has been worth; docs/learning_rate_figures.md has the table.
WORTH = (
    "Of 13 trainings that this estimate had not seen, its interval reached the one that trials found in 13; "
    "its middle was within a factor of two of theirs in 4. It is withheld with a remedy, with attention and with residual sums."
)
#: Operations of residual sums, as the recorder names what made a layer's input.
_SUMS = ("add", "sum")
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

    None where nothing was probed, where more than one optimizer is at work, for optimizers of which the calibration says nothing, and where
    the estimate has been wrong: with a remedy, with attention, and with residual sums.
    """
    kind, lost = None if _remedies(run) or _is_withheld(run) else _kind(run), RunView.of(run).once(divergence)
    if kind is None or not run.steps:
        return None
    end = int(run["step"][-1]) + 1 if lost is None else lost.step
    probed = _lines_before(run, end)
    if not probed:
        return None
    first = probed[0].loss
    stands_for = np.diff([*(one.line.step for one in probed), end])
    rate = CONSTANTS[kind] * _median([one.back(first) for one in probed], stands_for.tolist())
    return StoppingRate(kind, rate, probed[-1].line.step, len(probed))


def _is_withheld(run: Run) -> bool:
    """Whether the network is of a kind for which the estimate has been off by factors of three and more."""
    has_sums = any(str(made).startswith(_SUMS) for made in RunView.of(run).layer_made_by)
    return has_sums or any(layer.kind == "attention" for layer in run.layers)


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


def _lines_before(run: Run, end: int) -> list[_Probed]:
    """The lines of updates as taken, up to a step, in the order of their steps."""
    view = RunView.of(run)
    found = []
    columns = (view.probe_step, view.probe_variant, view.probe_reason, view.probe_loss, view.probe_learning_rate)
    known = {
        int(step): (float(loss), float(rate))
        for step, variant, why, loss, rate in zip(*columns, strict=True)
        if variant == TAKEN and not why
    }
    rates = {int(step): float(np.nanmax(row)) for step, row in zip(view.step, view.learning_rate, strict=True) if np.isfinite(row).any()}
    for line in lines(run):
        if line.variant == TAKEN and line.step in known and line.step < end:
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


def _remedies(run: Run) -> set[str]:
    return {one.name for one in remedies_of(run)}


def _kind(run: Run) -> Kind | None:
    view = RunView.of(run)
    optimizers = {str(name) for name in view.probe_optimizer}
    if len(optimizers) != 1 or len({group.partition("[")[0] for group in run.groups}) > 1:
        return None
    has_batch_norm = any("BatchNorm" in layer.type for layer in run.layers)
    if optimizers <= set(_GROWING):
        return "growing steps, batch norm" if has_batch_norm else "growing steps"
    if optimizers <= set(_ADAPTIVE):
        return "adaptive steps, batch norm" if has_batch_norm else "adaptive steps"
    return None
