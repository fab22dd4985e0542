"""Weight decay: how hard it pulls, against the weight and against the gradient."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import robust
from bnprobe.analyse.views import RunView
from bnprobe.store.reader import Run

Array = NDArray[np.float64]

#: Optimizers that divide the decay by the size of past gradients, together with the gradient.
ADAPTIVE = ("Adam", "Adamax", "NAdam", "RAdam", "RMSprop", "Adagrad", "Adadelta")
#: Optimizers whose momentum gathers the decay as it gathers the gradient.
GATHERING = ("SGD",)


class Pull(NamedTuple):
    """The decay of one parameter.

    Attributes:
        decay: the setting.
        each_step: share of the weight that the decay alone takes in one step.
        against_gradient: decay times weight over the gradient, median of the measured steps.
        is_adapted: whether the optimizer divides it by the size of past gradients, so that `each_step` is not what it takes.
    """

    decay: float
    each_step: float
    against_gradient: float
    is_adapted: bool


def norms_held(run: Run, parameters: list[int]) -> Array:
    """Norms of some weights at every step, (S, n): where one was not measured, as another optimizer stepped, its last value holds.

    Before its first measurement the first value holds; NaN for a weight that was never measured.
    """
    view = RunView.of(run)
    norms = view.weight_norm[:, parameters].astype(float)
    rows = np.arange(len(norms))[:, None]
    known = np.isfinite(norms)
    last = np.maximum.accumulate(np.where(known, rows, -1), axis=0)
    first = np.where(known.any(axis=0), known.argmax(axis=0), 0)
    return np.take_along_axis(norms, np.where(last >= 0, last, first), axis=0)


def pull(run: Run, parameter: int, rows: NDArray[np.int64]) -> Pull:
    """Describe the decay of a parameter over some rows; NaN where its group is not known.

    A step takes lr wd w from a weight, and lr wd w / (1 - m) in the long run where momentum m gathers it (SGD).
    """
    view = RunView.of(run)
    group = run.parameters[parameter].group
    if group < 0 or group >= len(run.groups):
        return Pull(np.nan, np.nan, np.nan, False)
    optimizer = run.groups[group].partition("[")[0].partition("#")[0].split(" ")[0]
    rate, momentum, decay = (run[name][rows, group].astype(float) for name in ("learning_rate", "momentum", "weight_decay"))
    gathered = 1.0 / (1.0 - np.where(momentum < 1.0, momentum, 0.0)) if optimizer in GATHERING else 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        against = decay * view.weight_norm[rows, parameter] / view.parameter_gradient_norm[rows, parameter]
    known = against[np.isfinite(against)]  # a gradient of exactly zero is another fault's
    return Pull(
        decay=float(robust.median(decay)),
        each_step=float(robust.median(rate * decay * gathered)),
        against_gradient=float(np.median(known)) if known.size else float("nan"),
        is_adapted=optimizer in ADAPTIVE,
    )
