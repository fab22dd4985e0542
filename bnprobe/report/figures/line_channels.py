"""Every channel of a layer while one update is applied, from 0 per cent of it to beyond its end: where in it the signal diverges.

Bjorck et al. 2018 (arXiv 1806.02375), Fig 4, with channels downwards and the share of the step to the right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.lines import Line, lines
from bnprobe.analyse.tolerance import TAKEN, closest, select
from bnprobe.analyse.views import RunView
from bnprobe.divergence import DIVERGENCE_RATIO
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.figures.channels import MOST_CHANNELS, ChannelView, Moment
from bnprobe.store.reader import Run


def channel_line(analysed: AnalysedRun) -> Line | None:
    """Return the line, of an update as it was taken, to look into: that of the worst step of those whose channels were measured.

    Steps after training diverged count only where there are no others.
    """
    measured = {line.step: line for line in lines(analysed.run) if line.variant == TAKEN and _measured(analysed.run, line).any()}
    diverged = analysed.divergence.step if analysed.divergence is not None else None
    taken = [one for one in select(analysed.tolerances, "rises") if one.step in measured]
    worst = closest(select(taken, "rises", before=diverged)) or closest(taken)
    return measured[worst.step].until(DIVERGENCE_RATIO) if worst is not None else None


def line_channel_view(analysed: AnalysedRun, line: Line, layer: str, moment: Moment) -> ChannelView | None:
    """Select what is drawn of a layer: its largest channels at the points of a line up to where training diverges."""
    run = analysed.run
    index = next((i for i, one in enumerate(run.layers) if one.name == layer), None)
    if index is None or (place := run.channel_slice(index)).stop <= place.start:
        return None
    mean, variance = (moments[line.points, place].astype(float) for moments in (run.probe_channel_mean, run.probe_channel_variance))
    values = mean if moment == "mean" else variance
    stored = ~(np.isnan(mean) & np.isnan(variance))  # both moments of a channel or neither, so a NaN beside a number was computed
    if not stored.any():
        return None
    broken = stored & ~np.isfinite(values)
    size = np.where(broken, np.inf, np.nan_to_num(np.abs(values))).max(axis=0)
    kept = np.sort(np.argsort(-size, kind="stable")[:MOST_CHANNELS])
    shares = np.array([_per_cent(s) for s in line.s])
    left_out = len(size) - len(kept)
    return ChannelView(
        shares, run.channel[place][kept], values[:, kept].T, broken[:, kept].T, left_out, "per cent of the step applied", "%"
    )


def _measured(run: Run, line: Line) -> NDArray[np.bool_]:
    view = RunView.of(run)
    mean = view.probe_channel_mean[line.points]
    return np.asarray(~np.isnan(mean)) if mean.ndim == 2 else np.zeros(0, dtype=bool)


def _per_cent(s: float) -> str:
    """Write a share of a step in per cent.

    >>> _per_cent(0.5946), _per_cent(1.0), _per_cent(128.0), _per_cent(2.0**-15)
    ('59', '100', '12800', '0.0031')
    """
    return f"{100 * s:.0f}" if s >= 0.1 or s == 0 else f"{100 * s:.2g}"
