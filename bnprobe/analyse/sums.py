"""Losses that are sums over as many samples as a step happens to have, as over the moves of an episode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.views import RunView

#: Steps with a known number of samples and a positive loss, at least.
_LEAST_STEPS = 40
#: Upper quartile of the numbers of samples over the lower one: a last batch that is smaller, or a padding, changes neither.
_UNEVEN = 1.3
#: Rank correlation of loss and number of samples, and the power of the number that the loss goes with: 1 of a sum, 0 of a mean.
_GOES_WITH = 0.5
_POWER = 0.5


def sums_over_uneven_steps(run: RunView) -> bool:
    """Whether the number of samples differs widely from step to step, and the loss goes with it: it then says little of the weights.

    Of each half of the run the correlation is asked for: a number and a loss that both drift correlate over the whole of it.

    Args:
        run: a recording.
    """
    loss, rows = run.loss.astype(float), run["loss_rows"].astype(float)
    known = np.flatnonzero(np.isfinite(loss) & (loss > 0) & (rows > 0))
    if known.size < _LEAST_STEPS:
        return False
    return all(_goes_with(np.log(rows[half]), np.log(loss[half])) for half in np.array_split(known, 2))


def _goes_with(number: NDArray[np.float64], loss: NDArray[np.float64]) -> bool:
    low, high = np.quantile(number, [0.25, 0.75])
    if not high - low >= np.log(_UNEVEN) or not loss.std() > 0:
        return False
    correlation = _slope(_ranks(number), _ranks(loss))  # of ranks the slope is their correlation
    return correlation >= _GOES_WITH and _slope(number, loss) >= _POWER


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.argsort(np.argsort(values)).astype(float)


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float(np.polyfit(x, y, 1)[0])
