"""Every channel of one step, for the run file's snapshots."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bnprobe.measure.moments import Moments
from bnprobe.measure.unchecked import unchecked
from bnprobe.observe.rows.axes import Axes

Vector = NDArray[np.float64]


class ChannelRow(NamedTuple):
    """Every channel of one step, taken apart only when it is written: most steps are forgotten.

    Attributes:
        step: the step.
        signals: kinds of signal: the prefix of its variables, the factor that is taken out of it, and its moments by place of the layer.
        whole: further columns of the snapshot, by name of the schema.
    """

    step: int
    signals: list[tuple[str, float, dict[int, Moments]]]
    whole: dict[str, Vector]

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return sum(moments.packed.nbytes for _, _, present in self.signals for moments in present.values())

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
