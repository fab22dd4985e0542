"""Every channel of every layer at each point of a line probe: what one update does to the signals, and where it begins.

Bjorck, Gomes, Selman, Weinberger 2018, "Understanding Batch Normalization", arXiv 1806.02375, Fig 4: channel means and variances during one
diverging update.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from bnprobe.measure.layout import Layout
from bnprobe.measure.moments import Moments, moments
from bnprobe.measure.transfer import Transfer
from bnprobe.observe.axes.axes import Axes
from bnprobe.observe.axes.channel_row import ChannelRow
from bnprobe.observe.signals.records import Tap, renumbered


class Signal(NamedTuple):
    """A signal that the forward taps measured, and how to measure it again."""

    tap: Tap
    layout: Layout


class Signals:
    """The signals of one evaluation."""

    def __init__(self) -> None:
        self._taps: list[Tap] = []

    def take(self, signal: Signal, value: torch.Tensor) -> None:
        """Measure a signal as it is at another point of the line."""
        self._taps.append(signal.tap._replace(moments=moments(value, signal.layout)))

    def columns(self, axes: Axes) -> dict[str, Any]:
        """Return the channels as the run file has them."""
        taps = renumbered(self._taps)
        axes.introduce_layers(taps)
        vectors = Transfer([tap.moments.packed for tap in taps]).result()
        places = [axes.layer(tap) for tap in taps]
        present = {
            place: Moments(tap.moments.samples, tap.moments.positions, vector)
            for place, tap, vector in zip(places, taps, vectors, strict=True)
            if place is not None
        }
        row = ChannelRow(0, [("probe_channel", 1.0, present)], {}).columns(axes)
        return {name: row[name] for name in ("probe_channel_mean", "probe_channel_variance")}


#: A point of a line: its columns, and its signals if they were asked for.
Point = tuple[dict[str, Any], Signals | None]


def rows(points: Sequence[Point], axes: Axes) -> list[dict[str, Any]]:
    """Return points as rows of the run file."""
    return [{**columns, **(signals.columns(axes) if signals is not None else {})} for columns, signals in points]
