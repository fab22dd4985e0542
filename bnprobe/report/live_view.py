"""A run that goes on, as lines for a terminal: the loss, the rate, sizes along depth, the layers that moved furthest, the findings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.depth_profile import log10, log10_rms
from bnprobe.analyse.layers import profile_layers
from bnprobe.analyse.views import RunView
from bnprobe.diagnose import Diagnosis, Finding
from bnprobe.diagnose.text import printable
from bnprobe.report.wording import ending, number
from bnprobe.store.reader import Run

#: Layers along depth, and layers that have moved furthest, that are shown.
STAGES, WORST = 6, 3
BARS = "▁▂▃▄▅▆▇█"
#: What is not finite.
BROKEN = "×"

Array = NDArray[np.float64]


def live_view(diagnosis: Diagnosis, width: int = 100) -> list[str]:
    """Return the lines.

    Args:
        diagnosis: of the run as it stands.
        width: columns of the terminal.
    """
    run = diagnosis.recorded
    lines = [_head(run), ""]
    if not run.steps:
        return [printable(line)[:width] for line in (*lines, "no step has been written yet")]
    room = max(width - 60, 12)
    lines += _over_steps(run, room)
    lines += _along_depth(run, room)
    lines += ["", *(finding_line(finding) for finding in told(diagnosis))]
    return [printable(line)[:width] for line in lines]


def told(diagnosis: Diagnosis) -> list[Finding]:
    """Return the findings that a person should hear of while the run goes on."""
    return [finding for finding in diagnosis if finding.severity != "info" and not finding.is_candidate]


def finding_line(finding: Finding) -> str:
    """Say a finding in one line."""
    where = f" in {finding.layers[0]}" if finding.layers else ""
    when = f" from step {finding.step}" if finding.step is not None else ""
    return f"{finding.severity}: {finding.id}{where}{when}: {finding.cause}"


def sparkline(values: Array, columns: int) -> str:
    """Draw a series as bars, its largest and smallest finite value as the ends; the largest of each column counts.

    What is not finite shows as a cross, what was not observed as a space.

    >>> sparkline(np.array([0.0, 1.0, 2.0, 7.0, np.inf]), 10)
    '▁▂▃█×'
    """
    groups = np.array_split(values, min(columns, len(values))) if len(values) else []
    heights = np.array([_height(group) for group in groups])
    finite = heights[np.isfinite(heights)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        BARS[round((height - low) * scale)] if np.isfinite(height) else " " if np.isnan(height) else BROKEN for height in heights
    )


def _height(group: Array) -> float:
    if np.isinf(group).any():
        return np.inf
    known = group[~np.isnan(group)]
    return float(known.max()) if known.size else np.nan


def _head(run: Run) -> str:
    script = str(run.attributes.get("command") or run.attributes.get("script") or "")
    return f"{run.name} · {script} · {ending(run)}" if script else f"{run.name} · {ending(run)}"


def _over_steps(run: RunView, room: int) -> list[str]:
    """One line each: what it is now, and its way here."""
    rate = run.learning_rate[:, 0] if run.learning_rate.shape[1] else np.full(run.steps, np.nan)
    norms = run.parameter_gradient_norm.astype(float)
    norm = np.sqrt(np.where(np.isnan(norms).all(axis=1), np.nan, np.nansum(norms**2, axis=1)))
    seconds = run.step_seconds[-20:]
    pace = 1 / np.nanmean(seconds) if np.isfinite(seconds).any() and np.nanmean(seconds) > 0 else np.nan
    lines = [f"step {run.step[-1]:,}" + (f", {number(float(pace))} steps/s" if np.isfinite(pace) else "")]
    for name, values in (("loss", run.loss), ("learning rate", rate), ("gradient norm", norm)):
        drawn = _shown(values)
        lines.append(f"  {name:<22}{_ends(values):<26}{sparkline(drawn, room)}")
    return lines


def _along_depth(run: RunView, room: int) -> list[str]:
    rows = np.flatnonzero(run.observed())
    if not rows.size or not run.layers:
        return []
    size = log10_rms(run)
    layers = profile_layers(run)
    chosen = layers[np.unique(np.linspace(0, len(layers) - 1, min(STAGES, len(layers))).astype(int))] if len(layers) else layers
    lines = [f"activation rms along depth, step {run.step[rows[-1]]:,}"]
    lines += [_layer_line(run, int(layer), size, room) for layer in chosen]
    moved = _moved(size[rows])
    worst = [int(layer) for layer in np.argsort(-moved)[:WORST] if moved[layer] > 0.5]
    if worst:
        lines += ["furthest from where they began", *(_layer_line(run, layer, size, room) for layer in worst)]
    return lines


def _layer_line(run: RunView, layer: int, size: Array, room: int) -> str:
    return f"  {_short(run.layers[layer].name):<22}{_ends(run.activation.rms[:, layer]):<26}{sparkline(_known(size[:, layer]), room)}"


def _short(name: str, longest: int = 21) -> str:
    return name if len(name) <= longest else f"…{name[1 - longest :]}"


def _moved(size: Array) -> Array:
    """Decades between a layer's first size and its last; infinite where it is no longer finite."""
    moved = np.zeros(size.shape[1])
    for layer in range(size.shape[1]):
        known = size[~np.isnan(size[:, layer]), layer]
        if len(known) > 1:
            moved[layer] = abs(known[-1] - known[0]) if np.isfinite(known[[0, -1]]).all() else np.inf if np.isposinf(known[-1]) else 0.0
    return moved


def _shown(values: Array) -> Array:
    """A series as it is drawn: by its decades where it spans more than two of them."""
    known = _known(values)
    finite = known[np.isfinite(known)]
    wide = finite.size > 0 and finite.min() > 0 and finite.max() > 100 * finite.min()
    return log10(known) if wide else known


def _known(values: Array) -> Array:
    """The part of a series that was observed: a step that was not measured takes no room."""
    values = np.asarray(values, dtype=float)
    return values[~np.isnan(values)]


def _ends(values: Array) -> str:
    """First and last value."""
    known = _known(values).tolist()
    return f"{number(known[0])} → {number(known[-1])}" if known else "not observed"
