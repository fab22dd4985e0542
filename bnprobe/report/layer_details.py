"""What the panel of one layer shows beside its curves: histograms over its channels, the common mode of its kernels, its weight's gradient.

A run file holds no histogram of a whole activation: it holds mean and variance of every channel at snapshots, and that is what is counted.
The entries of a weight's gradient are counted by ``record --figures tails`` alone.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.views import RunView
from bnprobe.report.thinning import envelope

#: Bars of a histogram over channels.
BINS = 24
#: Snapshots of which histograms are kept, and numbers of all of them together: layers by snapshots by bars by two moments.
MOST_SNAPSHOTS = 16
MOST_NUMBERS = 250_000
#: Points of a kernel's curve.
MOST_POINTS = 300


def layer_details(run: RunView) -> dict[str, Any]:
    """Return what is known of each layer, JSON-ready.

    Returns:
        steps: of the snapshots whose histograms are here, (N,).
        layers: one entry a layer. ``histograms``: for each of those steps None, where its channels were not stored, or the ends of the
        bars as the signal, how many channels have their mean and their standard deviation in each, and how many have a moment that is not
        finite. ``kernels``: for each kernel larger than 1x1 its parameter, steps, worst slice mean over the rms, and rejection ratio
        (None: infinite). ``gradient``: None, or of each weight at the first measured step its parameter, step, rms, largest entry, and the
        entries in each of equally wide bars from minus to plus the largest. ``weights``: whether the layer has any. ``unmeasuredKernel``:
        whether it is a convolution whose kernel no snapshot measured.
    """
    rows = _rows(run)
    channel_layer = run.channel_layer
    own = [np.flatnonzero(channel_layer == layer) if len(run.snapshot) else np.zeros(0, dtype=int) for layer in range(len(run.layers))]
    mean, deviation = (np.zeros((0, 0)), np.zeros((0, 0)))
    if rows.size:
        mean, variance = run.channel_mean[rows].astype(float), run.channel_variance[rows].astype(float)
        with np.errstate(invalid="ignore"):
            deviation = np.sqrt(variance)
    gradients = _gradients(run)
    layers = []
    for layer, places in zip(run.layers, own, strict=True):
        parameters = [place for place, one in enumerate(run.parameters) if one.layer == layer.name]
        layers.append(
            {
                "histograms": [_histogram(mean[row, places], deviation[row, places]) for row in range(len(rows))] if places.size else [],
                "kernels": [found for place in parameters if (found := _kernel(run, place)) is not None],
                "gradient": [gradients[place] for place in parameters if place in gradients] or None,
                "weights": bool(parameters),
                "unmeasuredKernel": any(_is_kernel(run, place) and _kernel(run, place) is None for place in parameters),
            }
        )
    return {"steps": run.snapshot[rows].tolist(), "layers": layers}


def _rows(run: RunView) -> NDArray[np.int64]:
    """The snapshots that are shown: the first, the last, and some evenly between."""
    room = MOST_NUMBERS // max(1, 2 * BINS * len(run.layers))
    most = min(len(run.snapshot), max(2, min(MOST_SNAPSHOTS, room)))
    return np.unique(np.linspace(0, len(run.snapshot) - 1, most).astype(np.int64)) if most else np.zeros(0, dtype=np.int64)


def _histogram(mean: NDArray[np.float64], deviation: NDArray[np.float64]) -> dict[str, Any] | None:
    """Count channels by their mean and by their standard deviation, (C,) each, on one axis that holds zero; None where none was stored."""
    stored = ~np.isnan(mean) | ~np.isnan(deviation)
    if not stored.any():
        return None
    finite = np.isfinite(mean) & np.isfinite(deviation)
    mean, deviation = mean[finite], deviation[finite]
    low, high = float(min(mean.min(initial=0.0), 0.0)), float(max(mean.max(initial=0.0), deviation.max(initial=0.0)))
    high = high if high > low else low + 1.0
    if not np.isfinite(high - low):  # numbers whose difference no float holds
        return {"ends": [0.0, 1.0], "means": [], "deviations": [], "broken": int(stored.sum())}
    counts = [np.histogram(values, BINS, (low, high))[0].tolist() for values in (mean, deviation)]
    return {"ends": [_short(low), _short(high)], "means": counts[0], "deviations": counts[1], "broken": int((stored & ~finite).sum())}


def _kernel(run: RunView, parameter: int) -> dict[str, Any] | None:
    if not len(run.snapshot):
        return None
    slice_mean, ratio = run.kernel_slice_mean[:, parameter].astype(float), run.kernel_cmrr[:, parameter].astype(float)
    known = np.flatnonzero(np.isfinite(slice_mean))
    if not known.size:
        return None
    known = known[envelope(slice_mean[known], MOST_POINTS)]
    return {
        "name": run.parameters[parameter].name,
        "steps": run.snapshot[known].tolist(),
        "slice_mean": [_short(value) for value in slice_mean[known]],
        "cmrr": [_short(value) if np.isfinite(value) else None for value in ratio[known]],
    }


def _is_kernel(run: RunView, parameter: int) -> bool:
    """Whether a parameter is a kernel that is larger than one point."""
    shape = re.findall(r"\d+", run.parameters[parameter].shape)
    return len(shape) > 2 and any(int(size) > 1 for size in shape[2:])


def _gradients(run: RunView) -> dict[int, dict[str, Any]]:
    """The histogram of each weight's gradient at the first step at which it was taken, by parameter."""
    found: dict[int, dict[str, Any]] = {}
    for row, step in enumerate(run.figure.tolist()):
        of_step = run.bin_step == step
        for parameter in np.unique(run.bin_parameter[of_step]).tolist():
            if parameter in found or not 0 <= parameter < len(run.parameters):
                continue
            own = of_step & (run.bin_parameter == parameter)
            counts = run.bin_count[own][np.argsort(run.bin_place[own])]
            largest, rms = float(run.gradient_largest[row, parameter]), float(run.gradient_rms[row, parameter])
            if np.isfinite(largest) and largest > 0:
                name = run.parameters[parameter].name
                facts = {"name": name, "step": step, "rms": _short(rms), "largest": _short(largest)}
                found[parameter] = {**facts, "counts": counts.astype(int).tolist()}
    return found


def _short(value: float) -> float:
    """Four digits, which is more than a figure shows."""
    return float(f"{value:.4g}")
