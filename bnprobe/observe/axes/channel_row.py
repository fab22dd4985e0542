"""Every channel of one step, for the run file's snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnprobe.measure.fused import SUMMARY
from bnprobe.measure.moments import Moments
from bnprobe.measure.unchecked import unchecked
from bnprobe.observe.axes.axes import Axes

Vector = NDArray[np.float64]


class Laid(NamedTuple):
    """Where the packed moments of a layer lie among the numbers of a step.

    Attributes:
        place: of the layer.
        samples: N.
        positions: P.
        begin: of its first number.
        end: after its last one.
    """

    place: int
    samples: int
    positions: int
    begin: int
    end: int

    @property
    def size(self) -> int:
        """N C P, the number of values."""
        return self.samples * self.positions * ((self.end - self.begin - SUMMARY) // 3)


class LaidMoments(NamedTuple):
    """The moments of a step's layers, taken apart only when they are looked at.

    Attributes:
        numbers: all of the step's.
        layers: where each lies.
        nbytes: memory held by them.
    """

    numbers: Vector
    layers: Sequence[Laid]
    nbytes: int

    def items(self) -> Iterator[tuple[int, Moments]]:
        """Yield places and moments."""
        return ((one.place, Moments(one.samples, one.positions, self.numbers[one.begin : one.end])) for one in self.layers)


class ChannelRow(NamedTuple):
    """Every channel of one step, taken apart only when it is written: most steps are forgotten.

    Attributes:
        step: the step.
        signals: kinds of signal: the prefix of its variables, the factor that is taken out of it, and its moments by place of the layer.
        whole: further columns of the snapshot, by name of the schema.
    """

    step: int
    signals: Sequence[tuple[str, float, Mapping[int, Moments] | LaidMoments]]
    whole: dict[str, Vector]

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return sum(
            present.nbytes if isinstance(present, LaidMoments) else sum(moments.packed.nbytes for moments in present.values())
            for _, _, present in self.signals
        )

    @unchecked
    def columns(self, axes: Axes) -> dict[str, Any]:
        """Return the row of the run file."""
        row: dict[str, Any] = {"snapshot": self.step, **self.whole}
        for prefix, scale, present in self.signals:
            mean = np.full(axes.channels, np.nan, dtype=np.float32)
            variance = np.full(axes.channels, np.nan, dtype=np.float32)
            for layer, moments in present.items():
                where = axes.channel_slice(layer)
                mean[where] = moments.mean / scale
                variance[where] = moments.variance / scale**2
            row[f"{prefix}_mean"], row[f"{prefix}_variance"] = mean, variance
        return row
