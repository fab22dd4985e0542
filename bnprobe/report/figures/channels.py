"""Channel by snapshot for one layer: mean (signed) or variance of every channel around the moment.

As in Figure 4 of Bjorck et al. 2018 (arXiv 1806.02375), where a few channels carry the whole explosion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from bnprobe.analyse.views import RunView
from bnprobe.report.analysed import AnalysedRun
from bnprobe.report.colours import DIVERGING, SEQUENTIAL
from bnprobe.report.figures.frame import AXIS, new_figure
from bnprobe.report.figures.hatching import draw_nonfinite
from bnprobe.report.figures.scales import BAR, decades, shown_value
from bnprobe.report.names import Labels
from bnprobe.report.quantities import signal_nonfinite
from bnprobe.store.reader import Run

Moment = Literal["mean", "variance"]

#: Layers offered for choice; snapshots and channels drawn of one.
MOST_LAYERS = 7
MOST_SNAPSHOTS = 32
MOST_CHANNELS = 256
#: Decades below the largest variance that are told apart.
DEEPEST = 12.0


@dataclass(frozen=True)
class ChannelView:
    """Channels of one layer over some snapshots, or over other columns.

    Attributes:
        steps: step of each snapshot, or what else labels a column, (T,).
        channels: index of each channel in its layer, (C,).
        values: mean or variance, (C, T); NaN where not observed.
        nonfinite: where a value was observed but is not finite, (C, T).
        left_out: channels of the layer that are not drawn: those with the smallest values.
        columns: what the columns are.
        unit: what stands with a column's label.
    """

    steps: NDArray[Any]
    channels: NDArray[np.int64]
    values: NDArray[np.float64]
    nonfinite: NDArray[np.bool_]
    left_out: int
    columns: str = "step of the snapshot"
    unit: str = "step"


def channel_layers(analysed: AnalysedRun) -> list[str]:
    """Choose layers to look into, by name: the first to deviate from its baseline, then some evenly spaced over depth."""
    run = analysed.run
    recorded = np.unique(run.channel_layer) if len(run.snapshot) else np.zeros(0, dtype=int)
    seen = [layer for layer in recorded.tolist() if 0 <= layer < len(run.layers)]
    if not seen:
        return []
    first = [analysed.deviations[0].layer] if analysed.deviations and analysed.deviations[0].layer in seen else []
    even = [seen[i] for i in np.linspace(0, len(seen) - 1, min(MOST_LAYERS - 1, len(seen))).astype(int)]
    return [run.layers[layer].name for layer in dict.fromkeys([*first, *even])]


def channel_view(analysed: AnalysedRun, layer: str, moment: Moment) -> ChannelView | None:
    """Select what is drawn of a layer: the snapshots up to shortly after the divergence, and its largest channels."""
    run = analysed.run
    index = next((i for i, one in enumerate(run.layers) if one.name == layer), None)
    if index is None or (place := run.channel_slice(index)).stop <= place.start:
        return None
    values = (run.channel_mean if moment == "mean" else run.channel_variance)[:, place].astype(float)
    broken = _broken(run, index, place) & ~np.isfinite(values)
    seen = np.flatnonzero((np.isfinite(values) | broken).any(axis=1))
    if analysed.divergence is not None:
        seen = seen[: int(np.searchsorted(run.snapshot[seen], analysed.divergence.step, side="right")) + 2]
    seen = seen[-MOST_SNAPSHOTS:]
    size = np.where(broken[seen], np.inf, np.nan_to_num(np.abs(values[seen]))).max(axis=0, initial=0.0)
    kept = np.sort(np.argsort(-size, kind="stable")[:MOST_CHANNELS])
    shown = np.ix_(seen, kept)
    return ChannelView(run.snapshot[seen], run.channel[place][kept], values[shown].T, broken[shown].T, len(size) - len(kept))


def _broken(run: Run, layer: int, place: slice) -> NDArray[np.bool_]:
    """Where a channel was stored without a finite value, (snapshots, channels).

    A snapshot holds both moments of a channel or neither, so a NaN beside a number was computed; and where the layer was not finite at that
    step, so were the channels that show nothing.
    """
    view = RunView.of(run)
    mean, variance = view.channel_mean[:, place], view.channel_variance[:, place]
    computed = np.isfinite(mean) | np.isfinite(variance) | np.isinf(mean) | np.isinf(variance)
    nonfinite = np.isin(view.snapshot, view.step[signal_nonfinite(run, "activation")[:, layer]])
    broken: NDArray[np.bool_] = computed | nonfinite[:, None]
    return broken


@dataclass(frozen=True)
class ChannelScale:
    """The colour scale that the same layer of several runs shares.

    Means are drawn as asinh(m / 2u) / ln 10, which is linear below the unit u and counts decades above it, with the sign kept; variances as
    decimal logarithms.
    """

    moment: Moment
    low: float
    high: float
    unit: float

    def position(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the place of values on the scale."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if self.moment == "mean":
                return np.asarray(np.arcsinh(values / (2 * self.unit)) / np.log(10))
            return np.asarray(np.maximum(np.log10(values), self.low))

    def ticks(self) -> tuple[list[float], list[str]]:
        """Return places and labels for the colour bar."""
        if self.moment == "variance":
            return decades(self.low, self.high)
        lowest, highest = int(np.ceil(np.log10(self.unit))), int(np.floor(np.log10(self.largest)))
        powers = [10.0**power for power in range(highest, lowest - 1, -max(1, -(-(highest - lowest + 1) // 3)))]
        values = [*(-power for power in powers), 0.0, *reversed(powers)]
        return self.position(np.array(values)).tolist(), [shown_value(value) for value in values]

    @property
    def largest(self) -> float:
        """The value at the upper end, for means."""
        return float(2 * self.unit * np.sinh(self.high * np.log(10)))


def channel_scale(views: Sequence[ChannelView], moment: Moment) -> ChannelScale:
    """Fit one colour scale to the same layer of every run."""
    values = np.concatenate([np.zeros(0), *(view.values[np.isfinite(view.values)] for view in views)])
    if moment == "variance":
        logs = np.log10(values[values > 0])
        high = float(logs.max()) if logs.size else 0.0
        low = max(float(logs.min()), high - DEEPEST) if logs.size else -1.0
        return ChannelScale(moment, min(low, high - 1), high, 1.0)
    largest = float(np.abs(values).max(initial=0.0)) or 1.0
    # What is ordinary before the trouble begins: the typical size in the earliest snapshot of any run.
    earliest = [np.abs(view.values[:, :1][np.isfinite(view.values[:, :1])]) for view in views]
    typical = [float(np.median(sizes)) for sizes in earliest if sizes.any()]
    unit = min(max(min(typical, default=largest / 10), largest / 10**DEEPEST), largest / 10)
    reach = float(np.arcsinh(largest / (2 * unit)) / np.log(10))
    return ChannelScale(moment, -reach, reach, unit)


def channels(view: ChannelView, scale: ChannelScale) -> go.Figure:
    """Draw one moment of every channel of a layer, snapshot by snapshot; columns are equally wide, whatever lies between them."""
    ticks, names = scale.ticks()
    rows = {"range": [len(view.channels) - 0.5, -0.5], **_spaced(view.channels, 9)}
    layout = {
        "xaxis": {**AXIS, "title_text": view.columns, "showgrid": False, **_spaced(view.steps, 8 if view.unit == "step" else 11)},
        "yaxis": {**AXIS, "title_text": "channel", "showgrid": False, **rows},
        "margin": {"t": 44, "r": 96},
        "showlegend": bool(view.nonfinite.any()),
    }
    figure = new_figure(360, layout)
    shown = Labels.of([shown_value(value) for value in view.values.ravel().tolist()]).reshape(view.values.shape)
    figure.add_heatmap(
        z=np.where(view.nonfinite, np.nan, scale.position(view.values)).astype("f4"),
        text=shown,
        customdata=np.broadcast_to(view.steps[None, :], view.values.shape),
        zmin=scale.low,
        zmax=scale.high,
        colorscale=DIVERGING if scale.moment == "mean" else SEQUENTIAL,
        colorbar={**BAR, "tickvals": ticks, "ticktext": names, "title": _title(scale.moment)},
        hoverongaps=False,
        hovertemplate=f"channel %{{y}}<br>{_labelled(view)}<br>%{{text}}<extra></extra>",
    )
    if view.nonfinite.any():
        draw_nonfinite(figure, np.arange(len(view.steps) + 1) - 0.5, view.nonfinite)
    return figure


def _title(moment: Moment) -> dict[str, Any]:
    return {"text": "mean, as the signal" if moment == "mean" else "variance, its square", "side": "right", "font_size": 11}


def _labelled(view: ChannelView) -> str:
    return "step %{customdata}" if view.unit == "step" else f"%{{customdata}} {view.unit}"


def _spaced(labels: NDArray[Any], most: int) -> dict[str, Any]:
    """Ticks at every n-th place."""
    places = list(range(0, len(labels), max(1, -(-len(labels) // most))))
    return {"tickvals": places, "ticktext": [str(labels[place]) for place in places]}
