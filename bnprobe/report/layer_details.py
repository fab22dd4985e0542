"""What the panel of one layer shows beside its curves: histograms over its channels, the common mode of its kernels, its weight's gradient.

A run file holds no histogram of a whole activation: it holds mean and variance of every channel at snapshots, and that is what is counted.
The entries of a weight's gradient are counted by ``record --figures tails`` alone.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.layers import counted
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
        count: of layers, as a person counts them.
        layers: one entry a layer. ``histograms``: for each of those steps None, where its channels were not stored, or the ends of the
        bars as the signal, how many channels have their mean and their standard deviation in each, and how many have a moment that is not
        finite. ``kernels``: for each kernel larger than 1x1 its parameter, steps, worst slice mean over the rms, and rejection ratio
        (None: infinite). ``gradient``: None, or of each weight at the first measured step its parameter, step, rms, largest entry, and the
        entries in each of equally wide bars from minus to plus the largest. ``weights``: whether the layer has any. ``unmeasuredKernel``:
        whether it is a convolution whose kernel no snapshot measured.
    """
    rows = _rows(run)
    has_channels = np.isin(np.arange(len(run.layers)), run.channel_layer)
    histograms = [_histograms(run, int(row)) for row in rows]
    gradients = _gradients(run)
    kernels = {place: found for place in range(len(run.parameters)) if (found := _kernel(run, place)) is not None}
    owned: dict[str, list[int]] = {}
    for place, parameter in enumerate(run.parameters):
        owned.setdefault(parameter.layer, []).append(place)
    layers = []
    for index, layer in enumerate(run.layers):
        parameters = owned.get(layer.name, [])
        layers.append(
            {
                "histograms": [of_layers[index] for of_layers in histograms] if has_channels[index] else [],
                "kernels": [kernels[place] for place in parameters if place in kernels],
                "gradient": [gradients[place] for place in parameters if place in gradients] or None,
                "weights": bool(parameters),
                "unmeasuredKernel": any(_is_kernel(run, place) and place not in kernels for place in parameters),
            }
        )
    return {"steps": run.snapshot[rows].tolist(), "count": len(counted(run)), "layers": layers}


def _rows(run: RunView) -> NDArray[np.int64]:
    """The snapshots that are shown: the first, the last, and some evenly between."""
    room = MOST_NUMBERS // max(1, 2 * BINS * len(run.layers))
    most = min(len(run.snapshot), max(2, min(MOST_SNAPSHOTS, room)))
    return np.unique(np.linspace(0, len(run.snapshot) - 1, most).astype(np.int64)) if most else np.zeros(0, dtype=np.int64)


def _histograms(run: RunView, row: int) -> list[dict[str, Any] | None]:
    """Count the channels of each layer by their mean and by their standard deviation, on one axis that holds zero; None without any."""
    owner, layers = run.channel_layer, len(run.layers)
    mean = run.channel_mean[row].astype(float)
    with np.errstate(invalid="ignore"):
        deviation = np.sqrt(run.channel_variance[row].astype(float))
    known = (owner >= 0) & (owner < layers)
    stored = known & (~np.isnan(mean) | ~np.isnan(deviation))
    finite = known & np.isfinite(mean) & np.isfinite(deviation)
    ends = np.zeros((layers, 2))
    np.minimum.at(ends[:, 0], owner[finite], mean[finite])
    np.maximum.at(ends[:, 1], owner[finite], np.maximum(mean, deviation)[finite])
    ends[ends[:, 1] <= ends[:, 0], 1] += 1.0
    with np.errstate(over="ignore"):
        is_measurable = np.isfinite(ends[:, 1] - ends[:, 0])  # not of numbers whose difference no float holds
    counted = finite.copy()
    counted[finite] = is_measurable[owner[finite]]
    counts = [_counts(values[counted], owner[counted], ends) for values in (mean, deviation)]
    seen, lacking = (np.bincount(owner[chosen], minlength=layers) for chosen in (stored, stored & ~finite))
    found: list[dict[str, Any] | None] = []
    for layer, (low, high) in enumerate(ends.tolist()):
        if not seen[layer]:
            found.append(None)
        elif not is_measurable[layer]:
            found.append({"ends": [0.0, 1.0], "means": [], "deviations": [], "broken": int(seen[layer])})
        else:
            bars = {name: of_layers[layer].tolist() for name, of_layers in zip(("means", "deviations"), counts, strict=True)}
            found.append({"ends": [_short(low), _short(high)], **bars, "broken": int(lacking[layer])})
    return found


def _counts(values: NDArray[np.float64], owner: NDArray[np.int64], ends: NDArray[np.float64]) -> NDArray[np.int64]:
    """What ``numpy.histogram`` gives for the values of each owner between its ends, (owners, BINS): thousands of calls of it take long."""
    with np.errstate(over="ignore", invalid="ignore"):
        edges = np.linspace(ends[:, 0], ends[:, 1], BINS + 1, axis=-1)
    low, high = ends[owner].T
    place = np.minimum((BINS * ((values - low) / (high - low))).astype(np.int64), BINS - 1)
    # Rounding may have put a value that is close to an edge on the other side of it.
    place -= values < edges[owner, place]
    place += (values >= edges[owner, place + 1]) & (place < BINS - 1)
    return np.bincount(owner * BINS + place, minlength=BINS * len(ends)).reshape(-1, BINS)


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
