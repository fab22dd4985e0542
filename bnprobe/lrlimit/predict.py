"""What a recording itself predicts: the limits that its line probes and its curvature give, step by step.

They are told in the unit of the trials: the largest rate of any group at that step, all groups scaled together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bnprobe.analyse.limits import PROJECTED
from bnprobe.lrlimit.judge import largest_rates
from bnprobe.store.limits_file import Prediction
from bnprobe.store.reader import Run

CURVATURE, RISES, DIVERGES = "curvature", "line probe, loss rises", "line probe, diverges"
#: The line probe's name for the update as it was taken.
_TAKEN = "taken"


def predictions_of(run: Run, remedy: str) -> list[Prediction]:
    """Return all predictions that a recording at the script's own rate holds.

    Args:
        run: the recording.
        remedy: remedies at work in it.
    """
    largest = dict(zip(run["step"].tolist(), largest_rates(run).tolist(), strict=True))
    return [*_of_curvature(run, remedy, largest), *_of_line_probes(run, remedy, largest)]


def _of_curvature(run: Run, remedy: str, largest: dict[int, float]) -> list[Prediction]:
    share = run["curvature_preconditioned_residual"] / np.abs(run["curvature_preconditioned"])
    factor = run["curvature_limit"] / run["curvature_learning_rate"]
    found = []
    for step, high, uncertain in zip(run["curvature"].tolist(), factor.tolist(), _known(share), strict=True):
        rate = largest.get(step, float("nan"))
        if high > 0 and np.isfinite(high * rate):
            # The largest eigenvalue is at least the one that was found, and beyond it by about the residual.
            found.append(Prediction(remedy, CURVATURE, step, high * rate / (1 + uncertain), high * rate))
    return found


def _of_line_probes(run: Run, remedy: str, largest: dict[int, float]) -> list[Prediction]:
    found = []
    for index, (step, variant, reason) in enumerate(zip(run["probe_step"], run["probe_variant"], run["probe_reason"], strict=True)):
        rate = largest.get(int(step), float("nan"))
        if reason or not np.isfinite(rate):
            continue
        if variant in remedy.partition(":")[0].split("+"):
            continue  # the update is so projected already
        projected = "" if variant == _TAKEN else f"{PROJECTED}{variant}"
        for estimate, name in ((RISES, "critical"), (DIVERGES, "divergence")):
            low, high = float(run[f"probe_{name}_low"][index]), float(run[f"probe_{name}_high"][index])
            if not np.isnan(low):
                found.append(Prediction(remedy, estimate + projected, int(step), low * rate, high * rate))
    return found


def _known(values: NDArray[np.float64]) -> list[float]:
    known: list[float] = np.where(np.isfinite(values), values, 0.0).tolist()
    return known
