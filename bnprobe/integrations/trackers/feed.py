"""What a tracker is told of a run: what is new in its file, each time that the file has grown."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.common_mode import common_mode_fraction
from bnprobe.analyse.updates import layer_update_ratio
from bnprobe.analyse.views import RunView
from bnprobe.diagnose import diagnose
from bnprobe.diagnose.text import verdict_line
from bnprobe.integrations.trackers.tracker import Tracker
from bnprobe.report.live_view import finding_line, told

#: What is told of all layers together, under its name there: the largest of them at a measured step.
LARGEST: dict[str, Callable[[RunView], NDArray[np.float64]]] = {
    "bnprobe/largest activation rms": lambda run: run.activation.rms,
    "bnprobe/largest activation gradient rms": lambda run: run.activation_gradient.rms,
    "bnprobe/largest update ratio": lambda run: run.once(layer_update_ratio),
    "bnprobe/largest common-mode fraction": lambda run: common_mode_fraction(run),
}


class Feed:
    """Tells a tracker what is new.

    Args:
        tracker: the tracker.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._last = -1
        self._found: set[str] = set()

    def take(self, run: RunView) -> None:
        """Tell the steps and the findings that it has not told yet."""
        values = scalars(run)
        for row, step in enumerate(run.step.tolist()):
            if step > self._last:
                present = {name: float(series[row]) for name, series in values.items() if not math.isnan(series[row])}
                self._tracker.scalars(step, present)
                self._last = step
        for finding in told(diagnose(run)):
            if finding.id not in self._found:
                self._found.add(finding.id)
                self._tracker.finding(max(self._last, 0), finding.id, finding_line(finding))

    def close(self, run: RunView | None) -> None:
        """Tell the verdict and end."""
        self._tracker.close(verdict_line(diagnose(run)) if run else "no step was recorded")


def scalars(run: RunView) -> dict[str, NDArray[np.float64]]:
    """Return what is told of each step, (S,) each; NaN where there is nothing."""
    found = {"bnprobe/loss": np.asarray(run.loss, dtype=float)}
    rates = np.asarray(run["learning_rate"], dtype=float)
    found |= {f"bnprobe/learning rate {name}": rates[:, place] for place, name in enumerate(run.groups[: rates.shape[1]])}
    for name, values in LARGEST.items():
        with suppress(ValueError):  # a run without layers
            found[name] = _largest(np.asarray(values(run), dtype=float))
    return found


def _largest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest of each row that is not NaN."""
    largest: NDArray[np.float64] = np.fmax.reduce(values, axis=1, initial=-np.inf)
    return np.where(np.isnan(values).all(axis=1), np.nan, largest)
