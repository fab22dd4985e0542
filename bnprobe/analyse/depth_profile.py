"""Size against depth: growth of a signal from layer to layer.

A level says little (a loss scaled by ten scales every gradient by ten); the slope of the size over depth is what compounds. In
a residual network without normalisation the activations of a deep layer are orders of magnitude above those of the first one
already before the first update (Bjorck et al. 2018, arXiv 1806.02375, Figure 5). Profiles at initialisation follow Brock, De,
Smith 2021 (arXiv 2101.08692).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse import robust
from bnprobe.analyse.layers import profile_layers
from bnprobe.analyse.views import RunView, Signal
from bnprobe.store.reader import Run

Array = NDArray[np.float64]


def log10(values: NDArray[np.floating]) -> Array:
    """Decimal logarithm: -inf for an exact zero, inf for an infinite value, NaN for a gap."""
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Array = np.log10(np.asarray(values, dtype=float))
    return result


def log10_rms(run: Run, signal: Signal = "activation") -> Array:
    """log10 of the root mean square, (S, L), decades. A layer whose output is exactly zero is at -inf."""
    view = RunView.of(run)
    return log10(view.signal(signal).rms)


def growth_along_depth(run: Run, signal: Signal = "activation", model: int | None = None) -> Array:
    """Growth from layer to layer at every step, (S,), decades per layer of one kind; positive: larger towards the output.

    Theil-Sen slope of log10 rms over the layers that `profile_layers` chooses, counted along depth.

    Args:
        run: the recording.
        signal: which signal.
        model: root module; the largest one by default.
    """
    return slope_of(log10_rms(run, signal), profile_layers(run, model))


def slope_of(values: Array, layers: NDArray[np.int64]) -> Array:
    """Theil-Sen slope over the given layers, counted 0, 1, 2, ..., at every step: (S, L) to (S,)."""
    return robust.slopes(np.arange(len(layers), dtype=float), values[:, layers])


@dataclass(frozen=True)
class Span:
    """The two ends of a depth profile at one step.

    Attributes:
        step: row of the profile.
        slope: decades per layer.
        decades: slope times the number of layers between the ends: the growth over the whole depth.
        first: index of the first layer of the profile.
        last: index of its last layer.
        first_rms: size at the first layer.
        last_rms: size at the last layer.
    """

    step: int
    slope: float
    decades: float
    first: int
    last: int
    first_rms: float
    last_rms: float


def span(run: Run, row: int, signal: Signal = "activation", model: int | None = None) -> Span | None:
    """Describe the profile of one step (a row of the step axis); None where fewer than three of its layers were observed."""
    view = RunView.of(run)
    layers = view.once(profile_layers) if model is None else profile_layers(run, model)
    if row < 0 or row >= run.steps or len(layers) < 3:
        return None
    rms = np.asarray(view.signal(signal).rms[row], dtype=float)
    decades = log10(rms[None, :])
    seen = layers[np.isfinite(decades[0, layers])]
    if len(seen) < 3:
        return None
    slope = float(slope_of(decades, layers)[0])
    between = int(np.flatnonzero(layers == seen[-1])[0] - np.flatnonzero(layers == seen[0])[0])
    first, last = int(seen[0]), int(seen[-1])
    return Span(row, slope, slope * between, first, last, float(rms[first]), float(rms[last]))
