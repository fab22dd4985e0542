"""The lines of a run's line probes: the loss over the loss before the step, r(s), at every point that was evaluated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.tolerance import TAKEN
from bnprobe.analyse.views import RunView
from bnprobe.store.reader import Run


@dataclass(frozen=True)
class Line:
    """One line with N points, in order of s.

    Attributes:
        step: the step whose update was followed.
        variant: the update as taken, or the remedy whose projection was applied to it.
        s: (N,) how far along the update, 0 first; 1 is the step that was taken.
        ratio: (N,) r(s), infinite where the loss is not finite.
        points: (N,) places on the ``probe_point`` axis.
    """

    step: int
    variant: str
    s: NDArray[np.float64]
    ratio: NDArray[np.float64]
    points: NDArray[np.int64]

    def until(self, ratio: float) -> Line:
        """Return the line up to its first point beyond a ratio, and at least up to the step that was taken."""
        beyond = np.flatnonzero(~(self.ratio <= ratio))
        end = max(int(beyond[0]) if beyond.size else len(self.s), int(np.searchsorted(self.s, 1.0)))
        kept = slice(0, end + 1)
        return Line(self.step, self.variant, self.s[kept], self.ratio[kept], self.points[kept])


def lines(run: Run) -> list[Line]:
    """Return the lines that have points, in the order in which they were probed."""
    view = RunView.of(run)
    owners, s = view.probe_point_probe, view.probe_point_s.astype(float)
    found = []
    for probe, (step, variant) in enumerate(zip(view.probe_step, view.probe_variant, strict=True)):
        points = np.flatnonzero((owners == probe) & np.isfinite(s))
        points = points[np.argsort(s[points], kind="stable")]
        if points.size:
            found.append(Line(int(step), str(variant) or TAKEN, s[points], view.probe_point_ratio[points].astype(float), points))
    return found
